"""Steps in which somebody uses a refresh token that is not theirs to use: rival, reuse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo import panels
from deputize.errors import AuthorizationRefused
from talk.playing.kind import AGENTS, Kind, Option, Past, Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from talk.playing.other_server import OtherServer


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
    except AuthorizationRefused:
        observed["unharmed"] = False
    played = Played(observed, status=status)
    if exchanges:
        played.panels["exchange"] = lambda: panels.exchange(exchanges[-1])
    return played


GRACE_SECONDS = 11.0
"""Past the 10 s in which the bundled authorization server still answers a repeated refresh (docs/wire.md)."""


def reuse(step: Step, scene: Scene) -> Played:
    """A refresh token is used a second time, by its own client and past the grace: its session has to end.

    RFC 9700 section 4.14.2: which of the two is the thief cannot be known, so neither goes on.
    """
    who = step.options["who"]
    agent = scene.cast.agent(who)
    if agent.token().refresh_token is None:
        raise NotHere("no refresh token can be used twice", why="the consent has no offline_access, so there is none")
    if who not in scene.cast.spent:
        scene.cast.spent[who] = (agent.token(), time.monotonic())
        agent.refresh()
    spent, at = scene.cast.spent.pop(who)
    scene.wait("the grace for a lost answer to end", max(0.0, at + GRACE_SECONDS - time.monotonic()))
    agent.recorder.take()
    status, error = agent.redeem(spent, client_id=spent.client_id)
    exchanges = agent.recorder.take()
    after = scene.with_retries(
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


def _cannot(_: Step, other: OtherServer, __: Past) -> str | None:
    return other.no_door("protected") or "the rival agent is registered at the bundled authorization server only"


RIVAL = Kind(
    "rival",
    "Another agent tries this agent's refresh token at the authorization server; then this agent refreshes.",
    rival,
    observes={"status": int, "error": str, "unharmed": bool},
    shows=("exchange",),
    why_not=_cannot,
)
REUSE = Kind(
    "reuse",
    "A refresh token is used a second time, past the grace for a lost answer: its session has to end.",
    reuse,
    {"who": AGENTS, "tool": Option(default="listMcpShopInventory")},
    {"status": int, "error": str, "ended": bool, "gate": str, "rule": str},
    ("exchange",),
    why_not=_cannot,
)
