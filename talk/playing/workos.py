"""Steps that ask WorkOS about a human and tell its audit log of orders: user, audit-log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo import panels
from demo.evidence import Decision, LoggedOrder, UserView
from talk.cast import NotHere
from talk.playing.login import person_of
from talk.playing.scene import Played, Scene
from talk.script import Step

if TYPE_CHECKING:
    from demo.client.workos.audit import Happening, OrderOnRecord
    from demo.client.workos.people import Grant, People, Person, PersonSession

LOOK_BACK_SECONDS = 24 * 3600.0
"""How long before a run's first order the session behind it may have been opened."""
_AGREE = {"same_user": "who the user is", "sessions_agree": "the sessions", "consents_agree": "the consents"}
_NOBODY: Mapping[str, str] = {}
_ELSEWHERE = "an account's export is made in the background, and WorkOS does not document its columns"


def user(_: Step, scene: Scene) -> Played:
    """Who the human is by WorkOS, with the sessions and consents that stand there, held against another's word."""
    from demo.client.workos.people import People

    people = People(scene.cast.tenant())
    return _by_console(people, scene) if scene.cast.ours else _by_token(people, scene)


def _by_console(people: People, scene: Scene) -> Played:
    """Held against what the human's own console says and lists."""
    console = scene.cast.console()
    token = console.agent.token()
    claimed = console.agent.view(token)
    person = people.find(str(console.agent.userinfo(token).get("email", "")))
    sessions, consents, listed = people.sessions(person.id), people.grants(person.id), console.sessions()
    gone = {one.id for one in listed if one.revoked_at is not None}
    # One that has ended by itself was not taken back: the console lists it on, WorkOS does not.
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
    """Held against the agent's token and its authority: at a shop elsewhere the human has no console of ours."""
    agent = scene.cast.agent()
    held = agent.stored()
    if held is None:
        raise NotHere("WorkOS is not asked about the human", why="no agent holds a token that names one")
    claimed = agent.view(held)
    human = claimed.claim("sub")
    if not human:
        why = "the agent's token is opaque, and nobody tells who is in it (RFC 7662)"
        raise NotHere("WorkOS is not asked about the human", why=why)
    told = person_of(agent, held)
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
    untold = {
        "human": "the human here is not the talk's sample human",
        "sessions_agree": "the human has no console here that lists sessions",
    }
    if told is not None and told.get("email"):
        observed["same_user"] = told["email"] == person.email
    else:
        untold["same_user"] = "its authority tells no email address of the human"
    shown = _view(person, sessions, consents, scene, observed, "the agent's token, and its authority's userinfo")
    return Played(observed, {"user": lambda: panels.user(shown, time.time())}, untold=untold)


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
        asked=scene.cast.tenant().environment.base_url,
        against=against,
        differences=tuple(what for key, what in _AGREE.items() if observed.get(key) is False),
    )


def audit_log(_: Step, scene: Scene) -> Played:
    """Tell of each order of this run, twice over; read back what is on record; list what WorkOS saw by itself."""
    from demo.client.workos.audit import SESSION_CREATED, AuditLog, read_export
    from demo.client.workos.preparing import ensure_order_schema

    tenant, orders = scene.cast.tenant(), _orders(scene)
    log = AuditLog(tenant, where=urlsplit(scene.cast.server).hostname or "")
    ensure_order_schema(tenant)
    for decision in [*orders, *orders]:  # the second time, as after a crash, must change nothing
        log.tell_order(decision)
    since = min((one.at for one in orders), default=time.time())
    events = log.happenings(since=since - LOOK_BACK_SECONDS)
    opened = {one.about for one in events if one.event == SESSION_CREATED}
    bought = [one for one in orders if one.user is not None]
    observed: dict[str, Any] = {
        "told": len(orders),
        "events": sorted({one.event for one in events}),
        "corroborated": bool(bought) and all(one.session in opened for one in bought),
    }
    if tenant.environment.local:
        on_record = read_export(tenant, log.export(since - 1, time.time() + 1))
        counts = {one.audit_id: _on_record(one, on_record) for one in orders}
        observed |= _observe(orders, on_record)
        untold = {}
    else:
        counts = {}
        untold = dict.fromkeys(("missing", "doubled", "traced", "anonymous"), _ELSEWHERE)
        untold["corroborated"] = "an AuthKit token's sid is the consent, and no event tells of that"
    rows = tuple(
        LoggedOrder(
            one.at, one.order_id or "", one.username or one.user, one.agent, one.consent, counts.get(one.audit_id)
        )
        for one in orders
    )
    kinds, asked = _kinds(events), tenant.environment.base_url
    return Played(observed, {"audit-log": lambda: panels.audit_log(rows, kinds, asked)}, untold=untold)


def _orders(scene: Scene) -> list[Decision]:
    """The decisions that placed this run's orders, as they came over the wire; oldest first."""
    first: dict[str, Decision] = {}
    for result in scene.seen():
        for told in result.decisions:
            decision = Decision.from_dict(dict(told))
            if decision.order_id is not None and decision.verdict == "allow":
                first.setdefault(decision.order_id, decision)  # asked for again it is the same order
    return sorted(first.values(), key=lambda decision: decision.at)


def _on_record(decision: Decision, log: tuple[OrderOnRecord, ...]) -> int:
    """How often the log has this order, saying what the shop decided; 0 where one entry says anything else."""
    found = [one for one in log if one.audit_id == decision.audit_id]
    says = (decision.order_id, decision.user, decision.agent, decision.consent)
    return len(found) if all((one.order, one.actor, one.agent, one.consent) == says for one in found) else 0


def _observe(orders: list[Decision], log: tuple[OrderOnRecord, ...]) -> dict[str, Any]:
    counts = [_on_record(one, log) for one in orders]
    ours = {one.audit_id for one in orders}
    entries = [one for one in log if one.audit_id in ours]
    nobodys = {one.audit_id for one in orders if one.user is None}
    return {
        "missing": counts.count(0),
        "doubled": sum(count - 1 for count in counts if count > 1),
        "traced": bool(entries) and all(one.agent and one.consent for one in entries if one.audit_id not in nobodys),
        "anonymous": bool(nobodys) and nobodys == {one.audit_id for one in entries if one.actor is None},
    }


def _kinds(events: tuple[Happening, ...]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(one.event for one in events).most_common())
