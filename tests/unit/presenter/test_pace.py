"""Pace: within its minutes a beat is on time; after them the fewest optional beats that help are named."""

from __future__ import annotations

import pytest

from demo.presenter.pace import ON_TIME, pace, told
from talk.run import Cursor
from tests.unit.presenter.talks import PLAN


@pytest.mark.parametrize(
    ("beat", "done", "elapsed", "held", "state", "seconds", "may_go"),
    [
        (None, False, 500, 0, "on time", 0, ()),
        ("two", False, 60, 0, "on time", 0, ()),
        ("two", True, 119, 0, "on time", 0, ()),
        ("two", False, 120 + ON_TIME, 0, "on time", 0, ()),
        ("two", False, 145, 0, "behind", 25, ("three",)),  # the shortest that is enough
        ("one", True, 145, 0, "behind", 85, ("four",)),
        ("one", True, 240, 0, "behind", 180, ("three", "four")),  # too few, and all there are
        ("one", True, 240, 180, "on time", 0, ()),  # three minutes went to questions
        ("two", False, 20, 0, "ahead", -40, ()),
        ("four", False, 300, 0, "behind", 60, ()),  # one that plays already does not go
        ("five", False, 400, 0, "behind", 100, ()),
        ("five", True, 290, 0, "over", -10, ()),
        ("five", True, 310, 0, "over", 10, ()),
        ("more", True, 310, 0, "on time", 0, ()),  # an encore is no place in the plan
        ("two", False, -50, 0, "ahead", -60, ()),  # a clock that was set back
    ],
)
def test_pace(
    beat: str | None, done: bool, elapsed: float, held: float, state: str, seconds: int, may_go: tuple[str, ...]
) -> None:
    found = pace(PLAN, Cursor(beat, done), elapsed, held)
    assert (found.state, found.seconds, found.may_go) == (state, seconds, may_go)
    assert all(name in found.words for name in may_go)


def test_what_was_played_is_due_at_its_end_and_what_plays_at_its_beginning() -> None:
    assert pace(PLAN, Cursor("two", False), 0).due == 60
    assert pace(PLAN, Cursor("two", True), 0).due == 120


def test_seconds_are_told_as_a_clock_shows_them() -> None:
    assert [told(seconds) for seconds in (0, 59.9, 60, -80, 3600)] == ["0:00", "0:59", "1:00", "1:20", "60:00"]
