"""Signals: a second one while a temporary world is taken down, and those that were ignored from the start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo.local_server import local
from tests.conftest import HANGS, ROOT, Command

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="only POSIX has these signals")


def worlds(folder: Path) -> list[Path]:
    return list(folder.glob("demo-dry-*"))


@pytest.mark.parametrize(
    "second",
    [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGTERM, signal.SIGHUP))],
    ids=lambda one: one.name,
)
def test_a_second_signal_leaves_no_temporary_world(demo: Command, tmp_path: Path, second: signal.Signals) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    running = demo.start("run", "--ci", TMPDIR=str(temporary))
    deadline = time.monotonic() + 60
    while not [one for one in worlds(temporary) if (one / "server.json").exists()] and time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    for _ in range(8):
        time.sleep(0.1)
        if running.poll() is None:
            running.send_signal(second)
    assert running.wait(HANGS) != 0
    assert worlds(temporary) == []
    left = [
        one.pid for one in psutil.process_iter(["cmdline"]) if str(temporary) in " ".join(one.info["cmdline"] or ())
    ]
    assert left == []


@pytest.mark.parametrize(
    ("line", "number"),
    [("run --ci", signal.SIGTERM), ("check", signal.SIGHUP), ("goto audit", signal.SIGTERM)],
    ids=lambda one: one.name if isinstance(one, signal.Signals) else one,
)
def test_a_command_that_is_told_to_end_in_the_middle_ends_in_order(
    demo: Command, tmp_path: Path, line: str, number: signal.Signals
) -> None:
    running = demo.start(*line.split(), TMPDIR=str(tmp_path))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/server.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.7)
    assert running.poll() is None, running.communicate()
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert not [word for word in ("Traceback", "Exception ignored", "never retrieved") if word in said], said
    assert worlds(tmp_path) == []


IN_A_LOOP = """
import os, signal, sys, anyio
from deputize.signals import end_in_order, received

async def main():
    try:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(anyio.sleep, 60)
            group.start_soon(struck)
    finally:
        print("tidied up")

async def struck():
    os.kill(os.getpid(), signal.SIGTERM)

end_in_order()
try:
    anyio.run(main)
except KeyboardInterrupt:
    print("interrupted", received())
"""


def test_a_signal_cancels_the_main_task_of_an_event_loop_and_strikes_no_other() -> None:
    ran = subprocess.run([sys.executable, "-c", IN_A_LOOP], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ran.stdout.splitlines() == ["tidied up", f"interrupted {int(signal.SIGTERM)}"]
    assert (ran.returncode, ran.stderr) == (0, "")


IN_A_THREAD = """
import os, signal, threading, anyio
from deputize.http import bounded
from deputize.signals import end_in_order

async def work():
    begun.set()
    while not ended.is_set():
        await anyio.sleep(0.01)
    return "done"

def beside():
    print(bounded.run(work, 60, RuntimeError))

begun, ended = threading.Event(), threading.Event()
end_in_order()
thread = threading.Thread(target=beside)
thread.start()
begun.wait(60)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    begun.wait(60)
except SystemExit as ending:
    print("ends with", ending.code)
ended.set()
thread.join(60)
try:
    bounded.run(work, 60, RuntimeError)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_interrupts_the_main_thread_and_no_work_beside_it() -> None:
    ran = subprocess.run([sys.executable, "-c", IN_A_THREAD], capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [f"ends with {128 + signal.SIGTERM}", "done", "interrupted"]


BROKEN_BESIDE = """
import threading
from demo.cli import main as entry

def run(given):
    thread = threading.Thread(target=lambda: [][0])
    thread.start()
    thread.join()
    return 0

entry.run = run
entry.main({given})
"""


@pytest.mark.parametrize("debug", [False, True])
def test_what_breaks_in_a_thread_beside_the_command_is_one_line(debug: bool) -> None:
    given = ["list", *(["--debug"] if debug else [])]
    script = BROKEN_BESIDE.format(given=given)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert ran.returncode == 0
    assert ("Traceback" in ran.stderr) is debug
    if not debug:
        assert ran.stderr.startswith("something broke beside this command, which goes on: IndexError: list index out")


WRAPPED = """
import os, signal
from demo.cli import app as typed, main as entry

def app(**given):
    try:
        os.kill(os.getpid(), signal.{name})
    except BaseException as struck:
        raise {raised}

typed.app = app
entry.main(["list"])
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize(
    "raised",
    ["RuntimeError('Error calling __set_name__') from struck", "TypeError(f'Error building: {type(struck).__name__}')"],
    ids=["Python 3.11", "pydantic-core"],
)
def test_a_signal_that_arrives_as_another_exception_is_a_signal(raised: str, name: str, code: int) -> None:
    """As from within the making of a class: an import that is struck at the wrong moment."""
    script = WRAPPED.format(name=name, raised=raised)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert (ran.returncode, "broke" in ran.stderr) == (code, False), ran.stderr


STRUCK_EARLY = """
import runpy, sys

class Struck:
    def find_spec(self, name, *_):
        if name == "demo.cli.commands":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Struck())
runpy.run_module("demo", run_name="__main__", alter_sys=True)
"""


def test_an_interrupt_while_the_command_is_only_imported_shows_no_traceback() -> None:
    command = [sys.executable, "-c", STRUCK_EARLY, "list"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize("ignored", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_that_was_ignored_stays_ignored(demo: Command, ignored: str) -> None:
    """As by `nohup demo serve &`, and a script's `demo serve &`."""
    ignoring = f"import runpy, signal; signal.signal(signal.{ignored}, signal.SIG_IGN)"
    start = f"{ignoring}; runpy.run_module('demo', run_name='__main__')"
    serving = subprocess.Popen(
        [sys.executable, "-c", start, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=demo.environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert serving.stdout is not None
        for _ in range(4):
            assert serving.stdout.readline()
        time.sleep(0.5)
        serving.send_signal(getattr(signal, ignored))
        with pytest.raises(subprocess.TimeoutExpired):
            serving.wait(1.5)
        assert local.find(demo.state) is not None, "it serves on"
        other = signal.SIGTERM if ignored != "SIGTERM" else signal.SIGINT
        serving.send_signal(other)
        serving.wait(HANGS)
    finally:
        serving.kill()
        serving.wait(HANGS)
    assert not (demo.state / "server.json").exists(), "the other one ends it in good order"


def test_an_ignored_signal_is_ignored_again_after_a_world_was_taken_down() -> None:
    from deputize.signals import signals_ignored

    before = signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_ignored():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)
