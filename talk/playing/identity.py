"""Steps about identity: whoami, rival, reuse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import AuthorityRefused
from talk.cast import NotHere
from talk.playing.login import NO_NAME, person_of, tells_human, unreadable, username
from talk.playing.scene import Played, Scene
from talk.script import Step

if TYPE_CHECKING:
    from demo.client.tokens.stored import StoredToken
    from demo.evidence import TokenView

SHORT_LIVED_SECONDS = 15 * 60


def whoami(step: Step, scene: Scene) -> Played:
    """What the token says, checked, and whether the authority agrees."""
    agent = scene.cast.agent(step.options["who"])
    token = agent.token()
    view = agent.view(token)
    strange = scene.cast.house is not None
    info = person_of(agent, token) if strange or not tells_human(token) else agent.userinfo(token)
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
    if not strange and step.options["who"] == "agent":
        try:
            observed["listed"] = _listed(token, view, scene)
        except NotHere as reason:
            no_console = f"{reason.what}: {reason.why}"
    played = Played(observed, {"token": lambda: panels.token(view, time.time())})
    if view.kind == "jwt":
        person = info if info is not None or strange else {}  # what nobody can tell here is not asked for again
        played.panels["chain"] = lambda: panels.chain(agent.chain(token, seen=view, person=person))
    if strange:
        played.untold = _untold(view, info)
    elif info is None:
        played.untold = dict.fromkeys(("human", "agrees"), NO_NAME)
    if no_console:
        played.untold["listed"] = no_console
    return played


def _lifetime(token: StoredToken) -> int | None:
    """For how many seconds it was issued, by its own claims."""
    from demo.client.tokens import claims

    jwt = claims.take_apart(token.access_token)
    begins, ends = (jwt.claims.get(name) if jwt is not None else None for name in ("iat", "exp"))
    return round(ends - begins) if isinstance(begins, int | float) and isinstance(ends, int | float) else None


def _listed(token: StoredToken, view: TokenView, scene: Scene) -> bool:
    """Whether the human's own console lists the session that the token claims, and says the very same of it."""
    one = next((one for one in scene.cast.console().sessions() if one.id == view.claim("sid")), None)
    if one is None or one.revoked_at is not None:
        return False
    said = (one.consent, one.agent, one.client, sorted(one.scopes), one.spending_limit)
    named = tuple(view.claim(name) for name in ("consent_id", "act.sub", "client_id"))
    return said == (*named, sorted(view.scopes), token.spending_limit)


def _untold(view: TokenView, info: dict[str, Any] | None) -> dict[str, str]:
    """What a stranger's authority does not tell of a human, and what it decides by itself."""
    missing = {"human": "the human here is not the talk's sample human", "scopes": "this server has scopes of its own"}
    if info is None:
        missing["agrees"] = "its authority tells nothing of the human (no userinfo that this token opens)"
    missing["lifetime"] = "how long a token lives is its authorization server's choice"
    missing["listed"] = "the human has no console here that lists what the token claims"
    if view.expires_at is not None and (left := view.expires_at - time.time()) > SHORT_LIVED_SECONDS:
        missing["short_lived"] = f"how long a token lives is its authority's choice: {left / 60:.0f} minutes"
    return unreadable(view) | missing


def rival(_: Step, scene: Scene) -> Played:
    """Another agent presents this agent's refresh token; nothing may come of it, and nothing may break."""
    agent = scene.cast.agent()
    stored = agent.token()
    if stored.refresh_token is None:
        raise NotHere("there is no refresh token to steal", why="the consent has no offline_access")
    agent.recorder.take()
    status, error = agent.redeem(stored, client_id="demo-rival")
    exchanges = agent.recorder.take()
    observed: dict[str, Any] = {"status": status, "error": error}
    try:
        agent.refresh()
        observed["unharmed"] = True
    except AuthorityRefused:
        observed["unharmed"] = False
    played = Played(observed, status=status)
    if exchanges:
        played.panels["exchange"] = lambda: panels.exchange(exchanges[-1])
    return played


GRACE_SECONDS = 11.0
"""Past the 10 s in which the bundled authorization server still answers a repeated refresh (docs/wire.md)."""


def reuse(step: Step, scene: Scene) -> Played:
    """A refresh token is used a second time, by its own client and past the grace: its session has to end.

    RFC 9700 section 4.14.2: whoever of the two is the thief, neither goes on.
    """
    who = step.options["who"]
    agent = scene.cast.agent(who)
    if agent.token().refresh_token is None:
        raise NotHere("no refresh token can be used twice", why="the consent has no offline_access, so there is none")
    if who not in scene.cast.spent:
        scene.cast.spent[who] = (agent.token(), time.time())
        agent.refresh()
    spent, at = scene.cast.spent.pop(who)
    scene.wait("the grace for a lost answer to end", max(0.0, at + GRACE_SECONDS - time.time()))
    agent.recorder.take()
    status, error = agent.redeem(spent, client_id=spent.client_id)
    exchanges = agent.recorder.take()
    after = scene.patiently(
        lambda: agent.call(scene.cast.tools.name(step.options["tool"]), {}, refresh=False),
    )
    observed: dict[str, Any] = {"status": status, "error": error, "ended": after[-1].status == 401}
    if (decision := after[-1].decision) is not None:
        observed |= {"gate": decision.gate, "rule": decision.rule}
    played = Played(observed, status=status)
    played.decisions = [one.decision for one in after if one.decision is not None]
    if exchanges:
        played.panels["exchange"] = lambda: panels.exchange(exchanges[-1])
    return played
