"""The step that calls while the authorization server gives the shop no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talk.playing.kind import Kind, Option, Step
from talk.playing.observing import hold_against_the_wire, played_call
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.mcp.outcome import CallOutcome


def outage(step: Step, scene: Scene) -> Played:
    """Call while the authorization server gives the shop no answer, in each of two ways; then once more."""
    from demo.local_server.outage import drill

    scene.cast.only_beside_its_authorization_server()
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    agent.token()  # what has to be renewed is renewed before: the agent's questions are not what is tried here
    outcomes: list[CallOutcome] = []
    for how in ("failing", "silent"):
        with drill(scene.cast.state, how):
            outcomes.append(agent.call(tool, {}, refresh=False))
    again = scene.with_retries(lambda: agent.call(tool, {}))
    # Where only one of the two was refused, the other is what has to be seen.
    worst = next((one for one in outcomes if one.status != 503), outcomes[-1])
    decisions = [one.decision for one in (*outcomes, *again) if one.decision is not None]
    played = played_call(worst, scene, agent, decisions)
    played.observed["retry_after"] = worst.retry_after is not None and worst.retry_after > 0
    played.observed["recovered"] = again[-1].status == 200
    hold_against_the_wire(played, worst, scene, sent=agent.stored())
    return played


OUTAGE = Kind(
    "outage",
    "Call while the authorization server of this state folder gives the shop no answer, and once more after.",
    outage,
    {"tool": Option(default="listMcpShopInventory")},
    {
        "status": int,
        "verdict": str,
        "gate": str,
        "rule": str,
        "challenged": bool,
        "differs": list,
        "retry_after": bool,
        "recovered": bool,
    },
    ("decision", "exchange"),
    why_not=lambda *_: "only the authorization server of this state folder can be put out of order from here",
    of_this_folder=True,
)
