"""A Worker's folder in which everything but wrangler and Node is real."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import in_process
from tests.conftest import ROOT

CONFIG = """{
  // A comment, and "quotes" in it.
  "name": "shop",
  "main": "src/worker.ts", /* not there */
  "compatibility_date": "2026-04-21",
  "durable_objects": { "bindings": [{ "name": "USERS", "class_name": "UserLedger" }, ] },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ["UserLedger"] }],
  "ratelimits": [{ "name": "FRONT", "namespace_id": "1", "simple": { "limit": 1, "period": 10 } }],
  "vars": { "ISSUER": "", "HOME": "https://shop.example//a", },
  "secrets": { "required": ["NEEDED"] },
}
"""


@dataclass(frozen=True)
class Yard:
    """The folder, and the command beside it."""

    worker: Path
    path: Path
    state: Path

    def behave(self, **how: Any) -> None:
        """How the stand-in for wrangler behaves from now on."""
        (self.worker / "behave.json").write_text(json.dumps(how), "utf-8")

    def calls(self) -> list[dict[str, Any]]:
        """What wrangler was asked so far."""
        file = self.worker / "calls.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    def environment(self, **more: str) -> dict[str, str]:
        """Of a command whose PATH has the stand-ins alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
        ours = {"PATH": str(self.path), "DEMO_STATE": str(self.state), "DEMO_KEYRING": "0", "COLUMNS": "100"}
        return {**kept, **ours, **more}

    def command(self, *arguments: str) -> list[str]:
        """`demo deploy` of this folder."""
        return [sys.executable, "-m", "demo", "deploy", "--worker", str(self.worker), *arguments]

    def deploy(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it, with nobody to ask."""
        given = ["deploy", "--worker", str(self.worker), *arguments]
        return in_process.run(given, environment=self.environment(**environment), folder=ROOT, timeout=60)


def program(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script, "utf-8")
    file.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path) -> Yard:
    """A Worker for which nothing is installed, on a machine without Node and npm."""
    yard = Yard(tmp_path / "worker", tmp_path / "bin", tmp_path / "state")
    yard.worker.mkdir()
    yard.path.mkdir()
    (yard.worker / "wrangler.jsonc").write_text(CONFIG, "utf-8")
    (yard.worker / "package-lock.json").write_text("{}", "utf-8")
    (yard.worker / ".dev.vars.example").write_text('# Words\nNEEDED="x"\nOPTIONAL=\nISSUER=\n', "utf-8")
    return yard


@pytest.fixture
def yard(bare: Yard) -> Yard:
    """The same with stand-ins for Node and wrangler."""
    if os.name == "nt":
        pytest.skip("the stand-in for Node is a shell script")
    shell = shutil.which("sh")
    node = f'#!{shell}\nif [ "$1" = --version ]; then echo v22.1.0; else exec "{sys.executable}" "$@"; fi\n'
    program(bare.path / "node", node)
    script = bare.worker / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    source = (Path(__file__).parent / "stand_in.py").read_text("utf-8")
    program(script, source.replace("Path(__file__).parent", f"Path({str(bare.worker)!r})"))
    stamp = hashlib.sha256((bare.worker / "package-lock.json").read_bytes()).hexdigest()
    (bare.worker / "node_modules" / ".installed").write_text(stamp, "utf-8")
    bare.behave(whoami={"says": {"loggedIn": True, "email": "a@b.example", "accounts": [{"name": "Ann's", "id": "1"}]}})
    return bare


@pytest.fixture
def installing(bare: Yard) -> Callable[[str], None]:
    """Puts an npm on the PATH that does what a line of shell says."""

    def put(line: str) -> None:
        program(bare.path / "npm", f"#!{shutil.which('sh')}\n{line}\n")

    return put
