"""The README's commands that want Node, as a person types them."""

from __future__ import annotations

import re
import signal

import pytest

from demo.deploy.tools import Tools
from tests.conftest import ROOT, Command
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
    again = demo("next")
    assert again.returncode == 2
    assert "demo reset" in again.stderr, "its server is gone, and that is said"


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
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0, serving.communicate()[1]
    finally:
        serving.kill()
        serving.wait(10)
