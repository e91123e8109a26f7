"""The Makefile finds a Python that is new enough by any of its names, and explains itself; CI runs its targets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def make(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with nothing on the PATH but what it needs itself, and what is in `path`."""
    for name in ("make", "sed", "sh", "printf", "test"):
        (path / name).symlink_to(shutil.which(name) or name)
    return subprocess.run(
        [path / "make", "VENV=none", *arguments],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "name", ["python3", "python3.15", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
)
def test_a_python_is_found_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(sys.executable)
    assert f"{name} -m venv none\n" in make(tmp_path, "-n", "talk").stdout


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    assert "python3.12 -m venv none\n" in make(tmp_path, "-n", "talk").stdout


def test_without_one_it_says_what_to_do(tmp_path: Path) -> None:
    done = make(tmp_path, "talk")
    assert done.returncode == 2 and "make PYTHON=" in done.stdout


def test_every_target_is_explained(tmp_path: Path) -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert set(phony.split()) == set(re.findall(r"^  make (\S+) +\S", make(tmp_path, "help").stdout, re.MULTILINE))


def test_the_workflow_runs_every_step_of_ci_and_no_other() -> None:
    (steps,) = re.findall(r"^steps=\((.*)\)$", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    (matrix,) = re.findall(r"^ +step: \[(.*)\]$", workflow, re.MULTILINE)
    assert matrix.split(", ") == steps.split()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(steps.split()) <= set(targets)
