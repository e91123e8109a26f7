"""Steps in which something fails on purpose and has to come back: outage, restart."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.screen import Comparison
from talk.playing.audit import trail
from talk.playing.kind import Kind, Option, Step
from talk.playing.observing import hold_against_the_wire, played_call
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome


NOTICED_SECONDS = 8.0


def outage(step: Step, scene: Scene) -> Played:
    """Call while the authorization server gives the shop no answer, in each of two ways; then once more."""
    from demo.local_server.outage import drill

    scene.cast.server.only_beside_its_authorization_server()
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    agent.token()  # what has to be renewed is renewed before: the agent's questions are not what is tried here
    outcomes: list[CallOutcome] = []
    for how in ("failing", "silent"):
        with drill(scene.cast.server.state, how):
            if not outcomes:
                _noticed(agent)
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


def _noticed(agent: Agent) -> None:
    """Wait until the shop relies on nothing that it was told before: it has itself told again each second or so, and
    relies on nothing for longer than a lease of 5 s (docs/wire.md). To list the tools counts as no call."""
    deadline = time.monotonic() + NOTICED_SECONDS
    while time.monotonic() < deadline and agent.tools().status == 200:
        time.sleep(0.2)


def restart(_: Step, scene: Scene) -> Played:
    """Stop and start the talk's own server, and look whether it still knows what it knew."""
    console = scene.cast.humans.console()
    facts_before, signed_in = _remembered(scene), console.signed_in()
    before, after = scene.cast.server.restart(scene.stage.waiting)
    facts_after = _remembered(scene)
    live = [sum(1 for one in facts[1] if one.revoked_at is None) for facts in (facts_before, facts_after)]
    rows = (
        ("process", f"pid {before.pid}", f"pid {after.pid}"),
        ("its data", before.world, after.world),
        ("sessions granted", str(live[0]), str(live[1])),
        ("orders on record", str(len(facts_before[0])), str(len(facts_after[0]))),
        ("human's console", _signed(signed_in), _signed(console.signed_in())),
    )
    observed: dict[str, Any] = {
        "new_process": before.pid != after.pid and before.instance != after.instance,
        "orders_kept": bool(facts_before[0]) and facts_before[0] == facts_after[0],
        "sessions_kept": facts_before[1] == facts_after[1],
    }
    kept = observed["orders_kept"] and observed["sessions_kept"]
    shown = Comparison(
        "A new process, the same grants" if observed["new_process"] and kept else "The server, restarted",
        rows,
        "State outlives the process that holds it." if kept else "Not all of it is still known.",
    )
    return Played(observed, {"comparison": lambda: panels.comparison(shown)})


def _signed(known: bool) -> str:
    return "signed in" if known else "signed out"


def _remembered(scene: Scene) -> tuple[list[str], tuple[Any, ...]]:
    console = scene.cast.humans.console()
    # When one ends by itself moves on with each refresh, of the console's own as well.
    sessions = tuple(replace(one, expires_at=None) for one in console.sessions())
    # A replayed purchase is audited again, under the order that it is.
    return sorted({entry.order_id for entry in trail(scene) if entry.order_id}), sessions


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
RESTART = Kind(
    "restart",
    "Stop the local server and start it again: what was granted and bought must still stand.",
    restart,
    observes={"new_process": bool, "orders_kept": bool, "sessions_kept": bool},
    shows=("comparison",),
    why_not=lambda *_: "only the server of this state folder can be restarted from here",
    of_this_folder=True,
)
