"""The step that reads the stored token, checks it, and asks the authorization server whether it agrees."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from talk.playing.humans import NO_NAME, has_name, person_of, unreadable, username
from talk.playing.kind import WHO, Contradiction, Kind, Past, Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from deputize.evidence import TokenView
    from deputize.tokens.stored import StoredToken
    from talk.playing.other_server import OtherServer

SHORT_LIVED_SECONDS = 15 * 60


def whoami(step: Step, scene: Scene) -> Played:
    """What the token says, checked, and whether the authorization server agrees."""
    agent = scene.cast.agent(step.options["who"])
    token = agent.token()
    view = agent.view(token)
    elsewhere = scene.cast.other is not None
    info = person_of(agent, token) if elsewhere or not has_name(token) else agent.userinfo(token)
    observed: dict[str, Any] = {
        "verified": view.signature is not None and not view.problems,
        "problems": len(view.problems),
        "delegated": view.claim("act.sub") is not None,
        "scopes": sorted(view.scopes),
        "short_lived": view.expires_at is not None and 0 < view.expires_at - time.time() <= SHORT_LIVED_SECONDS,
    }
    if info is not None:
        observed["human"] = username(info)
        observed["agrees"] = info.get("sub") is not None and info.get("sub") == view.claim("sub")
    if (lifetime := _lifetime(token)) is not None:
        observed["lifetime"] = lifetime
    no_console = ""
    if not elsewhere and step.options["who"] == "agent":
        try:
            observed["listed"] = _listed(token, view, scene)
        except NotHere as reason:
            no_console = f"{reason.what}: {reason.why}"
    played = Played(observed, {"token": lambda: panels.token(view, time.time())})
    if view.kind == "jwt":
        person = info if info is not None or elsewhere else {}  # what cannot be known here is not asked for again
        played.panels["chain"] = lambda: panels.chain(agent.chain(token, seen=view, person=person))
    if elsewhere:
        played.unobservable = _unobservable(view, info)
    elif info is None:
        played.unobservable = dict.fromkeys(("human", "agrees"), NO_NAME)
    if no_console:
        played.unobservable["listed"] = no_console
    return played


def _lifetime(token: StoredToken) -> int | None:
    """For how many seconds it was issued, by its own claims."""
    from deputize.tokens import claims

    jwt = claims.take_apart(token.access_token)
    begins, ends = (jwt.claims.get(name) if jwt is not None else None for name in ("iat", "exp"))
    return round(ends - begins) if isinstance(begins, int | float) and isinstance(ends, int | float) else None


def _listed(token: StoredToken, view: TokenView, scene: Scene) -> bool:
    """Whether the human's own console lists the session that the token claims, and says the very same of it."""
    one = next((one for one in scene.cast.humans.console().sessions() if one.id == view.claim("sid")), None)
    if one is None or one.revoked_at is not None:
        return False
    said = (one.consent, one.agent, one.client, sorted(one.scopes), one.spending_limit)
    named = tuple(view.claim(name) for name in ("consent_id", "act.sub", "client_id"))
    return said == (*named, sorted(view.scopes), token.spending_limit)


def _unobservable(view: TokenView, info: dict[str, Any] | None) -> dict[str, str]:
    """What another authorization server does not say of a human, and what it decides by itself."""
    missing = {"human": "the human here is not the talk's sample human", "scopes": "this server has scopes of its own"}
    if info is None:
        missing["agrees"] = "its authorization server says nothing of the human (no userinfo that this token opens)"
    missing["lifetime"] = "how long a token lives is its authorization server's choice"
    missing["listed"] = "the human has no console here that lists what the token claims"
    if view.expires_at is not None and (left := view.expires_at - time.time()) > SHORT_LIVED_SECONDS:
        missing["short_lived"] = f"how long a token lives is its authorization server's choice: {left / 60:.0f} minutes"
    return unreadable(view) | missing


def _cannot(step: Step, other: OtherServer, _: Past) -> str | None:
    return other.no_caller(step.options["who"]) or other.no_door("protected") or other.no_token()


def _contradictions(_: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    if step.options["who"] == "nobody":
        yield Contradiction(("who",), "whoami of 'nobody', who has no token", "leave who out, or name an agent")


WHOAMI = Kind(
    "whoami",
    "Read the stored token, check it, and ask the authorization server's userinfo whether it agrees.",
    whoami,
    {"who": WHO},
    {
        "verified": bool,
        "human": str,
        "delegated": bool,
        "agrees": bool,
        "short_lived": bool,
        "lifetime": int,
        "listed": bool,
        "scopes": list,
        "problems": int,
    },
    ("token", "chain"),
    names={"scopes": "scope"},
    why_not=_cannot,
    contradictions=_contradictions,
)
