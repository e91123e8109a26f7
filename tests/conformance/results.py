"""What a scenario came to: the suite's `checks.json` read, counted and judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Leg = Literal["client", "server", "authorization"]

JUDGED: Final = {"SUCCESS": "passed", "WARNING": "warnings", "FAILURE": "failures", "SKIPPED": "skipped"}
NOTES: Final = frozenset({"INFO"})
"""Statuses that say something and judge nothing."""


@dataclass(frozen=True)
class Job:
    """One scenario to run, on one revision's wire."""

    leg: Leg
    scenario: str
    revision: str
    door: str = ""
    """Of the server leg: the door that is asked, "open" or "protected"."""


@dataclass(frozen=True)
class Outcome:
    """How often each verdict was given, and in words what is wrong; nothing is when `faults` is empty."""

    job: Job
    passed: int = 0
    warnings: int = 0
    failures: int = 0
    skipped: int = 0
    faults: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Something was checked, and all of it held."""
        return not self.faults


def judge(job: Job, files: Sequence[Path], *, ended_badly: str = "", seconds: float = 0.0) -> Outcome:
    """The outcome of a scenario. A warning is a fault as a failure is; so is a scenario that checked nothing.

    Args:
        files: every `checks.json` that its run has left.
        ended_badly: in words, when the suite itself said no (its exit code, a time-out).
    """
    counts = dict.fromkeys(JUDGED.values(), 0)
    faults: list[str] = []
    for file in files:
        try:
            checks = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            faults.append(f"its checks cannot be read: {error}")
            continue
        for check in checks:
            status = check.get("status")
            if status in JUDGED:
                counts[JUDGED[status]] += 1
            elif status not in NOTES:
                faults.append(f"{check.get('id')}: of unknown status {status!r}")
            if status in ("FAILURE", "WARNING"):
                said = check.get("errorMessage") or check.get("description") or ""
                faults.append(f"{check.get('id')}: {status.lower()}: {_one_line(str(said))}")
    if counts["passed"] + counts["warnings"] + counts["failures"] == 0:
        faults.append("no check was made")
    if ended_badly and not counts["warnings"] + counts["failures"]:  # with those, it ends badly as it should
        faults.append(ended_badly)
    return Outcome(job, **counts, faults=tuple(faults), seconds=seconds)


def total(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The counts of all together, with how many scenarios there were and how many of them are ok."""
    found = list(outcomes)
    sums = {name: sum(getattr(one, name) for one in found) for name in JUDGED.values()}
    return {"scenarios": len(found), "ok": sum(one.ok for one in found), **sums}


def _one_line(text: str, most: int = 300) -> str:
    flat = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return flat if len(flat) <= most else f"{flat[: most - 3]}..."
