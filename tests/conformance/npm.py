"""The MCP conformance suite as npm gives it: installed by its lock file, run on a Node that is new enough."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deputize.errors import EnvironmentNotReady

HERE: Final = Path(__file__).parent
NODE_MAJOR: Final = 22
"""The oldest Node that the suite runs on."""

INSTALL_SECONDS: Final = 300.0
LIST_SECONDS: Final = 30.0
GET_NODE: Final = f"install Node {NODE_MAJOR} or newer with npm, then try again"


@dataclass(frozen=True)
class Suite:
    """An installed suite: which program runs it, and which version it is."""

    node: Path
    script: Path
    version: str

    def command(self, *arguments: str) -> list[str]:
        """The suite's command line with these arguments."""
        return [str(self.node), str(self.script), *arguments]

    def listing(self, *arguments: str) -> str:
        """What `conformance list` says.

        Raises:
            EnvironmentNotReady: it says nothing within half a minute, or fails.
        """
        try:
            done = subprocess.run(
                self.command("list", *arguments), capture_output=True, text=True, timeout=LIST_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EnvironmentNotReady("the conformance suite does not list its scenarios", why=str(error)) from error
        return done.stdout


def install(folder: Path = HERE) -> Suite:
    """The suite of `folder`'s lock file; installed when it is not there yet, or when the lock file changed.

    Raises:
        EnvironmentNotReady: npm is missing, cannot install, or there is no Node for the suite.
    """
    node = system_node()
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest() + ("" if node else " with node")
    if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
        _npm_ci(folder, with_node=node is None)
        stamp.write_text(wanted, "utf-8")
    node = node or _installed_node(modules)
    package = modules / "@modelcontextprotocol" / "conformance"
    version = re.search(r'"version": "([^"]+)"', (package / "package.json").read_text("utf-8"))
    return Suite(node, package / "dist" / "index.js", version[1] if version else "unknown")


def system_node() -> Path | None:
    """The machine's own Node, where it is new enough."""
    found = shutil.which("node")
    return Path(found) if found and _major(Path(found)) >= NODE_MAJOR else None


def _major(node: Path) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=LIST_SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)\.", said)
    return int(match[1]) if match else 0


def _npm_ci(folder: Path, *, with_node: bool) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentNotReady("npm was not found", why="the MCP conformance suite comes from npm", do=GET_NODE)
    command = [npm, "ci", "--loglevel=error", *([] if with_node else ["--omit=optional"])]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentNotReady("npm did not install the suite", why=f"no end in {INSTALL_SECONDS:.0f} s") from error
    if done.returncode != 0:
        said = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.strip()]
        raise EnvironmentNotReady(
            "npm did not install the suite", why=" / ".join(said[:3]), do="fix what npm says, then try again"
        )


def _installed_node(modules: Path) -> Path:
    for place in modules.glob("node-*-*/bin/node*"):
        if _major(place) >= NODE_MAJOR:
            return place
    raise EnvironmentNotReady(
        "there is no Node for the conformance suite", why=f"npm has no Node {NODE_MAJOR} for this system", do=GET_NODE
    )


def without_colour(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which the suite writes plain text."""
    return {**environment, "NO_COLOR": "1", "FORCE_COLOR": "0"}


def output_of(folder: Path) -> Sequence[Path]:
    """Where a run has left its verdicts."""
    return sorted(folder.rglob("checks.json"))
