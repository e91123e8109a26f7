"""The step that restarts the server: what was granted and bought must still stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from demo import panels
from demo.evidence import Comparison
from talk.playing.audit import trail
from talk.playing.kind import Kind, Step
from talk.playing.scene import Played, Scene


def restart(_: Step, scene: Scene) -> Played:
    """Stop and start the talk's own server, and look whether it still knows what it knew."""
    console = scene.cast.console()
    facts_before, signed_in = _remembered(scene), console.signed_in()
    before, after = scene.cast.restart(scene.stage.waiting)
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
    console = scene.cast.console()
    # When one ends by itself moves on with each refresh, of the console's own as well.
    sessions = tuple(replace(one, expires_at=None) for one in console.sessions())
    return [entry.order_id for entry in trail(scene) if entry.order_id], sessions


RESTART = Kind(
    "restart",
    "Stop the local server and start it again: what was granted and bought must still stand.",
    restart,
    observes={"new_process": bool, "orders_kept": bool, "sessions_kept": bool},
    shows=("comparison",),
    why_not=lambda *_: "only the server of this state folder can be restarted from here",
    of_this_folder=True,
)
