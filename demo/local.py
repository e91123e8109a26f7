"""Find, start and stop the local server of one state folder, from another process."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo import outage, resources
from demo.errors import EnvironmentNotReady

WORKER = "worker"
"""The folder in the state folder where the Worker that runs on this machine keeps its own."""
START_SECONDS = 20.0
STOP_SECONDS = 6.0
Waiting = Callable[[str, float], None]
"""Called about ten times a second while something is awaited: what for, and how many seconds are left at most."""


@dataclass(frozen=True)
class LocalServer:
    """A running local server. `world` names its data: it changes only when the data is reset."""

    base_url: str
    pid: int
    instance: str
    world: str


def _quietly(_what: str, _left: float) -> None:
    return None


def find(state: Path) -> LocalServer | None:
    """The running server of this state, or None. A stale ready file counts for nothing: only an answer does."""
    try:
        written = json.loads((state / "server.json").read_text("utf-8"))
        server = LocalServer(**{name: written[name] for name in ("base_url", "pid", "instance", "world")})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    about = health(server.base_url)
    return server if about is not None and about.get("instance") == server.instance else None


def ensure(state: Path, *, port: int, waiting: Waiting = _quietly) -> tuple[LocalServer, str | None]:
    """The running server of this state, started when there is none.

    Args:
        state: the folder of its data.
        port: where to listen; when something else has taken it, the port of last time or a free one is used.
        waiting: told what is awaited while it starts.

    Returns:
        The server, and a sentence worth showing (it was started; it had to move to another port) or None.

    Raises:
        EnvironmentNotReady: it cannot be started; the reason is the server's own.
    """
    if (server := find(state)) is not None:
        return server, None
    process, moved, starts = None, False, 0
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if (server := find(state)) is not None:
            if process is not None and server.pid != process.pid and process.poll() is None:
                # Another command started one at the same moment. Ours must not wait for its turn and outlive it.
                process.terminate()
            note = f"port {port} is taken: the local server is at {server.base_url}"
            return server, note if moved else None
        # A server that is starting or stopping holds the state, and its port: nothing is started beside it.
        if (process is None or process.poll() is not None) and not _held(state):
            if starts == 2:
                break
            process, moved = _start(state, port)
            starts += 1
        waiting("the local server to start", left)
        time.sleep(0.05)
    if process is not None and process.poll() is None:
        process.terminate()
    if _held(state):
        raise EnvironmentNotReady(
            "the local server of this state does not answer", do="stop it with: demo stop; then try again"
        )
    raise EnvironmentNotReady(
        "the local server did not start",
        why=_last_words(state) or f"no answer within {START_SECONDS:.0f} s",
        do="see what is in the way with: demo doctor",
    )


def begin(state: Path, *, port: int) -> None:
    """See that a server of this state is at least starting, and wait for nothing."""
    if find(state) is None and not _held(state):
        _start(state, port)


def _start(state: Path, port: int) -> tuple[subprocess.Popen[bytes], bool]:
    """Start a server. Returns its process, and whether it must listen elsewhere than at the port meant or last used."""
    _make(state)
    last = _last_port(state)
    chosen = next((one for one in (last or port, port) if one == 0 or _free(one)), None)
    return _spawn(state, chosen or 0), chosen is None


def stop(state: Path, *, waiting: Waiting = _quietly) -> LocalServer | None:
    """Stop the server of this state; None when none ran. Waits until it is gone (bounded), then insists."""
    deadline = time.monotonic() + START_SECONDS
    while (server := find(state) or _unresponsive(state)) is None and (_held(state) or _starting(state)):
        # It has not said yet where it is: it is only starting.
        if (left := deadline - time.monotonic()) <= 0:
            break
        waiting("the local server to start, so that it can be stopped", left)
        time.sleep(0.05)
    if server is None:
        (state / "server.json").unlink(missing_ok=True)
        return None
    for sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not _held(state):
                (state / "server.json").unlink(missing_ok=True)
                _reap(server.pid)
                return server
            waiting("the local server to stop", left)
            time.sleep(0.05)
    raise EnvironmentNotReady(
        f"the local server (pid {server.pid}) does not stop", do="end that process, then try again"
    )


def forget(state: Path) -> None:
    """Delete the stopped server's data: orders, consents, sessions, limits, audit trail, further resources, port.

    Raises:
        EnvironmentNotReady: a server of this state runs; its data is not pulled away from under it.
    """
    import filelock

    if not state.exists():
        return
    try:
        with filelock.FileLock(state / "server.lock").acquire(timeout=2):
            for name in (
                "server.sqlite3",
                "server.sqlite3-wal",
                "server.sqlite3-shm",
                "server.json",
                "server.port",
                "server.pid",
                "workos.json",
                resources.FILE,
                outage.FILE,
            ):
                (state / name).unlink(missing_ok=True)
            shutil.rmtree(state / WORKER, ignore_errors=True)
    except filelock.Timeout as error:
        raise EnvironmentNotReady("a local server of this state still runs", do="stop it with: demo stop") from error


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    return _free(port)


def _reap(pid: int) -> None:
    # Only matters to a process that started the server itself: its ended child must not linger as a zombie.
    with contextlib.suppress(OSError, AttributeError):
        for _ in range(50):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.02)


def _unresponsive(state: Path) -> LocalServer | None:
    # It holds the lock and does not answer. Its pid may be somebody else's by now, so the process is looked at.
    if not _held(state):
        return None
    try:
        written = json.loads((state / "server.json").read_text("utf-8"))
        server = LocalServer(**{name: written[name] for name in ("base_url", "pid", "instance", "world")})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if "demo" in _command_line(server.pid) else None


def _command_line(pid: int) -> str:
    """The command line of a process, empty where it cannot be told."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", errors="replace").replace("\0", " ")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["ps", "-p", str(pid), "-o", "command="]
        return subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout
    return ""


def _held(state: Path) -> bool:
    import filelock  # imported here: the common path, an answering server, does not need it

    try:
        with filelock.FileLock(state / "server.lock").acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False


def health(base_url: str, timeout: float = 2.0, credentials: tuple[str, str] | None = None) -> dict[str, object] | None:
    """What a server says of itself at `/health` within `timeout` seconds, None where it does not.

    Args:
        credentials: a shop's client id and secret at its authorization server (HTTP Basic): a Worker tells nobody else
            which data it has.
    """
    # urllib, not the agent's HTTP client: this runs before the first paint of every command.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(f"{base_url}/health")
        if credentials is not None:
            # Each part form-encoded first (RFC 6749 section 2.3.1).
            pair = ":".join(urllib.parse.quote(part, safe="") for part in credentials)
            request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        with opener.open(request, timeout=timeout) as answer:
            about = json.loads(answer.read(10_000))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return about if isinstance(about, dict) else None


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def _make(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=state).close()
    except OSError as error:
        raise EnvironmentNotReady(
            f"the state folder {state} cannot be written",
            why=error.strerror or str(error),
            do="choose another with --state DIR",
        ) from error
    if shutil.disk_usage(state).free < 20_000_000:
        raise EnvironmentNotReady(f"the disk of {state} is full", do="free some space, or choose --state DIR elsewhere")


def _spawn(state: Path, port: int) -> subprocess.Popen[bytes]:
    with (state / "server.log").open("ab") as log:
        log.truncate(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.server", "--state", str(state), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the presenter's terminal is not meant for the server
            cwd=Path(__file__).parent.parent,
        )
    (state / "server.pid").write_text(str(process.pid), "utf-8")
    return process


def _starting(state: Path) -> bool:
    """Whether the process last started for this state still runs, perhaps before it holds the state."""
    with contextlib.suppress(OSError, ValueError):
        command = _command_line(int((state / "server.pid").read_text("utf-8")))
        return "demo.server" in command and str(state) in command
    return False


def _last_words(state: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (state / "server.log").read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""


def _last_port(state: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((state / "server.port").read_text("utf-8"))
    return None
