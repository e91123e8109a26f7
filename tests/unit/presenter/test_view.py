"""The second screen follows from the plan, the recording and the time: nothing else, and nothing made up."""

from __future__ import annotations

import json

import pytest

from demo.presenter.view import NO_STAGE, OTHER_COMMAND, view
from talk.script.notes import passages
from tests.unit.presenter.talks import beat, end, happened, seen, stage


def test_before_the_first_beat_it_shows_that_one_and_no_time_passes() -> None:
    shown = view(seen(500, None))
    assert (shown.current, shown.following and shown.following.id, shown.speaker) == (None, "one", "Ann")
    assert (shown.talk.gone, shown.section.gone, shown.beat.gone, shown.pace.state) == (0, 0, 0, "on time")
    assert shown.sentence == "That was one."


def test_the_clocks_of_talk_section_and_beat() -> None:
    past = [beat(10, "one"), end(40, "one"), beat(70, "two"), end(90, "two"), beat(130, "three")]
    shown = view(seen(145.9, "three", *past))
    assert shown.current is not None and shown.following is not None
    assert (shown.current.id, shown.following.id) == ("three", "four")
    assert (shown.speaker, shown.then) == ("Ben", "Ann")
    assert [(clock.gone, clock.planned) for clock in (shown.talk, shown.section, shown.beat)] == [
        (135, 300),  # from the first beat on, not from when the run was made
        (15, 180),
        (15, 30),
    ]
    # The beat that has ended is talked about until the next one begins.
    assert view(seen(140, "three", *past, end(135, "three"))).beat.gone == 10


def test_a_beat_played_again_begins_its_clock_again_and_not_its_section_s() -> None:
    shown = view(seen(100, "one", beat(0, "one"), end(20, "one"), beat(90, "one")))
    assert (shown.beat.gone, shown.section.gone, shown.talk.gone) == (10, 100, 100)


@pytest.mark.parametrize("by_remote", [True, False], ids=["by the remote control", "by the stage"])
def test_the_clocks_stand_while_the_talk_is_held_and_run_on_with_the_talk(by_remote: bool) -> None:
    past = [stage(0, "open"), beat(0, "one"), end(20, "one")]
    holds = [(30.0, True)] if by_remote else []
    events = [*past, *([] if by_remote else [stage(30, "hold")])]
    asked = view(seen(100, "one", *events, holds=holds, done=True))
    assert (asked.held, asked.held_seconds, asked.talk.gone, asked.beat.gone) == (True, 70, 30, 30)
    # Nobody need remember to resume it: the next beat does.
    went_on = view(seen(110, "two", *events, beat(100, "two"), holds=holds))
    assert (went_on.held, went_on.held_seconds, went_on.talk.gone, went_on.beat.gone) == (False, 70, 40, 10)
    resumed = view(seen(110, "one", *events, holds=[*holds, (90.0, False)], done=True))
    assert (resumed.held, resumed.talk.gone) == (False, 50)


def test_a_blank_screen_does_not_end_a_hold() -> None:
    events = [stage(0, "open"), beat(0, "one"), stage(10, "hold"), stage(20, "blank")]
    assert view(seen(25, "one", *events)).blank
    shown = view(seen(40, "one", *events, stage(30, "shown")))
    assert (shown.blank, shown.held, shown.held_seconds) == (False, True, 30)
    assert not view(seen(50, "one", *events, stage(30, "shown"), stage(40, "resumed"))).held


def test_when_the_last_beat_has_ended_the_clock_has_nothing_to_count() -> None:
    shown = view(seen(900, "five", beat(0, "five"), end(50, "five"), done=True))
    assert (shown.following, shown.talk.gone, shown.pace.state, shown.skips) == (None, 50, "over", "")


def test_an_encore_leaves_the_plan_where_it_stood() -> None:
    past = [beat(0, "one"), end(20, "one"), beat(30, "more")]
    shown = view(seen(40, "one", *past, done=True))
    assert shown.current is not None and shown.following is not None
    assert (shown.current.id, shown.current.number, shown.following.id) == ("more", 0, "two")
    assert (shown.section.planned, shown.section.gone) == (120, 40)


@pytest.mark.parametrize(
    ("events", "busy", "detached"),
    [
        ([], None, NO_STAGE),
        ([stage(0, "open"), beat(1, "one")], True, ""),
        ([stage(0, "open"), beat(1, "one"), stage(2, "closed")], False, NO_STAGE),
        ([stage(0, "open"), beat(1, "one")], False, NO_STAGE),  # it was killed, and never said that it closed
        ([beat(1, "one")], True, OTHER_COMMAND),  # `demo next` plays
    ],
)
def test_the_screen_says_when_it_leads_nothing(events: list[object], busy: bool | None, detached: str) -> None:
    shown = view(seen(5, "one", *events, busy=busy))  # type: ignore[arg-type]  # events, all of them
    assert shown.detached == detached


def test_skip_leaves_out_the_rest_of_what_plays_and_between_two_beats_the_next_one() -> None:
    assert view(seen(5, "one", beat(0, "one"))).skips == "the rest of one"
    assert view(seen(5, "one", beat(0, "one"), end(4, "one"), done=True)).skips == "two"


def test_what_the_presenter_left_out_does_not_come_next() -> None:
    past = [beat(0, "one"), end(20, "one"), beat(30, "two"), end(50, "two"), end(51, "three")]
    shown = view(seen(60, "three", *past, done=True))
    assert (shown.current and shown.current.id, shown.following and shown.following.id) == ("two", "four")
    assert shown.beat.gone == 30


def test_a_beat_that_was_interrupted_comes_once_more() -> None:
    shown = view(seen(60, "two", beat(0, "one"), end(20, "one"), beat(30, "two"), busy=False))
    assert (shown.state, shown.following and shown.following.id, shown.doing.words) == ("interrupted", "two", "")


def test_what_the_stage_is_at() -> None:
    def at(*events: tuple[float, str, dict[str, object]]) -> tuple[str, str]:
        doing = happened(beat(0, "one"), *events).doing
        return doing.kind, doing.words

    assert at((1, "step", {"id": "buy", "do": "call", "title": "The agent buys"})) == ("step", "The agent buys")
    step, waiting = (1, "step", {"id": "buy", "title": "Buy"}), (1, "waiting", {"what": "the limit", "left": 9})
    assert at(step, waiting) == ("waiting", "waiting for the limit")
    assert at(step, waiting, (1, "panel", {"name": "limits"})) == ("step", "Buy")
    asked = (1.0, "consent", {"state": "asked", "human": "Alice", "agent": "Shirt Agent", "amount": "60.00 USD"})
    wait = (2.0, "waiting", {"what": "the human's decision", "left": 9})
    kind, words = at(asked, wait)
    assert kind == "asked" and all(one in words for one in ("Alice", "Shirt Agent", "60.00 USD"))
    assert at(asked, wait, (3, "consent", {"state": "no", "human": "Alice"})) == ("consent", "Alice said no")
    assert at((1, "trouble", {"text": "the shop does not answer"})) == ("trouble", "the shop does not answer")
    assert at((1, "pause", {"text": ""}))[0] == "pause"
    assert at((1, "pause", {"text": ""}), (2, "go", {})) == ("", "")
    assert at((1, "unheard", {"of": 1})) == ("", "")


def test_the_sentence_is_the_one_that_the_stage_says_where_it_has_said_one() -> None:
    shown = view(seen(5, "one", beat(0, "one"), (4, "closing", {"text": "It was not shown."}), end(4, "one")))
    assert shown.sentence == "It was not shown."
    assert view(seen(5, "one", beat(0, "one", recorded=True))).recorded


def test_notes_are_taken_apart_by_their_labels_and_lose_their_marks() -> None:
    shown = view(seen(5, "two", beat(0, "two")))
    assert [(one.label, one.text) for one in shown.notes] == [
        ("Say", "Hello, room. This is two."),
        ("Point at", "The door. And the window. More."),
    ]
    assert [(one.label, one.text) for one in passages("Only text, 2 * 3 * 4 and snake_case_name.")] == [
        ("", "Only text, 2 * 3 * 4 and snake_case_name.")
    ]
    assert passages("") == ()


def test_it_goes_over_the_wire_as_json() -> None:
    shown = json.loads(json.dumps(view(seen(5, "one", beat(0, "one"))).to_dict()))
    assert (shown["current"]["id"], shown["talk"]) == ("one", {"gone": 5, "planned": 300})
