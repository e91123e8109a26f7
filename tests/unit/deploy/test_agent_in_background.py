"""The agent that is started before it is needed: found by who needs it, replaced where it is another or has died, and
never two of it. In the place of Node and workerd is a program that listens, and says what the agent says of itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from demo.deploy import local_agent, tools, workerd
from demo.deploy.local_agent import LocalAgent
from demo.local_server import local
from demo.processes import ProcessMark
from deputize.errors import EnvironmentNotReady, ServerUnreachable
from deputize.net import free_port
from tests.conftest import HANGS

RUNNER = """
import http.server, json, subprocess, sys, threading
given = json.loads(sys.argv[1])
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"agent": "shopper", "problem": None}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
threading.Timer(min(given["seconds"], 60), lambda: server.shutdown()).start()
server = http.server.HTTPServer(("127.0.0.1", given["port"]), Answer)
server.serve_forever()
"""
SHOP = "http://127.0.0.1:1/mcp"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    runner, folder = tmp_path / "runner.py", tmp_path / "state"
    runner.write_text(RUNNER, "utf-8")
    (folder / local.AGENT).mkdir(parents=True, mode=0o700)
    (folder / local.AGENT / "port").write_text(str(free_port()), "utf-8")
    folder.chmod(0o700)
    monkeypatch.setattr(workerd, "RUNNER", runner)
    monkeypatch.setattr(tools, "find", lambda _: tools.Tools(tmp_path, Path(sys.executable), runner))
    yield folder
    local_agent.end(folder)


def of(state: Path, shop: str = SHOP, *, stays: bool = True) -> LocalAgent:
    return LocalAgent(state, shop, stays=stays)


def begun(state: Path) -> ProcessMark:
    of(state).begin()
    mark = workerd.noted(state / local.AGENT)
    assert mark is not None
    return mark


def test_who_needs_it_finds_it_running_and_leaves_it_so(state: Path) -> None:
    mark = begun(state)
    secrets = set()
    for _ in range(2):  # the beat, and the beat played again
        with of(state) as agent:
            assert agent.pid == mark.pid
            secrets.add(agent.secret)
    assert mark.lives and len(secrets) == 1 and "" not in secrets
    assert begun(state) == mark
    with of(state, stays=False):
        pass
    assert not mark.lives


def test_of_many_that_begin_it_at_once_one_does(state: Path) -> None:
    with ThreadPoolExecutor(6) as hands:
        list(hands.map(lambda _: of(state).begin(), range(6)))
    runners = [one for one in psutil.Process().children() if str(workerd.RUNNER) in one.cmdline()]
    assert len(runners) == 1


def test_nobody_begins_it_while_somebody_uses_it(state: Path) -> None:
    with of(state) as agent:
        of(state).begin()
        assert workerd.noted(state / local.AGENT) == ProcessMark.of(agent.pid)
        with pytest.raises(EnvironmentNotReady), of(state):
            pass
        assert ProcessMark.of(agent.pid) is not None, "who was turned away has ended nothing"


@pytest.mark.parametrize(
    "why",
    [
        "another shop",
        "no time left",
        "a file that is none",
        "a number that is none",
        "it died",
        "only its leader died",
        pytest.param("it hangs", marks=pytest.mark.long),
    ],
)
def test_one_that_is_of_no_use_is_ended_and_another_started(
    state: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, file = begun(state), state / local.AGENT / local_agent._BEGUN
    with of(state):
        everything = [psutil.Process(mark.pid), *psutil.Process(mark.pid).children()]
    if why == "no time left":
        written = json.loads(file.read_text("utf-8"))
        written["at"] -= local_agent.LIFE_SECONDS - 60
        file.write_text(json.dumps(written), "utf-8")
    elif why == "a file that is none":
        file.write_text("[", "utf-8")
    elif why == "a number that is none":
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"port": float("inf")}), "utf-8")
    elif why == "it died":
        for one in everything:
            one.kill()
    elif why == "only its leader died":
        everything[0].kill()
        everything[0].wait(10)
    elif why == "it hangs":
        monkeypatch.setattr(local_agent, "FOUND_SECONDS", 0.3)
        written = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps(written | {"at": written["at"] - 100}), "utf-8")
        everything[0].suspend()
    with of(state, "http://127.0.0.1:2/mcp" if why == "another shop" else SHOP) as agent:
        assert agent.pid != mark.pid
        gone = [one for one in everything if not one.is_running() or one.status() == psutil.STATUS_ZOMBIE]
        assert gone == everything, "two of them would write to one object"


def test_where_its_port_was_taken_meanwhile_another_is_found(state: Path) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", int((state / local.AGENT / "port").read_text("utf-8"))))
        taker.listen()
        begun(state)
        with of(state) as agent:
            assert agent.base_url != f"http://127.0.0.1:{taker.getsockname()[1]}"


def test_once_ended_nothing_of_it_is_left_but_its_object(state: Path) -> None:
    mark = begun(state)
    (state / local.AGENT / "objects").mkdir()
    local_agent.end(state)
    assert not mark.lives
    assert {one.name for one in (state / local.AGENT).iterdir()} == {"lock", "objects", "port", "worker.log"}
    local_agent.end(state)


def test_what_has_its_number_by_now_is_not_killed_in_its_place(state: Path) -> None:
    """It ends by itself after half an hour, and a number is given away again."""
    with of(state) as agent:
        ended, pid = psutil.Process(agent.pid), agent.pid
        local_agent.end(state)
        bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        try:
            agent._now = workerd.Worker(agent.base_url, bystander.pid)
            agent.kill()
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait(HANGS)
        assert not ended.is_running() and pid != bystander.pid


def test_an_agent_that_says_an_endless_number_cannot_be_read(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"phase": "", "why": "", "process": "", "decides": "", "authorize": None, "due": None, "purchases": []}
    body = json.dumps(told | {"starts": float("inf"), "logins": 0}).encode()
    monkeypatch.setattr(LocalAgent, "_open", lambda *_: body)
    with pytest.raises(ServerUnreachable):
        of(state).status()
