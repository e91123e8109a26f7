"""The beats that run the Worker on this machine, played for real: under workerd, with the local authority."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from demo import local
from demo.deploy import tools
from demo.settings import Settings
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from talk.stage import Stage
from tests.contract.conftest import WORKER


@pytest.mark.worker
def test_both_beats_run_the_worker_here_twice_and_leave_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tools.Tools
) -> None:
    monkeypatch.setattr(tools, "default_worker", lambda: WORKER)
    console = Console(width=80, height=24, color_system=None, record=True)
    try:
        with Run.open(tmp_path) as run, run.performing():
            director = Director(run, load_talk(None), Settings(state=tmp_path, port=0), Stage(console))
            for beat in ("where-agents-run", "deploy", "deploy"):
                planned = director.plan.find(beat)
                assert planned is not None
                result = director.play(planned)
                (step,) = [one for one in result.steps if one.do == "worker"]
                assert (step.observed["where"], step.ok, step.unchecked) == ("this machine", True, {}), step
        said = " ".join(console.export_text().split())
        assert "restarted under workerd on this machine" in said
        assert "The Worker, on this machine" in said
        assert "not live" not in said
        assert "Live on Cloudflare" not in said
    finally:
        local.stop(tmp_path)
    home = tmp_path / local.WORKER
    assert not (home / "worker.secrets").exists()
    assert not (home / "pid").exists()
    assert tools.wrangler_version(installed) != "unknown"
    local.forget(tmp_path)
    assert not home.exists()
