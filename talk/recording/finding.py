"""Which recordings there are: those of the runs in a state folder, and that of each plan which ships with the talk."""

from __future__ import annotations

import contextlib
from pathlib import Path

from deputize.errors import UsageError
from talk.recording.writer import FOLDER, file_of

SHIPPED = Path(__file__).parent.parent / "recordings"
"""The recordings that ship with the talk: of each plan one, `PLAN.jsonl`."""
LISTED = 5
"""So many runs are named where the one that was asked for is not there."""


def shipped(plan: str) -> Path | None:
    """The recording of a plan that ships with the talk, None where there is none."""
    file = SHIPPED / f"{plan}.jsonl"
    return file if Path(plan).name == plan and file.is_file() else None


def runs(state: Path) -> list[Path]:
    """The recordings of runs in a state folder, the latest first."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for file in (state / FOLDER).glob("*.jsonl"):
            with contextlib.suppress(OSError):
                found.append((file.stat().st_mtime, file))
    return [file for _, file in sorted(found, reverse=True)]


def find(state: Path, name: str | None) -> Path:
    """The recording that is meant.

    Args:
        name: a run's id, a plan's id, or a file; None for the last run.

    Raises:
        UsageError: there is none of this name; says which there are.
    """
    recorded = runs(state)
    plans = sorted(file.stem for file in SHIPPED.glob("*.jsonl"))
    try_one = f"name a plan: {', '.join(plans)}" if plans else "record one: demo run"
    if name is None:
        if not recorded:
            raise UsageError("no run was recorded yet", do=try_one)
        return recorded[0]
    if Path(name).name == name:
        if (plan := shipped(name)) is not None:
            return plan
        if (run := file_of(state, name)) in recorded:
            return run
    if Path(name).exists():
        return Path(name)
    there = ", ".join([*(file.stem for file in recorded[:LISTED]), *plans])
    more = f" and {len(recorded) - LISTED} older runs" if len(recorded) > LISTED else ""
    raise UsageError(
        f"there is no recording {name!r}",
        why=f"there are: {there}{more}" if there else "no run was recorded yet",
        do="name one of these, or a file" if there else "record one: demo run",
    )
