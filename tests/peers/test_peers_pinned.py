"""What is installed is what was looked at: exact versions, each with its hash, and no address of a registry."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.peers.installed import MODEL_LOCK, PYTHON_LOCK, PythonPeers

HERE = Path(__file__).parent


def test_every_version_is_exact_and_every_package_has_its_hash() -> None:
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))
    for version in (wanted["dependencies"] | wanted["optionalDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    locked = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    assert len(locked) > 100
    for name, package in locked.items():
        assert name == "" or package["integrity"].startswith("sha512-"), name


def test_no_address_stands_in_the_lock_file() -> None:
    assert not re.search(r"https?:", (HERE / "package-lock.json").read_text("utf-8"))


@pytest.mark.parametrize(("locked", "at_least"), [(PYTHON_LOCK, 40), (MODEL_LOCK, 4)], ids=["peers", "small-model"])
def test_every_python_package_is_exact_and_has_its_hashes_and_no_address_stands_beside_it(
    locked: Path, at_least: int
) -> None:
    lock = locked.read_text("utf-8")
    packages = [entry for entry in re.split(r"\n(?=\S)", lock.strip()) if not entry.startswith("#")]
    assert len(packages) > at_least
    for package in packages:
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[0-9][^\s]*", package), package
        assert "--hash=sha256:" in package, package
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links", lock)


def test_the_environment_has_what_the_lock_file_says(python_peers: PythonPeers) -> None:
    """All of the peers from PyPI are in one environment, and none of it is broken."""
    check = subprocess.run([python_peers.python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    names = ("fastmcp", "mcp", "openai-agents", "pydantic-ai-slim")
    asked = f"import importlib.metadata as m; print(*map(m.version, {names!r}))"
    ran = subprocess.run([python_peers.python, "-c", asked], capture_output=True, text=True, check=True)
    lock = PYTHON_LOCK.read_text("utf-8")
    for name, version in zip(names, ran.stdout.split(), strict=True):
        assert re.search(rf"^{name}(\[\S+\])?=={re.escape(version)}\b", lock, re.MULTILINE)
