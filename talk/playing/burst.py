"""The step that calls one tool until a limit refuses it, waits as long as the refusal says, and calls once more."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from talk.playing.kind import SAMPLES, TOOL, Contradiction, Kind, Option, Past, Step
from talk.playing.observing import hold_against_the_wire, played_call
from talk.playing.scene import RETRY_SECONDS, Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from talk.playing.other_server import OtherServer

SEEN_SECONDS = 0.15
"""How long a call stands on the screen before the next one, where somebody watches the limit fill."""

BAR = 40
"""Columns of the bar that fills."""

WINDOWS = 3
"""In so many windows of a rate limit a burst is tried: on a slow machine one may end before the others have called."""


def burst(step: Step, scene: Scene) -> Played:
    """Call until refused, wait as long as the refusal says, call once more."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    bursts, others = _until_refused(step, scene, agent, tool)
    outcomes = [outcome for one in bursts for outcome in one]
    last = outcomes[-1]
    played = played_call(last, scene, agent, [outcome.decision for outcome in outcomes if outcome.decision is not None])
    played.observed["allowed"] = sum(1 for one in bursts[-1] if one.decision and one.decision.verdict == "allow")
    played.observed["retry_after"] = last.retry_after is not None and last.retry_after > 0
    if last.retry_after is not None:
        played.observed["wait"] = math.ceil(last.retry_after)
    for limit in last.limits:
        if limit.name == "rate":
            played.observed["limit"] = limit.limit
            if limit.window is not None:
                played.observed["window"] = round(limit.window)
    hold_against_the_wire(played, last, scene, sent=agent.stored())
    for option, observable in (("shares", "shared"), ("spares", "spared")):
        if (other := others.get(option)) is not None:
            refused = other.status == 429 and other.decision is not None and other.decision.rule == "limits.rate"
            played.observed[observable] = refused if option == "shares" else other.status == 200
    played.decisions += [other.decision for other in others.values() if other.decision is not None]
    if last.status == 429:
        if (shown := played.panels.pop("limits", None)) is not None and "limits" in step.show:
            # Now, and not when the step has ended: what comes next is the wait.
            scene.stage.show("limits", shown())
            if "limits" in step.pause:
                scene.stage.look()
        scene.wait("the rate limit, as Retry-After says", min(last.retry_after or 1.0, RETRY_SECONDS))
        again = agent.call(tool, {})
        played.observed["recovered"] = again.status == 200
        if (served := again.decision) is not None:
            played.decisions.append(served)
            played.panels["decision"] = lambda: panels.decision(served, scene.names())
    return played


def _until_refused(
    step: Step, scene: Scene, agent: Agent, tool: str
) -> tuple[list[tuple[CallOutcome, ...]], dict[str, CallOutcome]]:
    """Call until refused, and have the others of the step call within the same window: each burst, and theirs."""
    bursts: list[tuple[CallOutcome, ...]] = []
    others: dict[str, CallOutcome] = {}
    for _ in range(WINDOWS):
        bursts.append(
            agent.burst(tool, {}, at_most=step.options["at_most"], on_answer=lambda one: _filling(one, scene))
        )
        last = bursts[-1][-1]
        ends = next((limit.resets_at for limit in last.limits if limit.name == "rate"), None)
        if last.status != 429:
            break
        for option in ("shares", "spares"):
            if option in step.options:
                others[option] = scene.cast.agent(step.options[option]).call(tool, {})
        if all(ends is None or one.decision is None or one.decision.at < ends for one in others.values()):
            break
    return bursts, others


def _filling(outcome: CallOutcome, scene: Scene) -> None:
    """Show how full the rate limit is after a call, on the line that is drawn over."""
    use = next((limit for limit in outcome.limits if limit.name == "rate"), None)
    if use is None or use.limit <= 0 or not scene.stage.draws_over:
        return
    from demo.panels.theme import glyphs

    signs = glyphs(scene.stage.console.encoding)
    filled = min(use.limit, use.used) * BAR // use.limit
    scene.stage.status(f"calls  {signs.used * filled}{signs.rest * (BAR - filled)}  {use.used} of {use.limit}")
    if scene.stage.person and scene.stage.pace != "none":
        time.sleep(SEEN_SECONDS)


def _cannot(step: Step, other: OtherServer, _: Past) -> str | None:
    if not other.seen.reports_decisions:
        return "another server is not flooded: it does not say that it limits a rate for each agent"
    return (
        other.no_door("protected")
        or other.no_token()
        or other.no_tool(step.options["tool"], {}, "protected", stored=True)
    )


def _contradictions(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    if "shares" in given and given["shares"] == given.get("spares"):
        what = f"'{given['spares']}' both shares the limit and is spared"
        yield Contradiction(("spares",), what, "name two of them")


BURST = Kind(
    "burst",
    "Call one tool again and again until it is refused, wait as long as the refusal says, and call once more. "
    "At the refusal `shares` (who has the same limit) and `spares` (who has another one) call, too.",
    burst,
    {
        "tool": TOOL,
        "at_most": Option(int, default=30),
        "shares": Option(choices=SAMPLES),
        "spares": Option(choices=SAMPLES),
    },
    {
        "status": int,
        "gate": str,
        "rule": str,
        "allowed": int,
        "limit": int,
        "window": int,
        "wait": int,
        "rate_left": int,
        "purchases_left": int,
        "money_left": int,
        "shared": bool,
        "spared": bool,
        "differs": list,
        "retry_after": bool,
        "recovered": bool,
    },
    ("limits", "decision"),
    why_not=_cannot,
    contradictions=_contradictions,
    draws_itself=True,
    holds=("limits",),
)
