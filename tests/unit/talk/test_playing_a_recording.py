"""A recorded beat is played again with no server: the same panels, each screen marked, and nothing taken for live."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from demo import panels
from demo.evidence.screen import BeatHeader, Link
from deputize.errors import UsageError
from talk.recording.finding import find, runs
from talk.recording.playing import LEAST_SEEN, LONGEST_WAIT, paced, play_beat
from talk.recording.reader import Event, Take, read, rebuild
from talk.recording.writer import Recording, file_of
from talk.stage.screen import Stage

HEADER = BeatHeader("opening", "Who is there?", 1, 2, "Ann", 0.5)
PANELS = [panels.statement(f"Panel number {number}", "words " * 60) for number in range(4)]
CODE = panels.link(Link("The code", "https://developers.example.com/durable-objects/and/on", "It is all there."))
SAID = "That is all, and it is said in a sentence of two rows, since that is the longest one there may be."


class Watched(Stage):
    """A stage with a person whose keys nobody waits for; each screen is kept, and what was waited for."""

    def __init__(self, recording: Recording | None = None) -> None:
        console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
        super().__init__(console, pace="stage", person=True, recording=recording)
        self.looked = 0

    def _await_go(self, text: str, seconds: float) -> None:
        self.looked += 1

    @property
    def screens(self) -> list[str]:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue().split("\x1b[2J")[1:]


def a_take(state: Path, run: str = "run_1") -> Take:
    recording = Recording(state)
    recording.begin(run, plan="short", talk=None, server="", started_at=0.0)
    stage = Stage(Console(file=io.StringIO(), width=80), recording=recording)
    stage.header(HEADER)
    stage.begin_step("one", "say", "One")
    for panel in PANELS:
        stage.show("statement", panel)
        stage.look()
    stage.show("link", CODE)
    stage.closing(SAID)
    stage.end("opening", ok=True, skipped=None)
    recording.close()
    return read(file_of(state, run))


def test_every_screen_of_it_is_marked(tmp_path: Path) -> None:
    stage = Watched()
    play_beat(a_take(tmp_path), "opening", stage)
    assert len(stage.screens) > 1
    assert all("RECORDED" in screen for screen in stage.screens)
    assert max(screen.count("\n") for screen in stage.screens) < stage.console.height, "it does not scroll away"
    assert stage.looked == len(PANELS), "the pauses of the script"


def test_two_panels_without_a_pause_are_both_seen(tmp_path: Path) -> None:
    take = a_take(tmp_path)
    events = tuple(event for event in take.events if event.name not in ("pause", "go"))
    stage = Watched()
    play_beat(replace(take, events=events), "opening", stage)
    assert stage.looked == len(PANELS), "after each but the last"


def test_what_is_played_into_a_run_is_recorded_there_as_recorded(tmp_path: Path) -> None:
    take, running = a_take(tmp_path), Recording(tmp_path)
    running.begin("run_2", plan="short", talk=None, server="", started_at=0.0)
    play_beat(take, "opening", Watched(running))
    again = read(file_of(tmp_path, "run_2"))
    assert [event["recorded"] for event in again.events if event.name == "beat"] == [True]
    drawn = [rebuild(event).made for event in again.events if event.name == "panel"]
    assert drawn == [rebuild(event).made for event in take.events if event.name == "panel"]
    assert not [event for event in again.events if event.name == "result"], "nothing was done, so nothing is a result"


def test_a_panel_that_cannot_be_drawn_does_not_stop_the_talk(tmp_path: Path) -> None:
    file = a_take(tmp_path).path
    lines = file.read_text().splitlines()
    at = next(at for at, line in enumerate(lines) if '"panel"' in line)
    lines[at] = json.dumps({**json.loads(lines[at]), "with": {"nothing": 1}})
    file.write_text("\n".join(lines) + "\n")
    stage = Watched()
    play_beat(read(file), "opening", stage)
    assert "That is all" in stage.screens[-1]


def test_a_beat_that_is_not_in_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        play_beat(a_take(tmp_path), "nowhere", Watched())


def test_a_play_that_went_on_after_a_crash_is_one_play(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.begin("run_1", plan="short", talk=None, server="", started_at=0.0)
    add = recording.add
    for steps in (("one", "two"), ("two", "three")):  # killed in step two, which is then played again
        add("beat", header=HEADER, recorded=False)
        for step in steps:
            add("step", id=step, do="say", title="")
            recording.panel("statement", step, panels.statement(step, ""))
            if (steps[0], step) != ("one", "two"):
                add("result", step=step, ok=True)
    add("end", beat="opening", ok=True)
    play = read(file_of(tmp_path, "run_1")).beats()["opening"]
    assert [event["step"] for event in play if event.name == "panel"] == ["one", "two", "three"]


def test_a_recording_is_found_by_run_by_plan_and_by_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        find(tmp_path, None)
    file = a_take(tmp_path, "run_a").path
    assert find(tmp_path, None) == find(tmp_path, "run_a") == find(tmp_path, str(file)) == file
    assert runs(tmp_path) == [file]
    with pytest.raises(UsageError) as none:
        find(tmp_path, "run_b")
    assert "run_a" in none.value.why


@pytest.mark.parametrize(
    "line",
    [
        '{"at": 1, "event": "panel"',  # what a crash leaves
        '{"at": 1, "event": "panel", "name": "link", "with": {"link": {"title": "half a li',
        '{"at": 1, "event": "panel", "with": {"a": {}}',
        '{"at": 1, "event": "of a younger program", "x": 1}',
    ],
)
def test_a_line_that_a_crash_cut_is_passed_over(tmp_path: Path, line: str) -> None:
    file = a_take(tmp_path).path
    before = len(read(file).events)
    file.write_text(file.read_text() + line + '\n{"at": 2, "event": "go"}\n')
    assert before < len(read(file).events) <= before + 2


@pytest.mark.parametrize(
    "line",
    [
        "{oops}",
        "[]",
        '{"event": "go"}',
        '{"at": true, "event": "go"}',
        '{"at": 1e999, "event": "go"}',
        '{"at": 1}',
        '{"at": 1, "event": "panel", "name": "link"}',
        '{"at": 1, "event": "beat", "header": {"id": 5}}',
        '{"at": 1, "event": "closing", "text": null}',
        '{"at": 1, "event": "result", "step": "one", "ok": "yes"}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_none_of_a_recording_is_named(tmp_path: Path, line: str) -> None:
    file = a_take(tmp_path).path
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
    with pytest.raises(UsageError, match="line 4"):
        read(file)


def test_a_long_wait_is_cut_and_a_panel_is_seen_long_enough() -> None:
    given = [("beat", 0.0), ("panel", 0.1), ("waiting", 0.2), ("panel", 0.3), ("note", 60.3), ("closing", 60.4)]
    waits = {event.name: (wait, passed) for wait, passed, event in paced(events_of(given))}
    assert waits["note"] == (LONGEST_WAIT, pytest.approx(60.0))
    assert waits["closing"] == (pytest.approx(0.1), pytest.approx(0.1)), "what was there has been seen by then"
    second = [wait for wait, _, event in paced(events_of(given)) if event.name in ("waiting", "panel")]
    assert sum(second[1:]) == pytest.approx(LEAST_SEEN), "a dry run would not leave it there"
    backwards = [wait for wait, _, _ in paced(events_of([("beat", 9.0), ("note", 1.0)]))]
    assert backwards == [0.0, 0.0]


def events_of(given: list[tuple[str, float]]) -> list[Event]:
    return [Event(at, name) for name, at in given]
