"""Which faults are rehearsed at which beats, and how they share performances."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talk.rehearsal.faults import FAULTS
from talk.rehearsal.playing import Cell, in_order

if TYPE_CHECKING:
    from talk.script import Beat, Plan


@dataclass
class Planned:
    """One performance: a plan, and its faults by beat."""

    plan: Plan
    cells: dict[str, Cell] = field(default_factory=dict)

    def takes(self, cell: Cell) -> bool:
        """Whether there is room: the beat is in the plan, and it and its neighbours are still without a fault, so that
        each fault is followed by a beat in which everything works again."""
        beats = [one.id for one in in_order(self.plan)]
        if cell.beat not in beats:
            return False
        at = beats.index(cell.beat)
        return not set(beats[max(0, at - 1) : at + 2]) & set(self.cells)

    @property
    def faults(self) -> tuple[Cell, ...]:
        """The cells in the order of the plan."""
        return tuple(self.cells[one.id] for one in in_order(self.plan) if one.id in self.cells)


def everything(plan: Plan, dice: random.Random, faults: Sequence[str] = (), beats: Sequence[str] = ()) -> list[Cell]:
    """Each of these faults at each of these beats of a plan; all where none is named.

    Args:
        dice: says at which step a fault begins that may begin in mid-beat.
    """
    chosen = [one.beat for one in in_order(plan) if not beats or one.id in beats]
    return [_cell(beat, name, dice) for name in faults or FAULTS for beat in chosen]


def representative(beats: Sequence[Beat], dice: random.Random) -> list[Cell]:
    """Each fault once, at a beat where it is felt if there is one, and each beat once."""
    without, cells = {beat.id for beat in beats}, []
    for name, fault in FAULTS.items():
        felt = [beat for beat in beats if fault.felt_at(beat)]
        if not felt:  # a talk in which nobody logs in, say
            continue
        beat = dice.choice([one for one in felt if one.id in without] or felt)
        without.discard(beat.id)
        cells.append(_cell(beat, name, dice))
    for beat in (one for one in beats if one.id in without):
        felt_here = [name for name, fault in FAULTS.items() if fault.felt_at(beat)]
        cells.append(_cell(beat, dice.choice(felt_here), dice))
    return cells


def packed(cells: Iterable[Cell], plans: Sequence[Plan]) -> list[Planned]:
    """Performances that have each cell once, in one of the plans."""
    passes: list[Planned] = []
    for cell in cells:
        here = next((one for one in passes if one.takes(cell)), None)
        if here is None:
            able = [plan for plan in plans if any(one.id == cell.beat for one in in_order(plan))]
            # The plans take turns, so that one is not rehearsed more than the other.
            plan = min(able, key=lambda one: sum(made.plan is one for made in passes))
            here = Planned(plan)
            passes.append(here)
        here.cells[cell.beat] = cell
    return passes


def _cell(beat: Beat, fault: str, dice: random.Random) -> Cell:
    """The fault at this beat: from its beginning, or from one of the steps at which it is felt."""
    midway = FAULTS[fault].felt_at(beat) if FAULTS[fault].strikes_midway else []
    return Cell(beat.id, fault, dice.choice([0, *midway]))
