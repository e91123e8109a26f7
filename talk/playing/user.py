"""The step that asks WorkOS who the human is and which sessions and consents stand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.grants import UserView
from talk.playing.humans import person_of
from talk.playing.kind import Kind, Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.workos.people import Grant, People, Person, PersonSession

_AGREE = {"same_user": "who the user is", "sessions_agree": "the sessions", "consents_agree": "the consents"}

_NOBODY: Mapping[str, str] = {}


def user(_: Step, scene: Scene) -> Played:
    """Who the human is by WorkOS, with the sessions and consents that stand there, held against another's word."""
    from demo.client.workos.people import People

    people = People(scene.cast.humans.tenant())
    return _by_console(people, scene) if scene.cast.server.ours else _by_token(people, scene)


def _by_console(people: People, scene: Scene) -> Played:
    """Held against what the human's own console says and lists."""
    console = scene.cast.humans.console()
    token = console.agent.token()
    claimed = console.agent.view(token)
    person = people.find(str(console.agent.userinfo(token).get("email", "")))
    sessions, consents, listed = people.sessions(person.id), people.grants(person.id), console.sessions()
    gone = {one.id for one in listed if one.revoked_at is not None}
    # One that has ended by itself was not revoked: the console lists it on, WorkOS does not.
    now = time.time()
    live = [one for one in listed if one.id not in gone and (one.expires_at is None or now < one.expires_at)]
    there = {one.id for one in sessions}
    wanted = {one.id for one in live} | {claimed.claim("sid")}
    observed: dict[str, Any] = {
        "human": person.email,
        "same_user": person.id == claimed.claim("sub"),
        "sessions": len(sessions),
        "sessions_agree": wanted <= there and not there & gone,
        "consents": len(consents),
        "consents_agree": {one.consent for one in consents} == {one.consent for one in live if one.agent},
    }
    through = {one.id: one.client_name or one.client for one in live}
    shown = _view(person, sessions, consents, scene, observed, "the human's own console", through)
    return Played(observed, {"user": lambda: panels.user(shown, time.time())})


def _by_token(people: People, scene: Scene) -> Played:
    """Held against the agent's token and who issued it: at a shop elsewhere the human has no console of ours."""
    agent = scene.cast.agent()
    held = agent.stored()
    if held is None:
        raise NotHere("WorkOS is not asked about the human", why="no agent holds a token that names one")
    claimed = agent.view(held)
    human = claimed.claim("sub")
    if not human:
        why = "the agent's token is opaque, and its issuer does not say who is in it (RFC 7662)"
        raise NotHere("WorkOS is not asked about the human", why=why)
    info = person_of(agent, held)
    person = people.get(human)
    sessions, consents = people.sessions(person.id), people.grants(person.id)
    observed: dict[str, Any] = {
        "human": person.email,
        "sessions": len(sessions),
        "consents": len(consents),
    }
    # A consent is listed for as long as the shop lets the agent in by it, and no longer.
    listed = any(one.client_id == claimed.claim("client_id") for one in consents)
    observed["consents_agree"] = listed is (agent.tools(token=held).status == 200)
    unobservable = {
        "human": "the human here is not the talk's sample human",
        "sessions_agree": "the human has no console here that lists sessions",
    }
    if info is not None and info.get("email"):
        observed["same_user"] = info["email"] == person.email
    else:
        unobservable["same_user"] = "its authorization server gives no email address of the human"
    shown = _view(
        person, sessions, consents, scene, observed, "the agent's token, and its authorization server's userinfo"
    )
    return Played(observed, {"user": lambda: panels.user(shown, time.time())}, unobservable=unobservable)


def _view(
    person: Person,
    sessions: tuple[PersonSession, ...],
    consents: tuple[Grant, ...],
    scene: Scene,
    observed: Mapping[str, Any],
    against: str,
    through: Mapping[str, str] = _NOBODY,
) -> UserView:
    return UserView(
        person.id,
        person.email,
        person.name,
        person.last_sign_in_at,
        sessions=tuple((one.id, through.get(one.id, "")) for one in sessions),
        consents=tuple((one.consent, one.name or one.client_id, one.scopes) for one in consents),
        asked=scene.cast.humans.tenant().environment.base_url,
        against=against,
        differences=tuple(what for key, what in _AGREE.items() if observed.get(key) is False),
    )


USER = Kind(
    "user",
    "Ask WorkOS who the human is and which sessions and consents stand; hold it against the human's console.",
    user,
    observes={
        "human": str,
        "same_user": bool,
        "sessions": int,
        "sessions_agree": bool,
        "consents": int,
        "consents_agree": bool,
    },
    shows=("user",),
)
