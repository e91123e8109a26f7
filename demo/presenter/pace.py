"""Pace: how far behind or ahead of its plan a talk is, in words, and which beats may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from talk.run import Cursor
    from talk.script import Plan, PlannedBeat

ON_TIME = 15
"""Seconds behind of which nobody is told: a sentence more or less."""

STEP = 5


@dataclass(frozen=True)
class Pace:
    """How a talk stands against its plan.

    Args:
        seconds: behind the plan; negative ahead of it.
        due: seconds at which the plan has what was played done.
        may_go: ids of optional beats that are still to come, without which the talk would be on time again, or nearly.
        words: all of that, to be read at a glance.
    """

    seconds: int
    due: int
    state: Literal["on time", "behind", "ahead", "over"]
    words: str
    may_go: tuple[str, ...] = ()


NOT_BEGUN = Pace(0, 0, "on time", "not begun")


def pace(plan: Plan, cursor: Cursor, elapsed: float, held: float = 0.0) -> Pace:
    """How a talk stands.

    A beat has its minutes, and within them it is on time: only when they are over, or before they have begun, is a talk
    behind or ahead of its plan. So the words do not change from second to second.

    Args:
        cursor: where the run stands. One that is not in the plan says nothing of the time.
        elapsed: seconds since the talk began.
        held: how many of these went to questions, when the talk's clock stood.
    """
    clock = max(0.0, elapsed - held)
    here = plan.find(cursor.beat) if cursor.beat is not None else None
    if here is None:
        return NOT_BEGUN
    at = plan.position(here.id)
    begins = 60 * sum(one.minutes for one in plan.beats[:at])
    ends = begins + 60 * here.minutes
    due = round(ends if cursor.done else begins)
    if cursor.done and at + 1 == len(plan.beats):
        left = round(60 * plan.minutes - clock)
        words = f"over: {told(left)} left" if left >= 0 else f"over: {told(left)} too long"
        return Pace(-left, due, "over", words)
    if clock < begins - ON_TIME:
        early = _glance(begins - clock)
        return Pace(-early, due, "ahead", f"{told(early)} ahead")
    if clock <= ends + ON_TIME:
        return Pace(0, due, "on time", "on time")
    late = _glance(clock - ends)
    to_come = plan.beats[at + 1 :]
    chosen = _fewest(to_come, late - ON_TIME)
    words = f"{told(late)} behind"
    words += f": {_listed(one.id for one in chosen)} may go" if chosen else ": nothing that is left may go"
    return Pace(late, due, "behind", words, tuple(one.id for one in chosen))


def _glance(seconds: float) -> int:
    """Seconds in steps, so that the words stand still long enough to be read."""
    return int(seconds) // STEP * STEP


def told(seconds: float) -> str:
    """Seconds as a clock shows them, without a sign: "1:20"."""
    whole = int(abs(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def _fewest(to_come: Iterable[PlannedBeat], late: float) -> tuple[PlannedBeat, ...]:
    """The fewest optional beats that make up for so many seconds, and of those the shortest; all where all are too few.
    Nothing that comes later builds on one of them (`talk.script.plan`)."""
    optional = [one for one in to_come if one.optional]

    def seconds(some: Iterable[PlannedBeat]) -> float:
        return 60 * sum(one.minutes for one in some)

    for count in range(1, len(optional)):
        if enough := [some for some in combinations(optional, count) if seconds(some) >= late]:
            return min(enough, key=seconds)
    return tuple(optional)


def _listed(names: Iterable[str]) -> str:
    """Names in a row: "a", "a and b", "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
