"""A person at the consent prompt: which keys answer it, which do nothing, and what may happen while it waits."""

from __future__ import annotations

import json
import os
import signal
import termios
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANGS
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.conftest import Command

Open = Callable[..., Terminal]
WAITS = "waiting for the human's decision"

ODD_KEYS = {
    "arrows": b"\x1b[D\x1b[B\x1b[A\x1bOD\x1bOB\x1b[1;5D",
    "function keys": b"\x1bOP\x1b[15~\x1b[[B\x1b[5~\x1b[3~",
    "mouse": b"\x1b[<0;10;10M\x1b[<0;10;10m\x1b[M db",
    "Alt": b"\x1bd\x1b\r",
    "Ctrl-D and Tab": b"\x04\t\x7f",
    "bracketed paste": b"\x1b[200~bad idea\rd\r\x1b[201~",
    "paste": b"bad idea\rd\r",
    "terminal's answers": b"\x1b]11;rgb:dddd/dddd/dddd\x07\x1b[?62;22c",
    "letters": "éx日".encode(),
}


@pytest.fixture
def terminal(demo: Command) -> Iterator[Open]:
    made: list[Terminal] = []

    def make(*arguments: str, browser: str = "false") -> Terminal:
        made.append(Terminal(demo, *arguments, browser=browser))
        return made[-1]

    yield make
    for one in made:
        one.close()


def waits_on(screen: Terminal, seconds: float = 1.0) -> None:
    """It is still waiting after `seconds`: a poll or two have gone by."""
    before = len(screen.written)
    time.sleep(seconds)
    deadline = time.monotonic() + 60
    while WAITS not in screen.written[before:].decode("utf-8", "replace") and time.monotonic() < deadline:
        screen.read_for(0.2)
    assert WAITS in screen.written[before:].decode("utf-8", "replace"), screen.screen
    assert screen.process.poll() is None, screen.screen


def test_keys_that_are_not_bound_do_nothing_and_page_down_goes_on(terminal: Open) -> None:
    screen = terminal("login", "--device")
    screen.until(WAITS)
    for keys in ODD_KEYS.values():
        screen.type(keys)
        time.sleep(0.3)
    for byte in b"\x1b[D":  # its bytes may be far apart, over a slow line
        screen.type(bytes([byte]))
        time.sleep(0.5)
    waits_on(screen)
    assert "the human said no" not in screen.screen
    screen.type("\x1b[6~")
    screen.until("Genuine")
    assert screen.wait() == 0


@pytest.mark.parametrize(("keys", "code"), [("\x1b[C", 0), ("\x1b", None), ("d", 4)])
def test_right_goes_on_escape_does_nothing_and_d_denies(terminal: Open, keys: str, code: int | None) -> None:
    screen = terminal("login", "--device")
    screen.until(WAITS)
    screen.type(keys)
    if code is None:
        waits_on(screen)
        screen.type("d")  # and what is pressed after it is a key of its own
    assert screen.wait() == (4 if code is None else code)


def test_what_is_drawn_after_the_wait_begins_a_line_of_its_own(terminal: Open) -> None:
    screen = terminal("login", "--device")
    screen.until(WAITS)
    screen.type("\n")
    screen.wait()
    assert [line for line in screen.lines() if "at most)" in line] == []
    assert any("Genuine" in line for line in screen.lines())


@pytest.mark.parametrize("end", ["d", "\x03"])
def test_so_does_a_refusal_and_an_interruption(terminal: Open, end: str) -> None:
    screen = terminal("login", "--device")
    screen.until(WAITS)
    screen.type(end)
    assert screen.wait() in (4, 130)
    assert [line for line in screen.lines() if "at most)" in line] == []


def test_after_a_stop_and_fg_single_keys_work_again(terminal: Open) -> None:
    screen = terminal("login", "--device")
    screen.until(WAITS)
    os.killpg(screen.process.pid, signal.SIGSTOP)
    cooked = termios.tcgetattr(screen.line)
    cooked[3] |= termios.ICANON | termios.ECHO  # as a shell sets it for itself
    termios.tcsetattr(screen.line, termios.TCSANOW, cooked)
    os.killpg(screen.process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while termios.tcgetattr(screen.line)[3] & termios.ICANON and time.monotonic() < deadline:
        time.sleep(0.05)
    screen.type("d")
    assert screen.wait(HANGS) == 4


@pytest.mark.parametrize("flow", ["--device", "--browser"])
def test_the_wait_notices_that_the_server_is_gone(terminal: Open, demo: Command, flow: str) -> None:
    screen = terminal("login", flow)
    screen.until("waiting for")
    assert demo("stop").returncode == 0
    assert screen.wait(HANGS) == 5
    told = " ".join(screen.screen.split())
    assert "has stopped" in told and "check --server" not in told


def test_in_a_beat_the_presenter_tries_again_with_one_key(terminal: Open, demo: Command) -> None:
    screen = terminal("goto", "login", "--quiet")
    screen.until("Decide there")
    assert demo("stop").returncode == 0
    screen.until("r try again")
    assert "check --server" not in " ".join(screen.screen.split())
    screen.type("\n")  # no reflex chooses
    screen.type("r")
    screen.until("(?s)r try again.*Decide there")
    screen.type("y")
    assert screen.wait(HANGS) == 0


def test_after_a_no_next_asks_again_and_a_kill_at_the_consent_loses_nothing(terminal: Open, demo: Command) -> None:
    screen = terminal("goto", "login")
    screen.until("Enter goes on")  # after the no of the script
    screen.type("\n")
    screen.until(WAITS)
    screen.type("d")
    assert screen.wait() == 0
    assert "expected" not in screen.screen
    for kill in (True, False):
        again = terminal("next")
        again.until(WAITS)
        if kill:
            again.process.kill()
            again.wait()
    again.type("y")
    again.until("Alice said yes(?s:.)*Enter goes on")
    again.type("\n")
    assert again.wait() == 0
    where = json.loads(demo("status", "--json").stdout)
    assert (where["beat"], where["done"]) == ("login", True)


def test_a_kill_at_the_choice_after_a_failure_resumes_at_its_step(terminal: Open, demo: Command) -> None:
    screen = terminal("goto", "login", "--quiet")
    screen.until("Decide there")
    assert demo("stop").returncode == 0
    screen.until("r try again")
    screen.process.kill()
    screen.wait()
    going_on = terminal("next", "--quiet")
    going_on.until("1 of 2 steps were done(?s:.)*Decide there")
    going_on.type("\n")
    assert going_on.wait() == 0


def test_at_a_pace_that_waits_for_nobody_the_sample_human_answers_and_says_so(terminal: Open) -> None:
    screen = terminal("run", "--pace", "none", "--to", "login", "--quiet")
    screen.until("if nobody decides, alice@example.com answers in")
    screen.until("Nobody is at the keyboard: the sample human alice@example.com answers")
    assert screen.wait() == 0


def test_there_a_person_who_acts_is_obeyed(terminal: Open) -> None:
    screen = terminal("run", "--pace", "none", "--to", "login", "--quiet")
    screen.until("if nobody decides")
    screen.type("\x1b[A")  # an arrow is no answer
    screen.type("b")
    screen.until(WAITS)  # in the place of the countdown, which is over
    screen.type("d")
    screen.until("Decide there.*(?s:.)*Decide there")  # what a person has refused is asked openly, once more
    screen.type("n")
    assert screen.wait() == 0
    assert "the run stays at login" in screen.screen
    assert "Nobody is at the keyboard" not in screen.screen
