"""The full-screen session: a real run of a small talk in words, led by keys under Textual's own pilot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from demo.panels import theme
from demo.settings import Settings
from deputize.errors import EnvironmentNotReady
from talk.director import Director
from talk.playing import KINDS
from talk.recording import remote
from talk.recording.writer import Recording, file_of
from talk.run import Run
from talk.script import load_talk
from talk.show import Show
from talk.stage import overlays
from talk.stage.app import Listed, Session, StageApp
from talk.stage.control import REST_SECONDS, Control, Order
from talk.stage.keys import Key
from talk.stage.live import LiveStage
from talk.stage.sheet import paint
from tests.conftest import HANGS

BEATS = ("first", "second", "third")


def write_talk(folder: Path) -> Path:
    """Three beats in words; the second one pauses after its first step."""
    for name in BEATS:
        steps = "".join(
            f'[[steps]]\nid = "{step}"\ndo = "say"\ntext = "{name} ({step})"\n'
            f"pause = {str(name == 'second' and step == 'one').lower()}\n"
            for step in ("one", "two")
        )
        file = folder / "beats" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f'+++\ntitle = "The {name}"\nsay = "Said of {name}."\n{steps}+++\n\n**Say.** Notes of {name}.\n'
        )
    listed = ", ".join(f'{{ id = "{name}", minutes = 1, speaker = "S" }}' for name in BEATS)
    plan = f'title = "Small talk"\nminutes = 3\n[[sections]]\ntitle = "All"\nminutes = 3\nbeats = [{listed}]\n'
    (folder / "plans").mkdir()
    (folder / "plans" / "small.toml").write_text(plan)
    return folder


class Played:
    """A session: its talk in a thread of its own, its screen under a pilot."""

    def __init__(self, folder: Path, *, fallback: str = "ask") -> None:
        self.state = folder / "state"
        self.control = Control()
        recording = Recording(self.state)
        self.live = LiveStage(self.control, lambda: self.app.redraw(), fallback=fallback, recording=recording)
        beats = tuple(Listed(name, f"The {name}", f"{at}/3", f"**Say.** {name}") for at, name in enumerate(BEATS, 1))
        says = "import os, sys; print('ran', sys.argv[1:], 'at', os.environ['DEMO_STATE'])"
        command, environment = (sys.executable, "-c", says), {"DEMO_STATE": str(self.state)}
        self.app = StageApp(self.live, Session(self.state, beats, command, environment))
        self.failure: BaseException | None = None
        self._talk = folder / "talk"
        self.thread = threading.Thread(target=self._lead, daemon=True)

    def _lead(self) -> None:
        try:
            settings = Settings(server="http://127.0.0.1:9", state=self.state)
            with Run.open(self.state) as run, run.performing():
                Show(Director(run, load_talk(self._talk), settings, self.live, plan="small"), self.live).run()
        except BaseException as failure:
            self.failure = failure

    def screen(self, width: int = 80, height: int = 24) -> str:
        lines = paint(self.live.sheet, width, height)
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    def events(self) -> list[dict[str, Any]]:
        (file,) = (self.state / "recordings").glob("*.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()[1:]]

    def recorded(self) -> int:
        return len(self.events()) if list((self.state / "recordings").glob("*.jsonl")) else 0

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["event"] == name]

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self.failure is None, self.failure
            assert time.monotonic() < deadline, self.screen()
            await asyncio.sleep(0.01)

    async def go(self, pilot: Pilot[None], key: str = "space") -> None:
        """Press a key that goes on, and see that the talk did."""
        await asyncio.sleep(REST_SECONDS + 0.02)
        before = self.live.sheet
        await pilot.press(key)
        await self.until(lambda: self.live.sheet is not before and self.control.awaited in ("go", "order"))

    def stands(self) -> tuple[str, bool]:
        """The beat on the screen, and whether its sentence is."""
        header = self.live.sheet.header
        return (header.id if header else "", bool(self.live.sheet.closing))


@contextlib.asynccontextmanager
async def session(
    folder: Path, size: tuple[int, int] = (80, 24), **given: Any
) -> AsyncIterator[tuple[Played, Pilot[None]]]:
    played = Played(folder, **given)
    async with played.app.run_test(size=size) as pilot:
        played.thread.start()
        await played.until(lambda: played.control.awaited == "order")
        try:
            yield played, pilot
        finally:
            played.control.request(Order("close"))
            played.thread.join(HANGS)
    assert not played.thread.is_alive()
    assert played.failure is None
    assert played.app.broke is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_talk(tmp_path / "talk")
    return tmp_path


@pytest.fixture(autouse=True)
def _usual_theme() -> Iterator[None]:
    yield
    theme.use("terminal")


def test_a_clicker_alone_plays_the_talk_and_its_pauses(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            assert "space begins" in played.screen()
            await played.go(pilot, "pagedown")
            assert played.stands() == ("first", True)
            await played.go(pilot, "right")
            assert played.stands() == ("second", False)
            assert "second (one)" in played.screen() and "second (two)" not in played.screen()
            await played.go(pilot, "down")
            assert played.stands() == ("second", True)
            assert "second (one)" not in played.screen()  # after the pause a screen of its own
            await played.go(pilot, "space")
            assert played.stands() == ("third", True)
            await played.go(pilot, "space")  # the end, which is said
            assert played.stands() == ("third", True)
            said = played.live.sheet.notes
            await asyncio.sleep(REST_SECONDS + 0.02)
            pressed = len(played.named("note"))
            await pilot.press("space")  # said again it would push the last screen away
            await played.until(lambda: len(played.named("note")) > pressed and played.control.awaited == "order")
            assert played.live.sheet.notes == said
            assert {"first", "second", "third"} == played.live.played
            assert [event["state"] for event in played.named("stage")] == ["open"]
        assert [event["state"] for event in played.named("stage")] == ["open", "closed"]

    asyncio.run(play())


def test_keys_in_a_storm_skip_nothing(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, _):
            for number in range(300):  # a second of them, however long this machine takes for it
                played.app.pressed("space", 1000 + number / 300)
                await asyncio.sleep(0.003)
            await played.until(lambda: played.control.awaited == "order")
            assert played.stands() == ("first", True)

    asyncio.run(play())


def test_no_reflex_ends_it_and_what_is_not_bound_does_nothing(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            before = played.live.sheet
            for key in ("escape", "escape", "f5", "f1", "tab", "x", "q", "delete", "home", "ctrl+d", "backspace"):
                await pilot.press(key)
            await pilot.click()
            await pilot.double_click()
            assert played.control.press(Key("paste", "y\ny\n")) is False
            assert played.live.sheet is before
            await pilot.press("ctrl+q")
            assert isinstance(played.app.screen, overlays.End)
            await pilot.press("ctrl+c", "enter")  # twice is no yes
            assert not isinstance(played.app.screen, overlays.End)
            assert played.app.is_running
            await pilot.press("ctrl+q", "y")
        assert not played.app.is_running

    asyncio.run(play())


def test_back_repeat_and_the_picker_go_where_they_say(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            await played.go(pilot)
            assert played.stands() == ("second", False)  # in the middle of it
            await played.go(pilot, "b")
            assert played.stands() == ("first", True)
            await played.go(pilot)
            assert played.stands() == ("second", False)  # from its beginning again, and nothing is resumed
            assert "going on after" not in played.screen()
            await pilot.press("g", *"thi")
            await played.go(pilot, "enter")
            assert played.stands() == ("third", True)
            await played.go(pilot, "r")
            assert played.stands() == ("third", True)
            beats = [event["header"]["id"] for event in played.named("beat")]
            assert beats == ["first", "second", "first", "second", "third", "third"]

    asyncio.run(play())


def test_killed_in_the_middle_of_a_beat_the_next_session_goes_on_there(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            await played.go(pilot)
            assert played.stands() == ("second", False)
        async with session(folder) as (played, pilot):
            assert "The second" in played.screen()
            await played.go(pilot)
            assert played.stands() == ("second", True)
            assert len(played.named("panel")) == 4  # of two beats, each step once

    asyncio.run(play())


def test_black_is_black_and_the_next_press_only_shows_the_screen_again(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            await pilot.press("full_stop")
            await pilot.pause()
            assert all(not "".join(segment.text for segment in strip).strip() for strip in played.app.view.drawn())
            await asyncio.sleep(REST_SECONDS)
            await pilot.press("space")
            assert played.stands() == ("first", True)
            assert not played.app.view.blank
            assert [event["state"] for event in played.named("stage")] == ["open", "blank", "shown"]

    asyncio.run(play())


def test_the_second_screen_turns_the_talk(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, _):
            for do, beat, stands in (
                ("next", None, ("first", True)),
                ("goto", "third", ("third", True)),
                ("back", None, ("second", False)),
                ("again", None, ("second", False)),
                ("skip", None, ("second", False)),
                ("next", None, ("third", True)),
            ):
                count = played.recorded()
                remote.send(played.state, do, beat)  # type: ignore[arg-type]  # of the table above
                await played.until(partial(lambda before: played.recorded() > before, count))
                await played.until(lambda: played.control.awaited in ("go", "order"))
                assert played.stands() == stands, do
            remote.send(played.state, "goto", "nowhere")
            remote.send(played.state, "hold")
            await played.until(lambda: played.named("stage")[-1]["state"] == "hold")
            remote.send(played.state, "resume")
            await played.until(lambda: played.named("stage")[-1]["state"] == "resumed")
            assert played.stands() == ("third", True)

    asyncio.run(play())


def test_it_is_drawn_anew_at_every_size(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            for size in ((120, 40), (60, 20), (20, 6), (160, 45), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
                strips = played.app.view.drawn()
                assert (strips[0].cell_length, len(strips)) == size
            for key in ("plus", "plus", "minus", "minus", "minus", "plus"):
                await pilot.press(key)
            assert played.app.view.scale == 0

    asyncio.run(play())


def test_notes_wire_and_help_lie_over_it_and_a_press_takes_them_away(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            for key, kind in (("n", overlays.Notes), ("w", overlays.Wire), ("question_mark", overlays.Help)):
                await pilot.press(key)
                assert isinstance(played.app.screen, kind)
                await pilot.press("down", "up", "space")
                assert not isinstance(played.app.screen, kind)
            assert played.stands() == ("first", True)

    asyncio.run(play())


def test_what_lies_over_it_is_left_once_however_many_keys_say_so(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            for key in ("n", "question_mark", "g", "colon", "ctrl+q"):
                await pilot.press(key)
                over = played.app.screen
                assert isinstance(over, overlays.Overlay)
                over.leave()
                over.leave()
                await pilot.pause()
                assert played.app.screen is not over
            assert played.app.broke is None

    asyncio.run(play())


def test_where_the_screen_breaks_another_one_shows_the_same_talk(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            other = StageApp(played.live, played.app.session)
            async with other.run_test(size=(80, 24)):
                assert "Said of first." in "".join(segment.text for strip in other.view.drawn() for segment in strip)

    asyncio.run(play())


def test_a_command_a_la_carte_runs_in_the_same_state_and_words_for_the_talk_lead_it(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await pilot.press("colon", *"orders --json", "enter")
            screen = played.app.screen
            assert isinstance(screen, overlays.CommandLine)
            await played.until(lambda: "['orders', '--json']" in screen.said and str(played.state) in screen.said)
            await pilot.press(*["backspace"] * 20, *"presenter --web", "enter")  # whose key is not for the room
            await played.until(lambda: "another terminal" in screen.said)
            assert "--web" not in screen.said
            await pilot.press("escape", "colon", *"goto third", "enter")
            await played.until(lambda: played.stands() == ("third", True))
            await pilot.press("colon", *"quit", "enter")
        assert not played.app.is_running

    asyncio.run(play())


@pytest.mark.parametrize("closing", ["space", "pagedown", "t"])
def test_what_the_token_says_is_read_and_closed_as_the_notes_are(folder: Path, closing: str) -> None:
    async def play() -> None:
        async with session(folder) as (played, pilot):
            await pilot.press("t")
            screen = played.app.screen
            assert isinstance(screen, overlays.Token)
            await played.until(lambda: "['token']" in screen.said and str(played.state) in screen.said)
            await pilot.press(closing)
            assert not isinstance(played.app.screen, overlays.Overlay)
            assert played.control.awaited == "order", "it closed, and the talk stands where it stood"

    asyncio.run(play())


@pytest.mark.parametrize(("keys", "stands"), [("r", ("first", True)), ("s", ("first", False))])
def test_a_failure_is_one_line_and_one_key_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch, keys: str, stands: tuple[str, bool]
) -> None:
    fails = [EnvironmentNotReady("the disk is full", do="free some")]

    def play_step(step: Any, scene: Any) -> Any:
        if fails:
            raise fails.pop()
        return plays(step, scene)

    say = KINDS["say"]
    plays = say.play
    monkeypatch.setattr(sys.modules["talk.playing.words"], "SAY", replace(say, play=play_step))
    monkeypatch.setattr(overlays, "UNREAD_SECONDS", 600.0)  # however slow this machine is

    async def play() -> None:
        async with session(folder) as (played, pilot):
            await pilot.press("space")
            await played.until(lambda: isinstance(played.app.screen, overlays.Recovery))
            assert played.named("trouble")[-1]["text"].startswith("the disk is full")
            await pilot.press("enter", "escape", "x", "t")  # none of them chooses: there is no take of this talk
            await pilot.press(keys)  # nor does what was pressed before anybody could read it
            assert isinstance(played.app.screen, overlays.Recovery)
            monkeypatch.setattr(overlays, "UNREAD_SECONDS", 0.0)
            await pilot.press(keys)
            await played.until(lambda: played.control.awaited == "order")
            assert played.stands() == stands
            assert not isinstance(played.app.screen, overlays.Recovery)
            await played.go(pilot)
            assert played.stands() == ("second", False)

    asyncio.run(play())


@pytest.mark.parametrize("name", ["projector", "light", "colour-blind"])
def test_a_theme_paints_the_whole_screen(folder: Path, name: str) -> None:
    async def play() -> None:
        theme.use(name)
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            background = theme.current().background
            for strip in played.app.view.drawn():
                colours = {segment.style.bgcolor.name for segment in strip if segment.style and segment.style.bgcolor}
                assert colours == {background}

    asyncio.run(play())


def test_without_colour_every_key_and_overlay_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # https://no-color.org

    async def play() -> None:
        async with session(folder) as (played, pilot):
            await played.go(pilot)
            for key in ("full_stop", "full_stop", "n", "space", "w", "space", "g", "escape", "question_mark", "space"):
                await pilot.press(key)
            assert played.stands() == ("first", True)

    asyncio.run(play())


def test_the_run_is_held_as_long_as_the_session_lasts(folder: Path) -> None:
    async def play() -> None:
        async with session(folder) as (played, _):
            with Run.open(played.state) as run:
                assert run.held()
        with Run.open(played.state) as run:
            assert not run.held()
            assert run.id is None or file_of(played.state, run.id).exists()

    asyncio.run(play())


def test_what_concerns_this_machine_alone_is_kept_from_the_room(folder: Path) -> None:
    live = LiveStage(Control(), lambda: None)
    live.notice("tokens are kept in a file")
    assert not live.sheet.notes
    assert live.notices == ["tokens are kept in a file"]


def test_in_the_picker_a_beats_own_id_wins_over_a_title_that_has_the_word() -> None:
    beats = [("who", "1/2", "Users, sessions, audit", True), ("audit", "2/2", "Who authorized what", False)]

    async def choose() -> str | None:
        chosen: list[str | None] = []
        async with App[None]().run_test() as pilot:
            await pilot.app.push_screen(overlays.Picker(beats, "who", encoding="utf-8"), chosen.append)
            await pilot.press(*"audit", "enter")
            await pilot.pause()
        return chosen[0]

    assert asyncio.run(choose()) == "audit"
