"""Find, start and stop the local server of one state folder, from another process."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import __version__, processes, tracing
from demo.local_server import LOG, outage, proving, resources
from demo.processes import ProcessMark
from deputize import net, private
from deputize.errors import EnvironmentNotReady
from deputize.signals import signals_deferred

WORKER = "worker"
"""The folder in the state folder where the Worker that runs on this machine keeps its own."""
AGENT = "worker-agent"
"""The same of the agent that runs on this machine as it would on Cloudflare."""
READY, LOCK, STARTING = "server.json", "server.lock", "server.pid"
"""In the state folder: where the server is and its secret, what it holds while it lives, what it says, and the process
that was started last."""
START_SECONDS = 20.0
STOP_SECONDS = 6.0
HUNG_SECONDS = 4.0
"""A server that has said where it is and is silent for so long hangs, and is started again."""
Waiting = Callable[[str, float], None]
"""Called about ten times a second while something is awaited: what for, and how many seconds are left at most."""


@dataclass(frozen=True)
class LocalServer:
    """A running local server. `world` names its data: it changes only when the data is reset; `version` is the
    program's."""

    base_url: str
    pid: int
    instance: str
    world: str
    version: str = ""
    traced: str = ""


def quietly(_what: str, _left: float) -> None:
    """Wait without a word."""


def stands_at(state: Path, base_url: str) -> bool:
    """Whether it is this state's server that listens at this address, if anything does; bounded. Where nothing does,
    anyone who sends something there hears that by itself."""
    port = urllib.parse.urlsplit(base_url).port or 0
    if net.is_free(port):
        return True
    server = find(state, timeout=10.0)
    return server is not None and server.base_url == base_url


def find(state: Path, timeout: float = 2.0) -> LocalServer | None:
    """The running server of this state, or None. A stale ready file counts for nothing, nor does what answers at its
    address: only a server that proves itself by the secret in that file, before anything else is sent to it."""
    written = _ready(state)
    if written is None or not written["secret"]:
        return None
    base_url, instance, challenge = written["base_url"], written["instance"], secrets.token_hex(16)
    about = health(base_url, timeout, challenge=challenge)
    if about is None or not proving.proves(about.get("proof"), written["secret"], base_url, instance, challenge):
        return None
    return _server(written, str(about.get("version", "")))


def _ready(state: Path) -> dict[str, Any] | None:
    """What the server of this state has written of itself. Without a secret where an older version wrote it."""
    if not private.is_ours(state):
        return None  # anyone else who may write there would have us believe anything
    try:
        written = json.loads((state / READY).read_text("utf-8"))
        pid, texts = int(written["pid"]), {name: str(written[name]) for name in ("base_url", "instance", "world")}
        more = {name: str(written.get(name, "")) for name in ("secret", "traced")}
        return {**texts, "pid": pid, "started": written.get("started"), **more}
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _server(written: dict[str, Any], version: str = "") -> LocalServer:
    return LocalServer(
        written["base_url"], written["pid"], written["instance"], written["world"], version, written["traced"]
    )


def ensure(state: Path, *, port: int, waiting: Waiting = quietly) -> tuple[LocalServer, str | None]:
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
    private.folder(state)
    note = None
    if (server := find(state)) is not None:
        wanted = tracing.asked_for()
        # One that is traced stays so for commands that are not.
        untraced = wanted is not None and wanted.mark != server.traced
        if server.version == __version__ and not untraced:
            return server, None
        stop(state, waiting=waiting)
        if server.version != __version__:
            note = _of_another_version(server.version)
        else:
            note = "the local server was started again, with its data, so that it is traced as this command is"
    elif (written := _ready(state)) is not None and not written["secret"] and _unresponsive(state) is not None:
        stop(state, waiting=waiting)
        note = _of_another_version("")
    process, moved, starts = None, None, 0
    hung_at = time.monotonic() + HUNG_SECONDS
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if (server := find(state)) is not None:
            if process is not None and server.pid != process.pid and process.poll() is None:
                # Another command started one at the same moment. Ours must not wait for its turn and outlive it.
                process.terminate()
            return server, note if moved is None else f"{moved}: the local server is at {server.base_url}"
        # A server that is starting or stopping holds the state, and its port: nothing is started beside it.
        if (process is None or process.poll() is not None) and not _held(state):
            if starts == 2:
                break
            process, moved = _start(state, port)
            starts += 1
        if starts == 0 and time.monotonic() > hung_at and _unresponsive(state) is not None:
            stop(state, waiting=waiting)
            note = "the local server did not answer any more: it was started again, with its data"
            deadline = time.monotonic() + START_SECONDS
        waiting("the local server to start", left)
        time.sleep(0.05)
    if process is not None and process.poll() is None:
        process.terminate()
    if _held(state):
        raise EnvironmentNotReady(
            "the local server of this state does not answer", do="stop it with: demo stop; then try again"
        )
    why, do = _last_words(state)
    raise EnvironmentNotReady(
        "the local server did not start",
        why=why or f"no answer within {START_SECONDS:.0f} s",
        do=do or f"read {state / LOG}",
    )


def _of_another_version(version: str) -> str:
    was = f"version {version}" if version else "an older version"
    return f"the local server was of {was}, and this is {__version__}: it was started again, with its data"


def begin(state: Path, *, port: int) -> None:
    """See that a server of this state is at least starting, and wait for nothing."""
    if find(state) is None and not _held(state):
        _start(state, port)


def _start(state: Path, port: int) -> tuple[subprocess.Popen[bytes], str | None]:
    """Start a server. Returns its process, and a warning where it must listen elsewhere than at the port meant or last
    used: what was granted there does not count at another address, and anyone who listens there now is not ours."""
    _make(state)
    wanted = _last_port(state) or port
    if wanted == 0 or net.is_free(wanted):
        return _spawn(state, wanted), None
    chosen = port if port != wanted and net.is_free(port) else 0
    return _spawn(state, chosen), f"port {wanted} is taken by another program"


def stop(state: Path, *, waiting: Waiting = quietly) -> LocalServer | None:
    """Stop the server of this state; None when none ran. Waits until it is gone (bounded), then insists.

    A process is ended only when it proves to be this state's server: it answers with the state's secret, or it holds
    the state's lock; and in both cases the number that it wrote down is still that process's.

    Raises:
        EnvironmentNotReady: it does not end, or what holds the state does not prove to be its server.
    """
    deadline = time.monotonic() + START_SECONDS
    while (server := find(state) or _unresponsive(state)) is None and (_held(state) or _starting(state)):
        # It has not said yet where it is: it is only starting.
        if (left := deadline - time.monotonic()) <= 0:
            break
        waiting("the local server to start, so that it can be stopped", left)
        time.sleep(0.05)
    if server is None:
        if _held(state):
            raise EnvironmentNotReady(
                f"another program holds {state / LOCK}",
                why="it does not prove to be the local server, so it is not ended",
                do="end that program, or choose another folder with --state DIR",
            )
        _forget_ready(state)
        return None
    mark = _mark(_ready(state), server.pid)
    for sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if mark is None or not mark.lives:
            if not _held(state):
                break
            raise EnvironmentNotReady(
                f"the local server at {server.base_url} is not process {server.pid} of this machine",
                why="it was started elsewhere, in a container perhaps, on the same folder",
                do="stop it there",
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(mark.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not _held(state):
                break
            waiting("the local server to stop", left)
            time.sleep(0.05)
        if not _held(state):
            break
    else:
        raise EnvironmentNotReady(
            f"the local server (pid {server.pid}) does not stop", do="end that process, then try again"
        )
    _forget_ready(state)
    processes.reap(server.pid, 1.0)
    return server


def _forget_ready(state: Path) -> None:
    with contextlib.suppress(OSError):
        (state / READY).unlink(missing_ok=True)


def _mark(written: dict[str, Any] | None, pid: int) -> ProcessMark | None:
    """The process that has written this; one of an older version said only its number, and is looked at instead."""
    if written is None or written["pid"] != pid:
        return None
    if written["started"] is not None:
        return ProcessMark.read(written)
    return ProcessMark.of(pid) if "demo" in processes.command_line(pid) else None


def forget(state: Path) -> None:
    """Delete the stopped server's data: orders, consents, sessions, limits, audit trail, further resources, port.

    Raises:
        EnvironmentNotReady: a server of this state runs; its data is not pulled away from under it.
    """
    import filelock

    if not private.is_ours(state):
        return
    try:
        with filelock.FileLock(state / LOCK, mode=0o600).acquire(timeout=2):
            for name in (
                "server.sqlite3",
                "server.sqlite3-wal",
                "server.sqlite3-shm",
                READY,
                "server.port",
                STARTING,
                "workos.json",
                resources.FILE,
                outage.FILE,
            ):
                (state / name).unlink(missing_ok=True)
            for folder in (WORKER, AGENT):
                shutil.rmtree(state / folder, ignore_errors=True)
    except filelock.Timeout as error:
        raise EnvironmentNotReady("a local server of this state still runs", do="stop it with: demo stop") from error
    except OSError as error:
        raise private.no_locks(state, error) from error


def _unresponsive(state: Path) -> LocalServer | None:
    """The server that holds the lock and does not answer, where the process that wrote the ready file still lives."""
    written = _ready(state)
    if written is None or not _held(state):
        return None
    mark = _mark(written, written["pid"])
    return _server(written) if mark is not None and mark.lives else None


def _held(state: Path) -> bool:
    import filelock  # imported here: the common path, an answering server, does not need it

    try:
        (state / LOCK).stat()  # a lock that was never made is held by nobody, and asking makes none
        with filelock.FileLock(state / LOCK, mode=0o600).acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False


def health(
    base_url: str, timeout: float = 2.0, credentials: tuple[str, str] | None = None, *, challenge: str = ""
) -> dict[str, object] | None:
    """What a server says of itself at `/health` within `timeout` seconds, None where it does not.

    Args:
        credentials: a shop's client id and secret at its authorization server (HTTP Basic): a Worker tells nobody else
            which data it has. For who has shown already that it is that Worker.
        challenge: asks the local server for a proof, too; without one that holds, all that it says is a claim.
    """
    # urllib, not the agent's HTTP client: this runs before the first paint of every command.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        asked = f"?{proving.CHALLENGE}={challenge}" if challenge else ""
        request = urllib.request.Request(f"{base_url}/health{asked}")
        if credentials is not None:
            # Each part form-encoded first (RFC 6749 section 2.3.1).
            pair = ":".join(urllib.parse.quote(part, safe="") for part in credentials)
            request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        with opener.open(request, timeout=timeout) as answer:
            about = json.loads(answer.read(10_000))
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    return about if isinstance(about, dict) else None


def _make(state: Path) -> None:
    try:
        private.folder(state)
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
    private.database(state / LOG)  # 0600, as all that is kept here
    # Interrupted before it is noted, it would be found by nobody, and go on for good.
    with signals_deferred(), (state / LOG).open("ab") as log:
        log.truncate(0)
        wanted, command = tracing.asked_for(), [sys.executable, "-m", "demo.local_server.server"]
        process = subprocess.Popen(
            [*command, "--state", str(state), "--port", str(port), *(["--traced"] if wanted is not None else [])],
            stdin=subprocess.DEVNULL if wanted is None else subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parent.parent.parent,
            env=processes.environment(),
            **processes.apart(),
        )
        if (mark := ProcessMark.of(process.pid)) is not None:
            private.write(state / STARTING, json.dumps(mark.written()))
    if wanted is not None and process.stdin is not None:
        # There may be a collector's key in it, which neither its arguments nor its environment would keep to itself.
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(wanted.told().encode())
    return process


def _starting(state: Path) -> bool:
    """Whether the process last started for this state still runs, perhaps before it holds the state."""
    try:
        mark = ProcessMark.read(json.loads((state / STARTING).read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return False
    return mark is not None and mark.lives


def _last_words(state: Path) -> tuple[str, str]:
    """What the server that could not start said last: why, and what helps."""
    from demo.local_server.server import FIX

    try:
        lines = (state / LOG).read_text("utf-8", errors="replace").strip().splitlines() or [""]
    except OSError:
        return "", ""
    if len(lines) > 1 and lines[-1].startswith(FIX):
        return lines[-2], lines[-1].removeprefix(FIX)
    return lines[-1], ""


def _last_port(state: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((state / "server.port").read_text("utf-8"))
    return None
