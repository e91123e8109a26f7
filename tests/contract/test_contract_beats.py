"""The beats that run the Worker on this machine, played for real: in workerd, with a local authorization server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from demo.deploy import tools
from demo.deploy.local_worker import LocalWorker
from demo.local_server import local
from demo.settings import Settings
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from talk.stage.screen import Stage
from tests.contract.conftest import WORKER


@pytest.mark.worker
def test_both_beats_run_their_workers_here_and_leave_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tools.Tools, agents_tools: tools.Tools
) -> None:
    monkeypatch.setattr(tools, "default_worker", lambda: WORKER)
    assert agents_tools.worker == tools.default_agent()
    console = Console(width=80, height=24, color_system=None, record=True)
    try:
        with Run.open(tmp_path) as run, run.performing():
            director = Director(run, load_talk(None), Settings(state=tmp_path, port=0), Stage(console))
            for beat in ("where-agents-run", "deploy", "deploy"):
                planned = director.plan.find(beat)
                assert planned is not None
                result = director.play(planned)
                (step,) = [one for one in result.steps if one.do in ("worker", "edge-agent")]
                assert (step.observed["where"], step.ok, step.unchecked) == ("this machine", True, {}), step
        said = " ".join(console.export_text().split())
        assert "Killed, and it goes on without a login" in said
        assert "Revoked: it stops, and does not ask again" in said
        assert "The Worker, on this machine" in said
        assert "not live" not in said
        assert "Live on Cloudflare" not in said
    finally:
        local.stop(tmp_path)
    homes = [tmp_path / local.WORKER, tmp_path / local.AGENT]
    assert all(home.is_dir() for home in homes)
    assert not [home for home in homes if (home / "worker.secrets").exists() or (home / "pid").exists()]
    assert tools.wrangler_version(installed) != "unknown"
    local.forget(tmp_path)
    assert not [home for home in homes if home.exists()]


HELD = """
import sys, time
import os
import subprocess
import sys
from pathlib import Path
from demo.deploy.local_worker import LocalWorker
with LocalWorker(Path(sys.argv[1]), sys.argv[2], worker=Path(sys.argv[3])) as worker:
    print(worker.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.worker
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only there can be told whose a process id is")
def test_what_a_killed_demo_left_running_is_ended_before_the_worker_runs_again(
    tmp_path: Path, installed: tools.Tools
) -> None:
    server, _ = local.ensure(tmp_path, port=0)
    command = [sys.executable, "-c", HELD, str(tmp_path), server.base_url, str(installed.worker)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        left = int(holder.stdout.readline())
        holder.kill()
        holder.wait(10)
        os.kill(left, 0)
        with LocalWorker(tmp_path, server.base_url, worker=installed.worker) as worker:
            now = worker.pid
            assert now != left
            assert not _lives(left)
        assert not _lives(now)
    finally:
        holder.kill()
        local.stop(tmp_path)


def _lives(pid: int) -> bool:
    """Whether the process is there and no zombie: nobody waits for a child whose parent was killed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
