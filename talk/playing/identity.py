"""Steps about identity: whoami, rival."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import AuthorityRefused
from talk.playing.login import person_of, unreadable, username
from talk.playing.scene import Played, Scene
from talk.script import Step

if TYPE_CHECKING:
    from demo.evidence import TokenView

SHORT_LIVED_SECONDS = 15 * 60


def whoami(step: Step, scene: Scene) -> Played:
    """What the token says, checked, and whether the authority agrees."""
    agent = scene.cast.agent(step.options["who"])
    token = agent.token()
    view = agent.view(token)
    strange = scene.cast.house is not None
    info = person_of(agent, token) if strange else agent.userinfo(token)
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
    played = Played(observed, {"token": lambda: panels.token(view, time.time())})
    if view.kind == "jwt":
        played.panels["chain"] = lambda: panels.chain(agent.chain(token, seen=view, person=info))
    if strange:
        played.untold = _untold(view, info)
    return played


def _untold(view: TokenView, info: dict[str, Any] | None) -> dict[str, str]:
    """What a stranger's authority does not tell of a human, and what it decides by itself."""
    missing = {"human": "the human here is not the talk's sample human", "scopes": "this server has scopes of its own"}
    if info is None:
        missing["agrees"] = "its authority tells nothing of the human (no userinfo that this token opens)"
    if view.expires_at is not None and (left := view.expires_at - time.time()) > SHORT_LIVED_SECONDS:
        missing["short_lived"] = f"how long a token lives is its authority's choice: {left / 60:.0f} minutes"
    return unreadable(view) | missing


def rival(_: Step, scene: Scene) -> Played:
    """Another agent presents this agent's refresh token; nothing may come of it, and nothing may break."""
    agent = scene.cast.agent()
    stored = agent.token()
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
