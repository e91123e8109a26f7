"""The desk reads real files: a run, its recording, the remote control. Their writers never hear of it."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from demo.evidence.screen import BeatHeader
from demo.presenter.desk import Desk
from demo.settings import Settings
from talk.recording.remote import FILE as REMOTE
from talk.recording.remote import RemoteControl
from talk.recording.writer import Recording, file_of
from talk.run import Run
from talk.run_file import FILE
from tests.conftest import Command


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.time", made)
    return made


def header(beat: str) -> BeatHeader:
    return BeatHeader(beat, f"The {beat}", 1, 20, "Ann", 0.5)


def begun(state: Path, plan: str = "problem-first") -> Recording:
    with Run.open(state) as run:
        id_ = run.begin(plan=plan, talk=None, server="", world="")
        about = run.about()
        run.place("opening", done=False)
    assert about is not None
    recording = Recording(state)
    recording.begin(id_, plan=plan, talk=None, server="", started_at=about["started_at"])
    return recording


def test_it_looks_and_makes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    shown = Desk(Settings(state=state)).view()
    assert (shown.current, shown.following and shown.following.id) == (None, "opening")
    assert not state.exists()


def test_it_follows_a_recording_as_it_grows_and_a_fresh_run(tmp_path: Path, clock: Clock) -> None:
    recording = begun(tmp_path)
    desk = Desk(Settings(state=tmp_path), clock=clock)
    recording.add("stage", state="open")
    recording.add("beat", header=header("opening"), play=1, recorded=False)
    clock.now += 12
    first = desk.view()
    assert (first.current and first.current.id, first.beat.gone, first.state) == ("opening", 12, "interrupted")
    recording.add("end", beat="opening", ok=True, skipped=None)
    recording.add("beat", header=header("mcp"), play=1, recorded=False)
    clock.now += 5
    assert (desk.view().current or first.current).id == "mcp"  # type: ignore[union-attr]  # neither is None
    begun(tmp_path, plan="context-first")
    clock.now += 1
    fresh = desk.view()
    assert (fresh.plan, fresh.current and fresh.current.id, fresh.talk.gone) == ("Context first", "opening", 1)


def test_a_run_without_a_recording_still_has_its_place_and_its_clock(tmp_path: Path, clock: Clock) -> None:
    begun(tmp_path).close()
    for file in (tmp_path / "recordings").iterdir():
        file.unlink()
    clock.now += 30
    shown = Desk(Settings(state=tmp_path), clock=clock).view()
    assert (shown.current and shown.current.id, shown.talk.gone) == ("opening", 30)


@pytest.mark.parametrize("text", [b"\x00\xff" * 50, b'{"recording": 99}\n[]\n{"at": "x"}\n', b'{"at": 1, "event": "be'])
def test_a_broken_recording_is_read_as_far_as_it_says_something(tmp_path: Path, clock: Clock, text: bytes) -> None:
    recording = begun(tmp_path)
    with file_of(tmp_path, recording._run or "").open("ab") as opened:  # the writer's own file
        opened.write(text)
    shown = Desk(Settings(state=tmp_path), clock=clock).view()
    assert (shown.trouble, shown.current and shown.current.id) == ("", "opening")


def test_a_damaged_run_and_a_talk_that_is_gone_are_said(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir(mode=0o700)
    (damaged / FILE).write_bytes(b"no database at all" * 100)
    assert "damaged" in Desk(Settings(state=damaged)).view().trouble
    gone = tmp_path / "gone"
    with Run.open(gone) as run:
        run.begin(plan="mine", talk=str(tmp_path / "nowhere"), server="", world="")
    desk = Desk(Settings(state=gone))
    assert "nowhere" in desk.view().trouble and "nowhere" in desk.view().trouble


def test_what_should_not_break_is_said_and_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(Settings(state=tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr("demo.presenter.desk.view", lambda _: 1 / 0)
        assert "ZeroDivisionError" in desk.view().trouble
    assert desk.view().trouble == ""


def test_a_key_that_is_held_down_leads_the_stage_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, desk, now = RemoteControl(tmp_path), Desk(Settings(state=tmp_path)), 100.0
    for seconds, presses in ((0.003, 300), (0.03, 100), (1.0, 1)):  # a storm, a key that repeats, a press after a rest
        for _ in range(presses):
            now += seconds
            monkeypatch.setattr("demo.presenter.desk.time.monotonic", lambda: now)  # noqa: B023  # asked at once
            assert desk.send("next") == ""
    assert desk.send("goto", "mcp") == ""
    assert [(one.do, one.beat) for one in remote.new()] == [("next", None), ("next", None), ("goto", "mcp")]


def test_a_stage_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    (tmp_path / REMOTE).mkdir()
    assert "stage" in Desk(Settings(state=tmp_path)).send("next")


def test_a_hold_from_the_second_screen_stops_the_clock_without_a_stage(tmp_path: Path, clock: Clock) -> None:
    recording = begun(tmp_path)
    desk = Desk(Settings(state=tmp_path), clock=clock)
    recording.add("beat", header=header("opening"), play=1, recorded=False)
    clock.now += 10
    desk.send("hold")
    clock.now += 60
    held = desk.view()
    assert (held.held, held.held_seconds, held.talk.gone) == (True, 60, 10)
    # One that is opened later knows it, too.
    assert Desk(Settings(state=tmp_path), clock=clock).view().held_seconds == 60


def test_a_stage_writes_on_beside_a_reader_that_never_reads(tmp_path: Path) -> None:
    """The file has no reader to wait for: not one that stands still, nor one that was killed."""
    recording = begun(tmp_path)
    stuck = file_of(tmp_path, recording._run or "").open("rb")  # opened, and never read
    with sqlite3.connect(f"file:{tmp_path / FILE}?mode=ro", uri=True) as reading:
        reading.execute("BEGIN").execute("SELECT * FROM run").fetchone()  # a look at the run that never ends
        done = threading.Event()

        def perform() -> None:
            with Run.open(tmp_path) as run, run.performing():
                for number in range(200):
                    recording.add("note", text="x" * 1000)
                    run.place("opening", done=bool(number % 2))
            done.set()

        threading.Thread(target=perform, daemon=True).start()
        assert done.wait(30)
    stuck.close()
    assert recording.trouble is None


def test_status_tells_the_numbers_of_the_second_screen(demo: Command) -> None:
    import json

    assert demo("next").returncode == 0
    shown = Desk(Settings(state=demo.state)).view()
    status = json.loads(demo("status", "--json").stdout)
    assert (status["beat"], status["planned_seconds"]) == ("opening", shown.pace.due)
    assert status["elapsed_seconds"] == pytest.approx(shown.talk.gone, abs=5)
    assert (status["behind_seconds"], status["held_seconds"], status["may_go"]) == (shown.pace.seconds, 0, [])
