"""The presenter's second screen follows a performance in another process: in a terminal, and in a real browser.

Pictures of both are kept under artifacts/.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from demo.audience import life
from demo.presenter.desk import Desk
from demo.presenter.health import Watch
from demo.presenter.layout import Hand, screen
from demo.settings import Settings
from talk.recording.remote import RemoteControl
from talk.recording.writer import Recording, file_of
from talk.run import Run
from talk.script import load_talk
from tests.conftest import HANGS
from tests.journeys.terminal import Terminal
from tests.journeys.test_in_a_real_browser import ARTIFACTS, CHROMIUM, SIZES, browser

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["browser"]
BEATS = len(load_talk().plan("problem-first").beats)
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


def wait_until(holds: Callable[[], bool], seconds: float = HANGS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


class Stage:
    """What a stage is to who follows it: the run's lock, and its recording."""

    def __init__(self, demo: Command, run: Run) -> None:
        about, self.run = run.about(), run
        assert about is not None and run.id is not None
        self.recording = Recording(demo.state)
        self.recording.begin(run.id, plan=about["plan"], talk=None, server="", started_at=about["started_at"])
        self.recording.add("stage", state="open")


@pytest.fixture
def stage(demo: Command) -> Iterator[Stage]:
    """A stage that is open on a run whose first beat `demo next` has played."""
    assert demo("next").returncode == 0
    with Run.open(demo.state) as run, run.performing():
        yield Stage(demo, run)


@contextlib.contextmanager
def serving(demo: Command, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """The page, served by a process of its own, and its addresses as it tells them."""
    with demo.start("presenter", "--web", "--port", port, "--json") as process:
        assert process.stdout is not None
        try:
            yield process, (json.loads(line)["presenter"] for line in process.stdout)
        finally:
            process.kill()


@pytest.fixture
def page(demo: Command) -> Iterator[str]:
    """The address of the page on loopback."""
    with serving(demo) as (_, addresses):
        yield next(addresses)


def test_a_talk_is_led_from_the_second_screen_through_the_death_of_its_stage(demo: Command) -> None:
    def shows(terminal: Terminal, pattern: str) -> None:
        """Read until it comes, among what is written from now on."""
        terminal.until(pattern)
        terminal.written = b""

    def press(*keys: str | bytes) -> None:
        for key in keys:
            second.read_for(0.4)  # a hand presses no faster; a stage takes it for one press
            second.type(key)

    def next_until(key: str | bytes, pattern: str) -> None:
        """Go on until it is on the stage, through the pauses of the script."""
        for _ in range(8):
            press(key)
            stage.read_for(0.6)
            if re.search(pattern, stage.screen):
                break
        shows(stage, pattern)

    stage, second = Terminal(demo, "stage"), Terminal(demo, "presenter")
    try:
        shows(stage, "space begins")
        shows(second, "the stage is open")
        next_until(b"\x1b[6~", "a deputy needs a human")
        shows(second, f"1/{BEATS}")
        next_until(" ", "7 tools")
        shows(second, f"2/{BEATS}")
        stage.process.kill()
        shows(second, "No stage is open")
        stage.close()
        stage = Terminal(demo, "stage")
        shows(stage, "goes on with")
        shows(second, "q.*quit")  # it leads the stage again, although nothing was played
        press("g", "w", "r", "\r")
        shows(stage, f"{BEATS - 1}/{BEATS}")
        shows(second, f"{BEATS - 1}/{BEATS}")
        press("j", "k", "j")
        second.read_for(0.6)
        pictures = second.written.split(b"\x1b[H")
        assert len(pictures) > 3
        assert max(picture.count(b"\n") for picture in pictures) < 24, "drawn from the top, never scrolled away"
        press("q")
        assert second.wait(60) == 0
    finally:
        second.close()
        stage.close()


def test_one_that_is_stopped_or_killed_keeps_no_performance_waiting(demo: Command, stage: Stage) -> None:
    import signal

    second = Terminal(demo, "presenter", served=False)
    try:
        second.until("deputy")
        second.process.send_signal(signal.SIGSTOP)  # it reads nothing any more, and its terminal is full in no time
        for number in range(500):
            stage.recording.add("note", text=f"note {number}")
            stage.run.place("opening", done=True)
        second.process.kill()
        stage.recording.add("note", text="and on")
    finally:
        second.close()
    assert stage.recording.trouble is None
    assert file_of(demo.state, stage.run.id or "").read_text("utf-8").count('"event": "note"') == 501


def test_without_a_terminal_it_says_what_to_do(demo: Command) -> None:
    refused = demo("presenter")
    assert refused.returncode == 3 and "--web" in refused.stderr
    assert demo("presenter", "--port", "0").returncode == 2
    assert demo("presenter", "--web", "--plan", "nowhere").returncode == 2
    assert demo("next").returncode == 0
    refused = demo("presenter", "--web", "--plan", "context-first")
    assert refused.returncode == 2 and "problem-first" in refused.stderr
    assert demo("presenter", "--web", "--talk", str(demo.state.parent)).returncode == 2


def test_a_port_that_is_taken_is_named(demo: Command) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = demo("presenter", "--web", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 3 and "--port" in refused.stderr


@in_chromium
@pytest.mark.parametrize("size", SIZES)
def test_the_page_follows_and_leads_the_stage(demo: Command, stage: Stage, page: str, browser: Any, size: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    remote = RemoteControl(demo.state)
    context = browser.new_context(viewport=SIZES[size])
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(page)
    tab.wait_for_selector("#main:not([hidden])")
    assert "key=" not in tab.url, "the secret stays in the address bar"
    tab.locator("#health").get_by_text("✓ server up", exact=True).wait_for()
    tab.screenshot(path=ARTIFACTS / f"presenter-{size}.png")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    tab.get_by_role("button", name="Next").click()
    tab.get_by_text("asked: next").wait_for()
    tab.keyboard.press("PageUp")
    tab.get_by_text("asked: back").wait_for()
    tab.get_by_role("button", name="Go to").click()
    tab.screenshot(path=ARTIFACTS / f"presenter-{size}-go-to.png")
    tab.get_by_role("button", name=re.compile("^11")).click()
    tab.get_by_text("asked: go to").wait_for()
    tab.get_by_role("button", name="Hold").click()
    tab.get_by_role("button", name="Resume").wait_for()
    assert [one.do for one in remote.new()] == ["next", "back", "goto", "hold"]
    # A beat begins on the stage, and the page has it without being asked.
    stage.recording.add("stage", state="shown")
    header = {"id": "mcp", "title": "MCP", "number": 2, "of": 20, "speaker": "Ann", "minutes": 1, "topics": []}
    stage.recording.add("beat", header=header, play=1, recorded=False)
    tab.locator("#title", has_text="MCP: how an agent finds its tools").wait_for()
    tab.reload()
    tab.locator("#title", has_text="MCP: how an agent finds its tools").wait_for()
    assert said == []
    context.close()


@in_chromium
@pytest.mark.long
def test_a_phone_reaches_the_page_through_the_room_while_it_is_served(
    demo: Command, stage: Stage, browser: Any
) -> None:
    with contextlib.ExitStack() as down:
        room = life.start(demo.state, "")
        down.callback(room.stop)
        process, addresses = down.enter_context(serving(demo))
        tab = down.enter_context(browser.new_context(viewport=SIZES["phone"])).new_page()
        address = next(one for one in addresses if one.startswith(room.url))
        other = tab.goto(f"{room.url}/presenter")
        assert other is not None and other.status == 401
        tab.goto(address)
        tab.wait_for_selector("#main:not([hidden])")
        assert tab.url == f"{room.url}/presenter/"
        remote = RemoteControl(demo.state)
        tab.get_by_role("button", name="Next").click()
        tab.get_by_text("asked: next").wait_for()
        assert [one.do for one in remote.new()] == ["next"]
        process.kill()
        process.wait(timeout=HANGS)
        gone = tab.goto(f"{room.url}/presenter/")
        assert gone is not None and gone.status == 404


@in_chromium
@pytest.mark.long
def test_an_open_page_says_when_the_presenter_is_gone_and_finds_it_again(demo: Command, browser: Any) -> None:
    tab = browser.new_page()
    with serving(demo) as (_, addresses):
        address = next(addresses)
        tab.goto(address)
        tab.wait_for_selector("#main:not([hidden])")
    tab.get_by_text("Not connected").wait_for()
    assert tab.locator("#next").is_disabled()
    with serving(demo, str(urlsplit(address).port)) as (_, addresses):
        assert next(addresses) == address
        tab.wait_for_selector("#lost", state="hidden", timeout=20_000)
    tab.close()


@in_chromium
def test_pictures_of_the_terminal(demo: Command, browser: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.presenter.health.EVERY_SECONDS", 0.2)  # the server may be starting yet
    settings = Settings(state=demo.state, edge="off")
    desk = Desk(settings)
    watch = Watch(settings, desk.dependencies)
    desk.health = watch.now
    wait_until(lambda: [one.word for one in watch.now()][:2] == ["up", "up"])
    watch.close()
    ARTIFACTS.mkdir(exist_ok=True)
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    for width, height in ((80, 24), (120, 40), (160, 45)):
        console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
        console.print(screen(desk.view(), Hand(), height))
        tab.set_content(console.export_svg(title="demo presenter"))
        tab.locator("svg").screenshot(path=ARTIFACTS / f"presenter-{width}x{height}.png")
    tab.close()
