"""What a rehearsal found, as a table: at each beat of each fault what was shown, how it went on, seconds lost."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from talk.rehearsal.faults import FAULTS
from talk.rehearsal.playing import Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Report:
    """What was found. `outside` is what tried to leave this machine."""

    outcomes: tuple[Outcome, ...]
    outside: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def faults(self) -> list[Outcome]:
        """The beats with a fault, with the seconds lost by it: against the same beat without one, where this rehearsal
        has played it so."""
        usual: dict[tuple[str, str], list[float]] = {}
        for one in self.outcomes:
            if not one.fault:
                usual.setdefault((one.plan, one.beat), []).append(one.seconds)
        return [
            replace(one, lost=max(0.0, one.seconds - statistics.median(usual[one.plan, one.beat])))
            if (one.plan, one.beat) in usual
            else one
            for one in self.outcomes
            if one.fault
        ]

    @property
    def wrong(self) -> list[Outcome]:
        """What did not end in a recovery."""
        return [one for one in self.outcomes if one.wrong]

    @property
    def ok(self) -> bool:
        """Whether every fault ended in a recovery, and nothing left this machine."""
        return not self.wrong and not self.outside

    def as_json(self) -> dict[str, Any]:
        """It as one JSON object."""
        cells = [asdict(one) for one in (*self.faults, *(one for one in self.wrong if not one.fault))]
        return {
            "schema": 1,
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "outside": list(self.outside),
            "cells": cells,
        }


def table(report: Report) -> RenderableType:
    """The table: a part for each fault, in the registry's order; a line for each beat."""
    from rich.console import Group
    from rich.text import Text

    plans = len({one.plan for one in report.outcomes}) > 1
    drawn: list[RenderableType] = []
    for name in FAULTS:
        rows = [one for one in report.faults if one.fault == name]
        if not rows:
            continue
        drawn.append(Text.assemble((name, "bold"), "  ", (FAULTS[name].about, "dim")))
        for one in rows:
            beat = f"  {one.beat}" + (f" ({_initials(one.plan)})" if plans else "")
            line = Text(f"{beat:28}", no_wrap=True, overflow="ellipsis")
            line.append(f"{'NO RECOVERY' if one.wrong else one.how:11}", "bold red" if one.wrong else "")
            line.append(f"{_lost(one):>6}  ")
            line.append(" ".join(one.shown.split()), "dim")
            drawn.append(line)
    return Group(*drawn)


def summary(report: Report) -> list[str]:
    """What there is to say below the table: first what is wrong, at last the sum."""
    lines = []
    for one in report.wrong:
        where = f"{one.plan} / {one.beat} / {one.fault or 'no fault'}" + (f" from step {one.step}" if one.step else "")
        lines.append(f"{where}: {one.wrong}")
    lines += [f"left this machine: {what}" for what in dict.fromkeys(report.outside)]
    cells = report.faults
    recovered = sum(not one.wrong for one in cells)
    faults, beats = len({one.fault for one in cells}), len({one.beat for one in cells})
    lines.append(
        f"{recovered} of {len(cells)} recovered: {_many(faults, 'fault')} at {_many(beats, 'beat')}, "
        f"{report.seconds:.0f} s"
    )
    return lines


def _lost(one: Outcome) -> str:
    return f"{one.lost:.0f} s" if one.lost is not None else f"<{one.seconds + 1:.0f} s"


def _initials(plan: str) -> str:
    return "".join(word[:1] for word in plan.split("-"))


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
