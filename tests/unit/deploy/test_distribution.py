"""What is shipped: a source distribution of all that git tracks, and a wheel that plays the whole talk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from demo.deploy.tools import LOCK
from tests.conftest import ROOT, Command
from tests.unit.deploy.conftest import program

LITTER = (
    "build/lib/demo/gone.py",
    "demo/__pycache__/errors.cpython-311.pyc",
    "worker/.dev.vars",
    "worker/.dev.vars.production",
    "worker/.env",
    "worker/.npm-ci.lock",
    "worker/.wrangler/state",
    "worker/dist/worker.js",
    "worker/node_modules/wrangler/package.json",
    "worker/agent/.dev.vars",
    "worker/agent/node_modules/agents/package.json",
)
"""What a checkout has collected, and nobody may be sent."""
NOT_TO_RUN = {".prettierignore", "generate.py", "test", "vitest.config.ts"}
"""What of `worker/` serves its development only."""


@dataclass(frozen=True)
class Built:
    """Both distributions, what git tracks, and the folder that they were built in."""

    tracked: frozenset[str]
    sdist: frozenset[str]
    wheel: frozenset[str]
    again: frozenset[str]
    wheel_file: Path


def tracked() -> frozenset[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so nobody knows what git tracks")
    return frozenset(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def build(source: Path, into: Path, *targets: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into), *targets]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)


def in_wheel(file: Path) -> frozenset[str]:
    """Its files but those about itself."""
    with zipfile.ZipFile(file) as wheel:
        return frozenset(name for name in wheel.namelist() if ".dist-info/" not in name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Built twice: in a checkout that has litter in it, and the wheel once more from the source distribution."""
    names, home = tracked(), tmp_path_factory.mktemp("distribution")
    for name in names:
        (home / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, home / "source" / name)
    for name in LITTER:
        (home / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "source" / name).write_text("left over", "utf-8")
    build(home / "source", home / "made")
    (sdist,), (wheel,) = (home / "made").glob("*.tar.gz"), (home / "made").glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(home / "unpacked", filter="data")
    (top,) = (home / "unpacked").iterdir()
    build(top, home / "again", "-t", "wheel")
    (again,) = (home / "again").glob("*.whl")
    sent = frozenset(file.relative_to(top).as_posix() for file in top.rglob("*") if file.is_file())
    yield Built(names, sent, in_wheel(wheel), in_wheel(again), wheel)


def test_the_source_distribution_is_what_git_tracks(built: Built) -> None:
    assert built.sdist == built.tracked | {"PKG-INFO"}


def test_the_wheel_is_the_packages_and_the_worker(built: Built) -> None:
    sent = {name for name in built.tracked if not NOT_TO_RUN & set(name.split("/")[1:3])}
    worker = {name for name in sent if name.startswith("worker/")}
    packages = {name for name in built.tracked if name.split("/")[0] in ("demo", "deputize", "talk")}
    assert built.wheel == packages | {str(PurePosixPath("demo/deploy") / name) for name in worker}
    assert built.again == built.wheel, "a wheel from the source distribution is the same"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_an_installed_package_copies_its_worker_to_where_npm_may_write(
    built: Built, demo: Command, tmp_path: Path
) -> None:
    site, data = tmp_path / "site", tmp_path / "data"
    with zipfile.ZipFile(built.wheel_file) as wheel:
        wheel.extractall(site)
    before = sorted(site.rglob("*"))
    program(tmp_path / "bin" / "npm", "#!/bin/sh\npwd > asked\necho 'npm error no network' >&2\nexit 1\n")
    program(tmp_path / "bin" / "node", "#!/bin/sh\necho v22.1.0\n")
    (tmp_path / "empty").mkdir()
    environment = demo.environment() | {
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_DATA_HOME": str(data),
        "HOME": str(data),
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
    }

    def said(*line: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "demo", *line]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path / "empty", check=False
        )

    assert said("run", "--worker").returncode == 3, "nothing is installed for it yet"
    assert not data.exists(), "and who only asks has nothing copied"
    assert said("deploy", "--dry-run").returncode == 3, "and npm could not"
    (lock,) = data.glob(f"*/worker-*/{LOCK}")
    assert (lock.parent / "asked").read_text("utf-8").strip() == str(lock.parent)
    assert (lock.parent / "src" / "worker.ts").is_file() and (lock.parent / ".npmrc").is_file()
    assert sorted(site.rglob("*")) == before, "the installed package itself is left alone"
