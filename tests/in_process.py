"""`demo` and its local server in the tests' own process: what a command says and does, without an interpreter's start.

The imports of a command take a second of CPU, and those of its server another. What is claimed of processes (signals,
terminals, what is imported when, a server that is killed) is shown with processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from demo.local_server import local, server
from deputize.errors import EnvironmentNotReady

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]
_CLOCKED = hasattr(signal, "SIGALRM")
"""Windows has no such clock: there a command that hangs hangs the tests."""
_owner = threading.local()
_server_of, _kill = server._server, os.kill


class ServerThread:
    """A local server in a thread of this process, with what `demo.local_server.local` asks of a process."""

    running: ClassVar[list[ServerThread]] = []

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port, self.pid = state, port, os.getpid()
        self.code: int | None = None
        self.server: Any = None
        self.running.append(self)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        _owner.thread = self
        try:
            server.serve(host="127.0.0.1", port=self.port, state=self.state)
            self.code = 0
        except EnvironmentNotReady as error:
            said = f"{error.what}: {error.why}\n{server.FIX}{error.do}\n"
            (self.state / local.LOG).write_text(said, "utf-8")
            self.code = error.exit_code
        finally:
            self.running.remove(self)

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else self.code

    def terminate(self) -> None:
        while self.server is None and self._thread.is_alive():
            time.sleep(0.005)
        if self.server is not None:
            self.server.should_exit = True


def _made(config: Any) -> Any:
    made = _server_of(config)
    if (thread := getattr(_owner, "thread", None)) is not None:
        made.capture_signals = contextlib.nullcontext  # they are the main thread's
        thread.server = made
    return made


def _killed(pid: int, sign: int) -> None:
    """A server of this process that is to be ended ends its thread, not the tests."""
    if pid == os.getpid() and sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        for one in list(ServerThread.running):
            one.terminate()
    else:
        _kill(pid, sign)


@contextlib.contextmanager
def servers_here() -> Iterator[None]:
    """Within it, a local server that is started is a thread of this process, and is stopped as a process would be."""
    before = signal.signal(signal.SIGTERM, lambda *_: _killed(os.getpid(), signal.SIGTERM))
    with (
        mock.patch.object(local, "_spawn", ServerThread),
        mock.patch.object(server, "_server", _made),
        mock.patch("os.kill", _killed),
    ):
        try:
            yield
        finally:
            for one in list(ServerThread.running):
                one.terminate()
                one._thread.join(10)
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """What a process remembers as long as it lives (which server has proved itself, what was said once) begins empty
    within it, and is as it was behind it: the port of a server that is gone may be the next fake's."""
    from demo.cli import context
    from deputize import signals
    from deputize.http import transport
    from deputize.tokens import store

    kept: list[Any] = [transport._PROOFS, store._said, signals._received, context._said]
    before = [one.copy() for one in kept]
    for one in kept:
        one.clear()
    try:
        yield
    finally:
        for one, held in zip(kept, before, strict=True):
            one.clear()
            (one.extend if isinstance(one, list) else one.update)(held)


def serve(state: Path) -> None:
    """Have this state's local server run within `servers_here`, so that no process starts one; elsewhere nothing."""
    if local._spawn is ServerThread:
        local.ensure(state, port=0)


def possible() -> bool:
    """Whether a command can run here: it has signal handlers and an event loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `demo ARGUMENTS` as a process would: its exit code, and what it wrote to its two streams.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout` seconds.
    """
    from typer import rich_utils

    from demo.cli.main import main

    written = [io.BytesIO(), io.BytesIO()]
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    streams = [io.TextIOWrapper(one, encoding=encoding, write_through=True) for one in written]

    def late(*_: object) -> None:
        raise subprocess.TimeoutExpired(["demo", *arguments], timeout)

    code: Any = 0
    handlers = [(number, signal.getsignal(number)) for number in _SIGNALS]
    dressed = {name: getattr(rich_utils, name) for name in ("MAX_WIDTH", "COLOR_SYSTEM", "FORCE_TERMINAL")}
    with (
        forgetting(),
        Path(os.devnull).open(encoding="utf-8") as nothing,
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.multiple(sys, stdin=nothing, stdout=streams[0], stderr=streams[1]),
        mock.patch.object(sys, "unraisablehook", sys.unraisablehook),
        mock.patch.multiple(rich_utils, **dressed),
    ):
        try:
            if _CLOCKED:
                signal.signal(signal.SIGALRM, late)
                signal.setitimer(signal.ITIMER_REAL, timeout)
            main(arguments)
        except SystemExit as end:
            code = end.code
        finally:
            if _CLOCKED:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in handlers:
                signal.signal(number, handler)
    out, err = (one.getvalue().decode(encoding).replace("\r\n", "\n") for one in written)
    return subprocess.CompletedProcess(["demo", *arguments], code or 0, out, err)
