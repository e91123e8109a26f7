"""The README's commands that want Node, as a person types them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from demo.deploy.tools import Tools
from tests.conftest import HANGS, ROOT, Command
from tests.contract.conftest import WORKER
from tests.journeys.test_readme import commands, wants_node

pytestmark = pytest.mark.worker


def test_the_readme_names_these() -> None:
    told = [arguments for program, *arguments in commands() if program == "demo" and wants_node(arguments)]
    assert told == [["deploy", "--dry-run"], ["run", "--worker"], ["serve", "--worker"]]


def test_a_dry_run_of_the_deployment_bundles(demo: Command, installed: Tools) -> None:
    assert installed.worker == WORKER
    finished = demo("deploy", "--dry-run", "--worker", str(WORKER), timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "Nothing was deployed" in finished.stdout


@pytest.mark.skipif(WORKER != ROOT / "worker", reason="the Worker of this tree is the one that commands find")
@pytest.mark.usefixtures("installed")
def test_the_talk_is_played_at_the_worker_and_leaves_none_running(demo: Command) -> None:
    finished = demo("run", "--worker", "--pace", "none", "--to", "mcp", timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "0 not as expected, 0 skipped" in finished.stdout
    assert not (demo.state / "worker" / "pid").exists()
    on = demo("next")
    assert on.returncode == 0, on.stderr
    assert re.search(r"\b3/\d\d\b", on.stdout), "the run goes on, at a Worker that is started for it"
    assert "the Worker on this machine" in demo("status").stdout
    assert not (demo.state / "worker" / "pid").exists()


@pytest.mark.skipif(WORKER != ROOT / "worker", reason="the Worker of this tree is the one that commands find")
@pytest.mark.usefixtures("installed")
def test_served_in_one_terminal_it_is_played_step_by_step_in_another(demo: Command) -> None:
    serving = demo.start("serve", "--worker")
    try:
        assert serving.stdout is not None
        said = "".join(serving.stdout.readline() for _ in range(5))
        found = re.search(r"demo --server (\S+) next", said)
        assert found is not None, said
        for beat in ("authless", "login", "buy"):
            played = demo("--server", found[1], "goto", beat)
            assert played.returncode == 0, played.stdout + played.stderr
        assert "Bought: Conference T-shirt" in played.stdout
        beside = demo("run", "--worker", "--from", "opening", "--to", "opening")
        assert beside.returncode == 3 and "runs already" in beside.stderr, "two would write to the same objects"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(HANGS) == 0, serving.communicate()[1]
        assert not (demo.state / "server.json").exists(), "its authorization server ends with it"
    finally:
        serving.kill()
        serving.wait(HANGS)


@pytest.mark.skipif(WORKER != ROOT / "worker", reason="the Worker of this tree is the one that commands find")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only there can be told whose a process id is")
@pytest.mark.usefixtures("installed")
def test_what_a_killed_one_left_running_is_ended_by_stop(demo: Command) -> None:
    serving = demo.start("serve", "--worker")
    try:
        assert serving.stdout is not None
        for _ in range(5):
            serving.stdout.readline()
        left = json.loads((demo.state / "worker" / "pid").read_text("utf-8"))["pid"]
    finally:
        serving.kill()
        serving.wait(HANGS)
    os.kill(left, 0)
    assert demo("stop").returncode == 0
    deadline = time.monotonic() + 60
    while Path(f"/proc/{left}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{left}").exists()
