"""Wrangler is installed whole whatever npm was told to leave out, and marked as installed when it runs."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.deploy import tools
from deputize.errors import EnvironmentNotReady
from tests.unit.deploy.conftest import Yard, program

NODE = """case "$1" in
--version) echo v22.1.0;;
-e) test -e node_modules/workerd || { echo "Error: no workerd"; exit 1; };;
esac"""
WRANGLER = "mkdir -p node_modules/wrangler/bin; touch node_modules/wrangler/bin/wrangler.js"


@pytest.fixture
def stamp(bare: Yard, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a machine with a stand-in for Node. Where it is said that wrangler is installed."""
    program(bare.path / "node", f"#!{shutil.which('sh')}\n{NODE}\n")
    monkeypatch.setenv("PATH", f"{bare.path}:/usr/bin:/bin")
    return bare.worker / "node_modules" / ".installed"


def npm(bare: Yard, line: str) -> None:
    program(bare.path / "npm", f'#!{shutil.which("sh")}\necho "$@" > asked\n{line}\n')


def test_what_npm_may_be_told_to_leave_out_is_asked_for_by_name(bare: Yard, stamp: Path) -> None:
    npm(bare, f"{WRANGLER}; mkdir -p node_modules/workerd")
    tools.install(bare.worker)
    assert stamp.exists()
    assert {"--include=dev", "--include=optional"} <= set((bare.worker / "asked").read_text().split())


@pytest.mark.parametrize(
    "line", ["true", WRANGLER, "mkdir -p node_modules/workerd"], ids=["nothing", "no workerd", "no wrangler"]
)
def test_what_does_not_run_is_not_installed(bare: Yard, stamp: Path, line: str) -> None:
    npm(bare, line)
    for _ in range(2):
        with pytest.raises(EnvironmentNotReady) as refused:
            tools.install(bare.worker)
        assert not stamp.exists()
        assert "npm config list" in refused.value.do and "demo" not in refused.value.do


def test_two_that_install_at_once_run_npm_once(bare: Yard, stamp: Path) -> None:
    npm(
        bare,
        f"echo run >> ../runs; test -e ../one && exit 1; touch ../one; sleep 0.5; {WRANGLER}; "
        "mkdir -p node_modules/workerd; rm ../one",
    )
    with ThreadPoolExecutor(3) as pool:
        assert len({found.worker for found in pool.map(tools.install, [bare.worker] * 3)}) == 1
    assert stamp.exists()
    assert (bare.worker.parent / "runs").read_text().split() == ["run"]
