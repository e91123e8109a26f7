"""The peers, installed once for each lock file into the cache of pytest (a minute), and a Node new enough for them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
PYTHON_LOCK = HERE.parents[1] / "requirements" / "peers.txt"
MODEL_LOCK = HERE.parents[1] / "requirements" / "small-model.txt"
SECONDS = 300
REQUIRED = os.environ.get("DEMO_REQUIRE_NODE") == "1"
"""Read here: no setting of whoever runs the tests is left in the environment of a test."""


@dataclass(frozen=True)
class Peers:
    """Where they are; `node` is the program."""

    folder: Path
    node: str

    def script(self, name: str, *arguments: str) -> list[str]:
        """The command of one of this folder's scripts, which finds the packages beside it."""
        return [self.node, str(self.folder / name), *arguments]

    def on_loopback(self, program: str, *arguments: str) -> list[str]:
        """The command of a server, by its path in this folder, which would listen on every interface by itself."""
        preload = ["--import", (self.folder / "servers" / "loopback.mjs").as_uri()]
        return [self.node, *preload, str(self.folder / program), *arguments]

    def program(self, package: str, name: str, *arguments: str) -> list[str]:
        """The command of a package's program."""
        programs = json.loads((self.folder / "node_modules" / package / "package.json").read_text("utf-8"))["bin"]
        return [self.node, str(self.folder / "node_modules" / package / programs[name]), *arguments]


@dataclass(frozen=True)
class PythonPeers:
    """The peers from PyPI, in a virtual environment of their own; `python` is its interpreter."""

    python: str

    def script(self, name: str, *arguments: str) -> list[str]:
        """The command of one of this folder's scripts, such as `servers/fastmcp_shop.py`, which finds the packages."""
        return [self.python, str(HERE / name), *arguments]


def install_python(cache: Path, locked: Path = PYTHON_LOCK, *options: str) -> PythonPeers:
    """Install what `requirements/peers.txt`, or another lock file, says into one virtual environment, unless that has
    been done.

    Args:
        options: more of pip's.

    Skips the test where there is no registry; fails instead with `DEMO_REQUIRE_NODE=1` in the environment, as in CI.
    """
    import filelock

    cache.mkdir(parents=True, exist_ok=True)
    lock = f"# Python {platform.python_version()}\n{locked.read_text('utf-8')}"
    stamp, environment = cache / "installed.txt", cache / "environment"
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with filelock.FileLock(cache / "install.lock", timeout=SECONDS + 60):
        if not stamp.exists() or stamp.read_text("utf-8") != lock or not python.exists():
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
            # The whole environment again: what an older lock file had brought must not stay.
            for command in (
                [sys.executable, "-m", "venv", "--clear", str(environment)],
                [*pip, "--only-binary", ":all:", *options, "-r", str(locked)],
            ):
                ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
                if ran.returncode != 0:
                    _cannot(f"{' '.join(command[1:4])} did not work: {(ran.stderr or ran.stdout).strip()[-300:]}")
            stamp.write_text(lock, "utf-8")
    return PythonPeers(str(python))


def install(cache: Path) -> Peers:
    """Install what `package-lock.json` says, unless that has been done.

    Skips the test where there is no npm, or no registry; with `DEMO_REQUIRE_NODE=1` in the environment, as in CI, it
    fails instead.
    """
    import filelock

    npm = shutil.which("npm")
    if npm is None:
        _cannot("there is no npm on this machine")
    cache.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_text("utf-8")
    stamp = cache / "installed-lock.json"
    with filelock.FileLock(cache / "install.lock", timeout=SECONDS + 60):
        if not stamp.exists() or stamp.read_text("utf-8") != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, cache)
            # No install scripts: what the peers do, they do when a test runs them.
            command = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=SECONDS, check=False)
            if ran.returncode != 0:
                _cannot(f"npm ci did not work: {ran.stderr.strip()[-300:]}")
            stamp.write_text(lock, "utf-8")
        for script in (*HERE.rglob("*.mjs"), *HERE.rglob("*.jsonc")):
            # As a whole or not at all: another worker may be reading it.
            copy = cache / script.relative_to(HERE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(script, f"{copy}.new")
            Path(f"{copy}.new").replace(copy)
    return Peers(cache, _node(cache))


def _node(cache: Path) -> str:
    system = {"Windows": "win", "Darwin": "darwin"}.get(platform.system(), "linux")
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") and system == "linux" else "x64"
    program = "node.exe" if system == "win" else "node"
    shipped = cache / "node_modules" / f"node-{system}-{machine}" / "bin" / program
    found = str(shipped) if shipped.exists() else shutil.which("node")
    if found is None:
        _cannot("there is no Node on this machine")
    return str(found)


def _cannot(why: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"{why}, and DEMO_REQUIRE_NODE=1")
    pytest.skip(why)
