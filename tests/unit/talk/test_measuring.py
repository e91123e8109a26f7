"""What a room of the design size would not see is named: a panel that goes by unread, and a text that is on none."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from rich.console import Console

from demo import panels
from demo.evidence.screen import BeatHeader
from talk.measuring import DESIGN_SIZE, MeasuringStage
from talk.playing.kind import Step
from talk.results import StepResult
from talk.script import Beat, PlannedBeat
from talk.script.timing import seconds_to_say, too_long

TALL = "Who authorized this action?\nCan I take that authority back now?"
EMPTY = MappingProxyType[str, object]({})


def step(name: str, **changes: object) -> Step:
    given = Step(name, "say", "", EMPTY, EMPTY, ("statement",))
    return replace(given, **changes)  # type: ignore[arg-type]  # a test's own fields


def staged(*steps: Step) -> MeasuringStage:
    """A beat of these steps, its header drawn."""
    beat = Beat("ask", "It asks", (), "It asked.", (), steps, "", Path("ask.md"))
    stage = MeasuringStage(Console(file=io.StringIO()), (DESIGN_SIZE,), {"ask": beat})
    stage.header(BeatHeader("ask", "It asks", 1, 1, "Ada", 1.0))
    return stage


def play(stage: MeasuringStage, *steps: Step, text: str = TALL, skipped: str | None = None) -> list[str]:
    """Each step shows one statement; what was not seen of it."""
    for one in steps:
        stage.begin_step(one.id, one.do, one.title)
        stage.result(StepResult(one.id, one.do, True, 0.0, skipped=skipped))
        if skipped is None:
            stage.show("statement", panels.statement(text))
            if one.pause:
                stage.look()
    stage.closing("It asked.")
    stage.end("ask", ok=True, skipped=skipped)
    return stage.unseen


def test_a_panel_that_another_one_pushes_off_unread_is_named() -> None:
    steps = step("one"), step("two")
    (unseen,) = play(staged(*steps), *steps)
    assert "beat ask: the panel statement is pushed off" in unseen


def test_a_pause_lets_the_room_look_at_it() -> None:
    steps = step("one", pause=("statement",)), step("two")
    assert play(staged(*steps), *steps) == []


def test_two_panels_that_fit_together_need_no_pause() -> None:
    steps = step("one"), step("two")
    assert play(staged(*steps), *steps, text="Yes.") == []


def test_what_a_step_holds_on_the_screen_is_looked_at() -> None:
    asked = step("one", do="login", show=("device",))
    stage = staged(asked, step("two"))
    stage.begin_step("one", "login", "")
    stage.show("device", panels.statement(TALL))
    assert play(stage, step("two")) == []


def test_a_text_that_must_be_seen_and_is_on_no_panel_is_named() -> None:
    wanted = step("one", see=("a hero", "a villain"))
    (unseen,) = play(staged(wanted), wanted, text="A shop needs a hero; nobody else.")
    assert "step one: 'a villain' cannot be read" in unseen


def test_of_a_step_that_was_skipped_nothing_must_be_seen() -> None:
    wanted = step("one", see=("a villain",))
    assert play(staged(wanted), wanted, skipped="there is no villain here") == []


@pytest.mark.parametrize(("minutes", "played", "fits"), [(0.5, 0.0, True), (0.4, 0.0, False), (0.5, 10.0, False)])
def test_a_beat_has_the_minutes_that_its_words_and_its_play_take(minutes: float, played: float, fits: bool) -> None:
    notes = "**Say.** " + "word " * 58 + "\n\n**Point at.** " + "not said " * 500
    beat = Beat("ask", "It asks", (), "It asked.", (), (), notes, Path("ask.md"))
    assert seconds_to_say(beat) == pytest.approx(60 * 60 / 140)
    assert (too_long(PlannedBeat("ask", minutes, "Ada", "One", {"ask": beat}), played) is None) is fits


def test_a_consent_takes_the_time_of_an_answer() -> None:
    asks = step("login", do="login", options=MappingProxyType({"ask": True}))
    beat = Beat("ask", "It asks", (), "It asked.", (), (asks,), "**Say.** Yes.", Path("ask.md"))
    assert too_long(PlannedBeat("ask", 0.1, "Ada", "One", {"ask": beat})) is not None
