"""`demo stage` in a real terminal: keys play the first beats, nothing but a word ends it, and the run outlives it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.conftest import HANGS
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.conftest import Command

Open = Callable[..., Terminal]
NO_KEYS = b"\x1b[<0;10;10M\x1b[<0;10;10m\x1b]11;rgb:dddd/dddd/dddd\x07\x1b[200~y\ry\r\x1b[201~\x1b[15~\x1b\x1b"


@pytest.fixture
def terminal(demo: Command) -> Iterator[Open]:
    made: list[Terminal] = []

    def make(*arguments: str, width: int = 80, height: int = 24) -> Terminal:
        made.append(Terminal(demo, *arguments, width=width, height=height))
        return made[-1]

    yield make
    for one in made:
        one.close()


def go(screen: Terminal, key: str, until: str) -> None:
    """Press a key that goes on, through the pauses of the script, until this is seen; no sooner than a hand does."""
    for _ in range(6):
        time.sleep(0.4)
        screen.written = b""
        screen.type(key)
        screen.until("▶")  # the presenter is awaited
        screen.read_for(0.3)
        if re.search(until, screen.screen):
            return
    raise AssertionError(f"{until!r} never came. The screen:\n{screen.screen}")


def stopped(screen: Terminal) -> None:
    """Wait until the process is stopped, which it lets the terminal know first."""
    deadline = time.monotonic() + 60
    while psutil.Process(screen.process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        screen.read_for(0.05)


def status(demo: Command) -> dict[str, object]:
    found: dict[str, object] = json.loads(demo("status", "--json").stdout)
    return found


def test_the_first_beats_by_keys_a_kill_and_the_session_that_goes_on(terminal: Open, demo: Command) -> None:
    screen = terminal("stage")
    screen.until("space")
    go(screen, " ", "a deputy needs a human")
    screen.type(NO_KEYS)
    go(screen, "\x1b[6~", "7 tools")
    second = terminal("stage")
    second.until("another demo command is playing")
    assert second.wait() == 3
    os.kill(screen.process.pid, signal.SIGKILL)
    screen.process.wait(HANGS)
    assert status(demo)["beat"] == "mcp"
    screen = terminal("stage", width=120, height=40)
    screen.until("goes on with")
    go(screen, "\x1b[C", "anonymous|nobody")
    screen.written = b""
    screen.type("\x1a")  # suspended, and brought back
    stopped(screen)
    os.kill(screen.process.pid, signal.SIGCONT)
    screen.until("anonymous|nobody")
    screen.type("\x11")
    screen.until("End the session")
    screen.type("y")
    assert screen.wait() == 0
    assert b"\x1b[?1049l" in screen.written, "the terminal is as it was"
    assert "Traceback" not in screen.screen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order_and_gives_the_terminal_back(terminal: Open, demo: Command, number: int) -> None:
    screen = terminal("stage")
    screen.until("space")
    go(screen, " ", "a deputy needs a human")
    os.kill(screen.process.pid, number)
    assert screen.wait(HANGS) == 128 + number
    assert b"\x1b[?1049l" in screen.written
    assert "Traceback" not in screen.screen
    assert status(demo)["beat"] == "opening"


def test_without_a_terminal_it_says_what_to_do(demo: Command) -> None:
    refused = demo.process("stage")
    assert refused.returncode == 3
    assert "demo next" in refused.stderr
    for option in ("--plain", "--json", "--quiet"):
        assert demo("stage", option).returncode == 2
