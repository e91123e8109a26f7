"""The bridge as a process: stdout is the protocol's alone, and it ends when it should."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from demo.local_server import local
from demo.local_server.local import LOCK
from tests.conftest import HANGS, ROOT
from tests.unit.bridge.hosts import Slow, environment, keep_token, slow_server

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a host", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@pytest.fixture(scope="module")
def slow() -> Iterator[Slow]:
    with slow_server() as seen:
        yield seen


@pytest.fixture
def bridge(slow: Slow, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    keep_token(slow.url, tmp_path / "state")
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "serve", "--stdio", "--server", slow.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path / "state"),
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=HANGS)


def text(*messages: object) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


def test_requests_from_a_pipe_are_answered_before_the_end_of_stdin_is_the_end(bridge: subprocess.Popen[str]) -> None:
    out, err = bridge.communicate(text(HELLO, READY, LIST), timeout=HANGS)
    first, second = map(json.loads, out.splitlines())
    assert first["result"]["protocolVersion"] == "2025-06-18"
    assert {tool["name"] for tool in second["result"]["tools"]} == {"climb", "wait", "repeat"}
    assert "bridging stdin and stdout" in err
    assert bridge.returncode == 0


def test_a_host_is_answered_while_the_local_server_starts_and_told_when_it_has(tmp_path: Path) -> None:
    """Hosts give up after some seconds."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    starting = filelock.FileLock(state / LOCK, mode=0o600)
    starting.acquire()  # as a server holds it that only starts
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "serve", "--stdio", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(state),
        cwd=ROOT,
    )
    said: queue.Queue[dict[str, Any]] = queue.Queue()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = process.stdout
        threading.Thread(target=lambda: [said.put(json.loads(line)) for line in lines], daemon=True).start()
        process.stdin.write(text(HELLO, READY, LIST))
        process.stdin.flush()
        hello, listed = said.get(timeout=HANGS), said.get(timeout=HANGS)
        assert hello["result"]["serverInfo"]["title"] == "the local server by the agent of this machine"
        assert "still starting" in listed["error"]["message"]
        starting.release()
        assert said.get(timeout=HANGS)["method"] == "notifications/tools/list_changed"
        process.stdin.close()
        assert process.wait(HANGS) == 0
    finally:
        process.kill()
        process.wait(HANGS)
        starting.release(force=True)
        local.stop(state)


def test_what_is_no_message_is_passed_over(bridge: subprocess.Popen[str]) -> None:
    out, err = bridge.communicate("not json\n[]\n" + text(HELLO, READY, LIST), timeout=HANGS)
    assert [json.loads(line)["id"] for line in out.splitlines()] == [1, 2]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("sign", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.long),
        (signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_it_while_stdin_is_open(bridge: subprocess.Popen[str], sign: signal.Signals, code: int) -> None:
    # Right after an answer, when all of its tasks are awake: whichever runs must not be torn out of its order.
    assert bridge.stdin is not None
    assert bridge.stdout is not None
    bridge.stdin.write(text(HELLO))
    bridge.stdin.flush()
    assert json.loads(bridge.stdout.readline())["id"] == 1
    bridge.send_signal(sign)
    assert bridge.wait(timeout=HANGS) == code
    assert bridge.stderr is not None
    assert "Traceback" not in bridge.stderr.read()


def test_it_ends_when_a_call_is_still_under_way(bridge: subprocess.Popen[str], slow: Slow) -> None:
    slow.begun.clear()
    call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "wait", "arguments": {}}}
    begun = time.monotonic()
    out, _ = bridge.communicate(text(HELLO, READY, call), timeout=HANGS)
    assert slow.begun.is_set()
    assert time.monotonic() - begun < HANGS  # the call itself would take longer
    assert json.loads(out.splitlines()[-1])["error"]["message"] == "Connection closed"
    assert bridge.returncode == 0


def test_it_ends_without_a_word_when_the_host_has_gone(bridge: subprocess.Popen[str]) -> None:
    assert bridge.stdin is not None
    assert bridge.stdout is not None
    bridge.stdout.close()
    bridge.stdin.write(text(HELLO))
    bridge.stdin.flush()
    assert bridge.wait(timeout=HANGS) == 0
    assert bridge.stderr is not None
    assert "Traceback" not in bridge.stderr.read()


def test_an_idle_bridge_uses_no_time(bridge: subprocess.Popen[str]) -> None:
    import os

    assert bridge.stdin is not None
    assert bridge.stdout is not None
    bridge.stdin.write(text(HELLO, READY, LIST))
    bridge.stdin.flush()
    assert {json.loads(bridge.stdout.readline()).get("id") for _ in range(2)} == {1, 2}

    def spent() -> float:
        fields = Path(f"/proc/{bridge.pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    if not Path("/proc").exists():
        pytest.skip("the time that a process has used is read from /proc")
    time.sleep(0.3)
    before = spent()
    time.sleep(1.5)
    assert spent() - before < 0.5
