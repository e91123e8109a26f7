"""What samples come to: quantiles for each user and over all, one side beside the other. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.load import Round, Sample


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them (0 to 1) do not exceed: nearest rank, nothing between.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True)
class Side:
    """One side of a comparison; times in seconds.

    `p50` and `p99` are over all calls. `user_p50` and `user_p99` are of the user in the middle, when each user's own
    p50 and p99 are put in order; `worst_p50` is the p50 of the user who was served worst.
    """

    calls: int
    users: int
    p50: float
    p99: float
    user_p50: float
    user_p99: float
    worst_p50: float
    per_second: float


def side(rounds: Iterable[Round]) -> Side:
    """The figures of one side's rounds.

    Raises:
        ValueError: not one call was answered.
    """
    samples: list[Sample] = []
    took = 0.0
    for one in rounds:
        samples.extend(one.samples)
        took += one.seconds
    by_user: dict[str, list[float]] = {}
    for sample in samples:
        by_user.setdefault(sample.user, []).append(sample.seconds)
    seconds = [sample.seconds for sample in samples]
    halves = [quantile(of_one, 0.5) for of_one in by_user.values()]
    return Side(
        calls=len(samples),
        users=len(by_user),
        p50=quantile(seconds, 0.5),
        p99=quantile(seconds, 0.99),
        user_p50=statistics.median(halves),
        user_p99=statistics.median(quantile(of_one, 0.99) for of_one in by_user.values()),
        worst_p50=max(halves),
        per_second=len(samples) / took,
    )


@dataclass(frozen=True)
class Growth:
    """Resident memory of workerd, in bytes, around two pieces of work of as many calls each.

    First `calls` calls to one object that is there, then a first call to each of `calls` objects that were not.
    """

    calls: int
    before: int
    after_same: int
    after_new: int

    @property
    def per_object(self) -> float:
        """Bytes by which a new object grew the process beyond what its call alone would have; may be below zero."""
        return ((self.after_new - self.after_same) - (self.after_same - self.before)) / self.calls


@dataclass(frozen=True)
class Size:
    """So many users against one, and the figures of both sides."""

    users: int
    many: Side
    one: Side


@dataclass(frozen=True)
class Made:
    """New objects against one that is there: their first calls, and what workerd holds (None: it cannot be read)."""

    users: int
    new: Side
    same: Side
    memory: Growth | None


@dataclass(frozen=True)
class Woken:
    """Objects that nobody called for `idle` seconds, against one that was called all the time."""

    idle: float
    woken: Side
    awake: Side


@dataclass(frozen=True)
class Kind:
    """One kind of call among the same users."""

    tool: str
    figures: Side


@dataclass
class Outcome:
    """What was measured, as far as time allowed; `missing` names what it did not."""

    in_flight: int
    lost: int = 0
    made: list[Made] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    woken: Woken | None = None
    kinds: list[Kind] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
