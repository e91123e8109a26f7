"""Every process that the demo starts: it listens on loopback alone, at no debugger's port, and is given no secret that
this environment holds for another tool."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import psutil
import pytest

from demo.local_server import local
from tests.conftest import HANGS, ROOT, Command
from tests.contract.conftest import WORKER

pytestmark = pytest.mark.worker
DEBUGGERS = ("--inspect", "--inspector-addr", "--inspector-port", "--debug-port")
"""Arguments with which node and workerd open a port for a debugger."""


def listening(state: Path, leader: int) -> dict[int, psutil.Process]:
    """Every TCP port of this machine on which a process listens that belongs to the demo of this state: what the
    command itself started, and what has the state folder in its arguments (the local server is nobody's child)."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            parents = {one.pid for one in process.parents()} | {process.pid}
            if leader in parents or any(str(state) in word for word in process.cmdline()):
                for one in process.net_connections("tcp"):
                    if one.status == psutil.CONN_LISTEN:
                        assert one.laddr.ip in ("127.0.0.1", "::1"), f"{process.name()} listens on {one.laddr}"
                        found[one.laddr.port] = process
        except psutil.Error:
            continue
    return found


def debugger(port: int) -> str:
    """What a debugger says at this port (Chrome DevTools protocol, HTTP endpoints), or an explorer of the Worker's
    objects; empty where there is none."""
    for path in ("/json", "/json/list", "/json/version", "/cdn-cgi/explorer", "/cdn-cgi/explorer/api/workers"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            told = answer.read(10_000).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
        if "webSocketDebuggerUrl" in told or "Protocol-Version" in told or (answer.status < 400 and "cdn-cgi" in path):
            return f"{path}: {told[:200]}"
    return ""


@pytest.mark.skipif(WORKER != ROOT / "worker", reason="the Worker of this tree is the one that commands find")
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("line", [("serve", "--worker"), ("run", "--worker", "--pace", "stage")], ids=" ".join)
def test_no_port_is_a_debuggers_and_no_environment_has_another_tools_secret(
    demo: Command, line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-7a1f")
    running = demo.start(*line)
    try:
        deadline = time.monotonic() + 90
        while not (demo.state / "worker" / "port").exists() and time.monotonic() < deadline:
            assert running.poll() is None, running.communicate()
            time.sleep(0.1)
        ports = listening(demo.state, running.pid)
        server = local.find(demo.state)
        assert server is not None
        worker = int((demo.state / "worker" / "port").read_text())
        assert {worker, int(server.base_url.rpartition(":")[2])} <= set(ports), "the test must see what listens"
        arguments = {process.pid: process.cmdline() for process in ports.values()}
        assert [one for words in arguments.values() for one in words if one.startswith(DEBUGGERS)] == []
        assert {port: said for port in ports if (said := debugger(port))} == {}
        assert "canary-7a1f" in psutil.Process(running.pid).environ().values(), "the test must see what it looks for"
        for process in {*ports.values(), *psutil.Process(running.pid).children(recursive=True)}:
            if process.pid != running.pid:
                assert "canary-7a1f" not in process.environ().values(), process.cmdline()
        told = json.dumps(arguments)
        secret = json.loads((demo.state / "server.json").read_text())["secret"]
        assert secret not in told
    finally:
        running.terminate()
        running.wait(HANGS)
