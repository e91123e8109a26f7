"""What tests in several rooms need: the whole local server on loopback, and a world for one command."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import keyring
import pytest
from keyring.backends import fail

from demo.local_server import local
from tests import in_process

if TYPE_CHECKING:
    from demo.client.human.console import Console
    from deputize.tokens.store import Store

ROOT = Path(__file__).parent.parent
HANGS = 60.0
"""Seconds: what has not ended by then hangs. A test that something is bounded holds it against this and against a fake
that never comes to an end; with fewer seconds it would measure the machine."""

COLOURS = ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR", "PY_COLORS")
"""What decides of a program's colours and size, by convention, and by Rich and Typer."""


def pytest_configure() -> None:
    """Hear Ctrl-C and a hang-up, also where a shell or `nohup` that runs the tests had them ignored, which processes
    inherit."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # What a CI system or a shell sets for the tests' own output would colour that of the commands.
    for name in COLOURS:
        os.environ.pop(name, None)
    # The same examples each time, with no bound of milliseconds for one, and none kept from an earlier run.
    hypothesis.settings.load_profile("ci")


def pytest_collection() -> None:
    """What is collected stays to the end: to look for garbage among it takes a third of the collection."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor is it looked through later, as the tests make garbage of their own."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _apart_from_this_machine() -> Iterator[None]:
    """What the machine and the person who runs the tests have set decides nothing in one.

    In a monkeypatch of its own, since a test may undo the one that tests are given.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [one for one in os.environ if one.startswith(("DEMO_", "OTEL_"))]:
            patch.delenv(name)
        # Whether there are Node and the Worker's packages.
        patch.setenv("DEMO_EDGE", "off")
        patch.setenv("DEMO_KEYRING", "0")
        # What the library asks by itself, here and in a process that a test starts (keyring's documentation,
        # "Configuring"). A process looks once, and takes the best class that it finds: one of an earlier test, maybe.
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]  # keyring's
        yield


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    """No test goes by what another one's server had proved."""
    with in_process.forgetting():
        yield


CONSOLE_KEYS: dict[str, tuple[str, str] | None] = {}
"""The issuer and the private key of the human's console, by the base URL of each server of this process."""


@contextlib.contextmanager
def serving(
    database: Path, *, clock: Callable[[], float] = time.time, policy_folder: Path | None = None, port: int = 0
) -> Iterator[str]:
    """The whole local server in a thread of this process, on a free port or this one. Yields its base URL."""
    import uvicorn

    from demo.local_server import world
    from demo.local_server.app import create_app

    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(128)
        base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        app = create_app(base_url, database, instance="test", clock=clock, policy_folder=policy_folder)
        CONSOLE_KEYS[base_url.replace("127.0.0.1", "localhost")] = CONSOLE_KEYS[base_url] = world.console(database)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started, "the server did not start"
        try:
            yield base_url
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def console_at(server: str, store: Store) -> Console:
    """The human's own console at a server of `serving`, with the key that makes it that; another's it has not."""
    from demo.client.human.console import Console, console_identity

    return Console(server, store=store, client=console_identity(CONSOLE_KEYS.get(server)))


@pytest.fixture
def base_url(tmp_path: Path) -> Iterator[str]:
    """A running local server with fresh data."""
    with serving(tmp_path / "server.sqlite3") as url:
        yield url


class Command:
    """Runs `demo` with a state folder of its own: called, in this process where that is possible; with `process` and
    `start`, as a person would, in a process of its own."""

    def __init__(self, state: Path, *, apart: bool = False) -> None:
        self.state = state
        self.apart = apart

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEMO_", "OTEL_"))}
        return kept | {
            "DEMO_STATE": str(self.state),
            "DEMO_KEYRING": "0",
            "DEMO_PORT": "0",
            "DEMO_EDGE": "off",
            "COLUMNS": "80",
        }

    def __call__(self, *arguments: str, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
        if self.apart or not in_process.possible():
            return self.process(*arguments, timeout=timeout)
        return in_process.run(arguments, environment=self.environment(), folder=ROOT, timeout=timeout)

    def process(self, *arguments: str, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "demo", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment() | environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Command]:
    """The command and its local server, in this process, with a state folder of their own."""
    with in_process.servers_here():
        command = Command(tmp_path / "state")
        yield command
        local.stop(command.state)


@pytest.fixture
def demo_with_server_apart(tmp_path: Path) -> Iterator[Command]:
    """The command in this process, its local server in one of its own, which can be stopped and started."""
    command = Command(tmp_path / "state")
    yield command
    local.stop(command.state)


@pytest.fixture
def demo_apart(tmp_path: Path) -> Iterator[Command]:
    """The command and its local server as processes, with a state folder of their own."""
    command = Command(tmp_path / "state", apart=True)
    yield command
    local.stop(command.state)
