"""Node, npm and wrangler: found, and installed as the Worker's lock file pins them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo import processes
from demo.deploy import process
from demo.local_server.local import Waiting, quietly
from deputize.errors import EnvironmentNotReady

INSTALL_SECONDS: Final = 300.0
RUN_SECONDS: Final = 60.0
LOCK: Final = "package-lock.json"
PACKAGED: Final = Path(__file__).with_name("worker")
"""The Worker that an installed package carries; a checkout has it beside the package."""
AGENT: Final = "agent"
"""The agent's folder within the Worker's."""
LEAST_NODE: Final = (20, 3)
"""What the pinned wrangler asks for (`engines` in its package.json)."""
_CLOUDFLARE: Final = ("CLOUDFLARE_", "CF_", "WRANGLER_")
"""How the names begin of the variables that wrangler reads: an account, a token, where it keeps its login."""
_NPM: Final = ("NPM_", "NODE_AUTH_TOKEN")
"""The same of npm: its settings, and the token for a registry that asks for one."""
_QUIET: Final = {
    "WRANGLER_SEND_METRICS": "false",
    "CI": "1",
    "NO_COLOR": "1",
    "FORCE_COLOR": "0",
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",  # else it asks the network where it is
    # Else the Worker's own port serves its objects to read and to write (/cdn-cgi/explorer) for any program.
    "X_LOCAL_EXPLORER": "false",
}
GET_NODE: Final = "install Node 22 (nodejs.org), which brings npm, then try again"


@dataclass(frozen=True)
class Tools:
    """What builds the Worker in `worker`: the program `node`, and wrangler's script."""

    worker: Path
    node: Path
    wrangler: Path

    def command(self, *arguments: str) -> list[str]:
        """Wrangler's command line with these arguments."""
        return [str(self.node), str(self.wrangler), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """What wrangler runs in, asking nothing and reporting to nobody: with what is Cloudflare's and wrangler's of
        this person's environment, and nothing secret that is another program's.

        CI=1 makes it answer its own questions by their defaults, so that it never waits for a key that nobody presses.
        """
        return self._environment(_CLOUDFLARE, {**_QUIET, **more})

    def offline(self) -> dict[str, str]:
        """What workerd runs in on this machine: the same without an account and without the network."""
        return self._environment((), _QUIET)

    def _environment(self, starts: tuple[str, ...], more: dict[str, str]) -> dict[str, str]:
        kept = processes.environment(processes.NETWORK if starts else frozenset(), starts)
        return {**kept, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}", **more}


def default_worker() -> Path:
    """The Worker's folder: in a checkout the one beside the package, for an installed package `worker/` of the present
    folder, and without either the package's own: the copy that `install` has made of it, or before that itself."""
    root = Path(__file__).parent.parent.parent
    for folder in (root / "worker", Path.cwd() / "worker"):
        if (folder / LOCK).is_file():
            return folder
    if not (PACKAGED / LOCK).is_file():
        return root / "worker"
    copy = _place_of_copy()
    return copy if (copy / LOCK).is_file() else PACKAGED


def default_agent() -> Path:
    """The folder of the agent that comes with the Worker: `agent/` in it, a Worker of its own."""
    return default_worker() / AGENT


def _place_of_copy() -> Path:
    """Where the installed package's Worker is copied to: its name tells the content, so that an upgrade makes a new one
    and changes none."""
    import platformdirs

    digest = hashlib.sha256()
    for file in sorted(file for file in PACKAGED.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(PACKAGED).as_posix()}\0".encode() + file.read_bytes())
    home = Path(platformdirs.user_data_dir("machine-identity-demo", appauthor=False))
    return home / f"worker-{digest.hexdigest()[:12]}"


def _copied() -> Path:
    """A copy of the installed package's Worker in the user's data folder: the package may be another user's."""
    copy = _place_of_copy()
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent) as made:
            shutil.copytree(PACKAGED, Path(made) / "worker")
            (Path(made) / "worker").rename(copy)  # whole or not at all
    except OSError as error:
        if not (copy / LOCK).is_file():  # else another command was first
            raise EnvironmentNotReady(
                f"the Worker cannot be copied to {copy}",
                why=error.strerror or str(error),
                do="make that folder writable, or set XDG_DATA_HOME",
            ) from error
    return copy


def find(worker: Path) -> Tools:
    """The tools as they are installed now; nothing is installed and no network is used.

    Raises:
        EnvironmentNotReady: no Worker here, no Node, or what the lock file names is not installed.
    """
    wanted = _wanted(worker)  # first: without a Worker nothing can be installed for it
    found = _node(_nodes(worker))
    script = _script(worker)
    if not script.is_file() or _stamp(worker) != wanted:
        raise EnvironmentNotReady(
            "wrangler is not installed for this Worker",
            why=f"{worker / 'node_modules'} is not what package-lock.json names",
            do=f"demo deploy {'--agent ' * (worker.name == AGENT)}--dry-run installs it",
        )
    return Tools(worker, found, script)


def install(worker: Path, waiting: Waiting = quietly) -> Tools:
    """The tools, installed by `npm ci` where they are not, or where the lock file has changed since.

    The package's own Worker is copied first, and the tools are the copy's (`Tools.worker`).

    Raises:
        EnvironmentNotReady: no Node, no npm, or npm cannot install; or the copy cannot be made.
    """
    if worker.resolve() == PACKAGED.resolve():
        worker = _copied()
    elif worker.resolve() == (PACKAGED / AGENT).resolve():
        worker = _copied() / AGENT
    if not _installed(worker):
        _npm_ci(worker, waiting)
    return find(worker)


def _installed(worker: Path) -> bool:
    return _stamp(worker) == _wanted(worker) and _script(worker).is_file()


def _npm_ci(worker: Path, waiting: Waiting) -> None:
    """Install what the lock file names; `npm ci` begins by emptying `node_modules`, so that two would break each other.

    Raises:
        EnvironmentNotReady: see `install`.
    """
    import filelock

    npm = shutil.which("npm")
    if npm is None:
        why = "wrangler comes from npm" if _nodes(worker) else "neither Node nor npm is on this machine"
        raise EnvironmentNotReady("npm was not found", why=why, do=GET_NODE)
    waiting("npm to install wrangler", INSTALL_SECONDS)
    try:
        with filelock.FileLock(worker / ".npm-ci.lock").acquire(timeout=INSTALL_SECONDS):
            if not _installed(worker):  # else another command did it meanwhile
                _run_npm_ci(npm, worker)
    except filelock.Timeout as error:
        raise EnvironmentNotReady(
            "another command installs wrangler",
            why=f"it did not end within {INSTALL_SECONDS:.0f} s",
            do="wait for that command, or stop it, then try again",
        ) from error
    except OSError as error:
        raise EnvironmentNotReady(
            "npm did not install wrangler", why=str(error), do=f"make {worker} writable, or name another: --worker DIR"
        ) from error


def _run_npm_ci(npm: str, worker: Path) -> None:
    # Named, since NODE_ENV=production and npm's own `omit` leave them out (docs.npmjs.com/cli/commands/npm-ci,
    # `include`): wrangler is a development dependency, workerd's program an optional one.
    included = ["--include=prod", "--include=dev", "--include=optional", "--include=peer"]
    command = [npm, "ci", "--loglevel=error", "--no-audit", "--no-fund", *included]
    try:
        done = process.run(
            command, folder=worker, environment=processes.environment(processes.NETWORK, _NPM), seconds=INSTALL_SECONDS
        )
    except process.TooSlow as error:
        raise EnvironmentNotReady(
            "npm did not install wrangler", why=f"no end within {INSTALL_SECONDS:.0f} s", do="see to the network"
        ) from error
    if done.code != 0:
        raise EnvironmentNotReady(
            "npm did not install wrangler", why=done.last_words(), do="fix what npm says, then try again"
        )
    _see_that_it_runs(worker)
    (worker / "node_modules" / ".installed").write_text(_wanted(worker), "utf-8")


def _script(worker: Path) -> Path:
    return worker / "node_modules" / "wrangler" / "bin" / "wrangler.js"


def _see_that_it_runs(worker: Path) -> None:
    """Only what runs is marked as installed: wrangler, and workerd, which it looks for as it starts.

    Raises:
        EnvironmentNotReady: it does not run.
    """
    built = Tools(worker, _node(_nodes(worker)), _script(worker))
    try:
        # It loads workerd's place only to run it, so that is asked for by name.
        command = [str(built.node), "-e", "require('wrangler/package.json'); require('workerd')"]
        done = process.run(command, folder=worker, environment=built.offline(), seconds=RUN_SECONDS)
        why = "" if done.code == 0 else done.last_words()
    except process.TooSlow:
        why = f"no end within {RUN_SECONDS:.0f} s"
    if why or not _script(worker).is_file():
        raise EnvironmentNotReady(
            "npm ended well, and wrangler is not there to run",
            why=why or f"there is no {_script(worker)}",
            do="see what npm is configured to leave out: npm config list (omit, os, cpu, ignore-scripts)",
        )


def _wanted(worker: Path) -> str:
    try:
        return hashlib.sha256((worker / LOCK).read_bytes()).hexdigest()
    except OSError as error:
        missing = "" if shutil.which("node") else "; and Node is missing, too"
        raise EnvironmentNotReady(
            f"there is no Worker in {worker}",
            why=f"that folder has no {LOCK}{missing}",
            do="name the Worker's folder: --worker DIR" + (f"; {GET_NODE}" * bool(missing)),
        ) from error


def _stamp(worker: Path) -> str:
    try:
        return (worker / "node_modules" / ".installed").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _nodes(worker: Path) -> list[Path]:
    """The machine's own Node first, then one that the lock file may have brought."""
    own = shutil.which("node")
    brought = sorted((worker / "node_modules").glob("node-*-*/bin/node*"))
    return [*([Path(own)] if own else []), *brought]


def _node(candidates: Iterable[Path]) -> Path:
    seen = [(node, node_version(node)) for node in candidates]
    good = next((node for node, version in seen if version >= LEAST_NODE), None)
    if good is not None:
        return good
    least = ".".join(map(str, LEAST_NODE))
    had = ", ".join(".".join(map(str, version)) or "one that does not run" for _, version in seen)
    raise EnvironmentNotReady(
        f"there is no Node {least} or newer" if seen else "Node was not found",
        why=f"wrangler needs it; this machine has {had}" if seen else "wrangler is a program for Node",
        do=GET_NODE,
    )


def node_version(node: Path) -> tuple[int, ...]:
    """Which Node this is; empty for one that does not run."""
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, env=processes.environment(), check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in match.groups()) if match else ()


def wrangler_version(tools: Tools) -> str:
    """Which wrangler this is."""
    try:
        about = json.loads((tools.wrangler.parent.parent / "package.json").read_text("utf-8"))
        return str(about["version"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return "unknown"
