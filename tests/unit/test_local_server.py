"""The local server's process: started once, found again, stopped for sure, whatever is in its way."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.errors import advice
from demo.local_server import local
from deputize import private
from deputize.errors import EnvironmentNotReady
from tests import in_process
from tests.conftest import HANGS


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    local.stop(folder)


@pytest.fixture
def state_here(tmp_path: Path) -> Iterator[Path]:
    """The same where what is claimed is none of processes: its servers are threads."""
    with in_process.servers_here():
        yield tmp_path / "state"


def request(base_url: str, path: str, headers: dict[str, str]) -> int:
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HANGS)
    try:
        connection.putrequest("GET", path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_is_started_once_and_found_again(state_here: Path) -> None:
    first, _ = local.ensure(state_here, port=0)
    second, note = local.ensure(state_here, port=0)
    assert (first, note) == (second, None)
    assert local.find(state_here) == first


def test_two_commands_at_once_get_the_same_server(state: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = [future.result()[0] for future in [pool.submit(local.ensure, state, port=0) for _ in range(4)]]
    assert len({server.pid for server in found}) == 1


def test_stopping_ends_the_process_and_keeps_its_data(state: Path) -> None:
    before, _ = local.ensure(state, port=0)
    assert local.stop(state) == before
    with pytest.raises(ProcessLookupError):
        os.kill(before.pid, 0)
    after, _ = local.ensure(state, port=0)
    assert (after.world, after.base_url) == (before.world, before.base_url)
    assert after.pid != before.pid


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_server_that_was_just_started_when_its_command_was_ended_can_be_stopped(
    state: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def ended(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started = start(*args, **options)
        signal.raise_signal(getattr(signal, number))
        return started

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    start = subprocess.Popen
    before = signal.signal(signal.SIGTERM, end)
    try:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(local.subprocess, "Popen", ended)
            local.begin(state, port=0)
    finally:
        signal.signal(signal.SIGTERM, before)
    stopped = local.stop(state)
    assert stopped is not None
    with pytest.raises(ProcessLookupError):
        os.kill(stopped.pid, 0)


def test_a_server_killed_in_mid_talk_is_started_again_at_its_address(state: Path) -> None:
    before, _ = local.ensure(state, port=0)
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while local.find(state) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    after, _ = local.ensure(state, port=0)
    assert (after.base_url, after.world) == (before.base_url, before.world)


def test_a_stale_pid_is_never_killed(state: Path) -> None:
    state.mkdir(parents=True)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stale = {"base_url": "http://127.0.0.1:9", "pid": bystander.pid, "instance": "gone", "world": "w"}
        (state / "server.json").write_text(json.dumps(stale))
        assert local.find(state) is None
        assert local.stop(state) is None
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait(timeout=HANGS)


def test_a_taken_port_is_said_and_another_is_used(state_here: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server, note = local.ensure(state_here, port=port)
    assert note is not None and str(port) in note
    assert not server.base_url.endswith(f":{port}")


def test_a_server_that_hangs_is_stopped_all_the_same(state: Path) -> None:
    server, _ = local.ensure(state, port=0)
    os.kill(server.pid, signal.SIGSTOP)
    assert local.find(state) is None
    local.stop(state)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.long
def test_a_server_that_hangs_is_started_again_with_its_data(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "HUNG_SECONDS", 0.1)
    monkeypatch.setattr(local, "STOP_SECONDS", 0.3)
    hung, _ = local.ensure(state, port=0)
    os.kill(hung.pid, signal.SIGSTOP)
    server, note = local.ensure(state, port=0)
    assert note is not None
    assert (server.pid != hung.pid, server.world, server.base_url) == (True, hung.world, hung.base_url)


def test_an_unwritable_state_folder_is_named_with_what_helps(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(EnvironmentNotReady) as refused:
        local.ensure(file / "state", port=0)
    assert "--state" in advice(refused.value)


def test_a_server_that_cannot_start_says_why_in_its_own_words(state: Path) -> None:
    state.mkdir(parents=True)
    (state / "server.sqlite3").write_text("this is no database, and long enough to be read as one " * 20)
    with pytest.raises(EnvironmentNotReady) as refused:
        local.ensure(state, port=0)
    assert "database" in refused.value.why


def test_forgetting_makes_a_new_world(state_here: Path) -> None:
    before, _ = local.ensure(state_here, port=0)
    local.stop(state_here)
    local.forget(state_here)
    after, _ = local.ensure(state_here, port=0)
    assert after.world != before.world


def test_a_server_that_is_only_starting_is_stopped_too(state: Path) -> None:
    for head_start in (0.0, 0.1, 0.4):
        local.begin(state, port=0)
        time.sleep(head_start)
        assert local.stop(state) is not None
        local.forget(state)
        time.sleep(1.0)
        assert local.find(state) is None
        assert not (state / "server.sqlite3").exists()


def test_data_is_not_pulled_away_from_under_a_running_server(state_here: Path) -> None:
    server, _ = local.ensure(state_here, port=0)
    with pytest.raises(EnvironmentNotReady, match="still runs"):
        local.forget(state_here)
    assert local.find(state_here) == server


def test_it_stops_by_itself_when_nobody_calls(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "demo.local_server.server",
            "--state",
            str(tmp_path),
            "--port",
            "0",
            "--idle-seconds",
            "1",
        ],
        cwd=Path(__file__).parent.parent.parent,
    )
    assert process.wait(timeout=HANGS) == 0


@pytest.mark.parametrize("path", ["/health", "/mcp", "/open/mcp", "/oauth2/jwks", "/device", "/audit"])
def test_a_foreign_host_or_origin_is_refused_on_every_path(base_url: str, path: str) -> None:
    assert request(base_url, path, {"Host": "rebound.example"}) == 421
    assert request(base_url, path, {"Origin": "http://evil.example"}) == 403
    assert request(base_url, path, {"Origin": base_url}) not in (403, 421)


def test_a_server_of_another_version_is_started_again_with_its_data(state: Path) -> None:
    old = (
        "import sys, demo; demo.__version__ = '0.0.1'\n"
        "from demo.local_server import server\n"
        "sys.argv = ['demo.local_server.server', '--state', sys.argv[1], '--port', '0']; server.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", old, str(state)], cwd=Path(__file__).parent.parent.parent)
    try:
        deadline = time.monotonic() + HANGS
        while (before := local.find(state)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert before is not None and before.version == "0.0.1"
        after, note = local.ensure(state, port=0)
        assert note is not None and "0.0.1" in note and "with its data" in note
        assert (after.world, after.base_url) == (before.world, before.base_url)
        assert after.version != before.version
        assert local.ensure(state, port=0) == (after, None)
    finally:
        process.kill()
        process.wait(timeout=HANGS)


def test_a_server_that_writes_no_secret_is_of_an_older_version(state: Path) -> None:
    first, _ = local.ensure(state, port=0)
    ready = state / "server.json"
    told = json.loads(ready.read_text())
    private.write(ready, json.dumps({name: told[name] for name in ("base_url", "pid", "instance", "world")}))
    after, note = local.ensure(state, port=0)
    assert note is not None and "older version" in note
    assert (after.world, after.pid == first.pid) == (first.world, False)


def test_damaged_data_is_named_with_what_makes_it_fresh(state: Path) -> None:
    private.folder(state)
    (state / "server.sqlite3").write_bytes(b"no database at all, and as long as a page of one " * 100)
    with pytest.raises(EnvironmentNotReady) as refused:
        local.ensure(state, port=0)
    assert "server.sqlite3 is damaged" in refused.value.why
    assert refused.value.do.startswith("demo reset")
    local.forget(state)
    assert local.ensure(state, port=0)[0].world
