"""The process that serves the local server: for one state folder, on one port, until nobody calls any more."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import secrets
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from demo import connections, tracing
from demo.errors import advice
from demo.local_server import LOG, LONGEST_LOG, app, outage, proving, resources, world
from demo.processes import ProcessMark
from deputize import net, private
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from uvicorn import Config, Server

DEFAULT_PORT = 7327
FIX = "fix: "
"""How the last line begins that a server leaves which cannot start: what helps."""
IDLE_SECONDS = 3 * 3600.0
"""A server nobody has talked to for this long stops by itself."""


@dataclass(frozen=True)
class Serving:
    """Where a local server is, as it writes it into its ready file (0600). `world` changes only when the data is reset;
    `started` is its process's (`ProcessMark`), and with `secret` it proves itself."""

    base_url: str
    pid: int
    instance: str
    world: str
    started: float = 0.0
    secret: str = field(default="", repr=False)
    traced: str = ""
    """How it is traced (`demo.tracing.wanted.Wanted.mark`); empty where it is not."""


def serve(
    *,
    host: str,
    port: int,
    state: Path,
    idle_seconds: float = IDLE_SECONDS,
    announce: Callable[[Serving], None] | None = None,
) -> None:
    """Serve until a signal, or until nobody has called for `idle_seconds`. Blocks.

    Holds `server.lock` in the state folder while it lives, so that there is one server for one state, and a pid found
    in `server.json` is known to be ours as long as the lock is held.

    Raises:
        EnvironmentNotReady: the port is taken, another server already serves this state, or its data cannot be used.
    """
    import filelock
    import uvicorn

    from demo import policy_file  # it loads what only a server needs

    shown = f"[{host}]" if ":" in host else host
    if shown not in net.LOOPBACK_NAMES:
        raise EnvironmentNotReady(
            f"the local server does not listen on {host}",
            why="it speaks plain http, which an issuer may do on loopback only (RFC 8414 section 2)",
            do="leave --host out; from another machine, ssh -L PORT:127.0.0.1:PORT HERE (the same port twice)",
        )
    private.folder(state)
    lock = filelock.FileLock(state / "server.lock", mode=0o600)
    try:
        held = lock.acquire(timeout=0.5)  # not 0: a command that asks who holds it has it for a moment
    except filelock.Timeout as error:
        raise EnvironmentNotReady(
            "a local server already runs for this state", do="use it, or stop it with: demo stop"
        ) from error
    except OSError as error:
        raise private.no_locks(state, error) from error
    ready = state / "server.json"
    ready.unlink(missing_ok=True)  # one that a killed server left would have its pid taken for ours
    with held, _bind(host, port) as sock:
        base_url = f"http://{shown}:{sock.getsockname()[1]}"
        instance = secrets.token_hex(6)
        secret = proving.new_secret()
        database = state / world.DATABASE
        try:
            name, _ = world.settle(database)
            guard = app.create_app(
                base_url,
                database,
                instance=instance,
                secret=secret,
                more_resources=partial(resources.read, state),
                policy_folder=state,
            )
        except (sqlite3.Error, OSError) as error:
            raise _trouble(database, error) from error
        except policy_file.PolicyWrong as wrong:
            raise EnvironmentNotReady(
                f"{state / policy_file.NAME} is no policy",
                why=wrong.told(),
                do="fix it, or remove it: then the policy that ships is in force",
            ) from wrong
        ours = ProcessMark.of(os.getpid())
        started = ours.started if ours is not None else 0.0
        wanted = tracing.asked_for()
        serving = Serving(
            base_url, os.getpid(), instance, name, started, secret, wanted.mark if wanted is not None else ""
        )
        most = connections.most_connections(connections.many_files())
        config = uvicorn.Config(
            outage.Drilled(guard, state),
            http=connections.protocol(connections.Bounds(most=most)),
            ws="none",
            backlog=connections.BACKLOG,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        server = _server(config)
        private.write(ready, json.dumps(serving.__dict__))
        # The port is part of the issuer's name: at another one every token would be of another issuer.
        private.write(state / "server.port", str(sock.getsockname()[1]))
        threading.Thread(target=_watch, args=(guard, server, ready, serving, idle_seconds), daemon=True).start()
        if announce is not None:
            announce(serving)
        try:
            server.run(sockets=[sock])
        finally:
            if _is_ours(ready, serving):
                with contextlib.suppress(OSError):
                    ready.unlink(missing_ok=True)


def _bind(host: str, port: int) -> socket.socket:
    try:
        return net.listening(host, port)
    except OSError as error:
        raise EnvironmentNotReady(
            f"{host}:{port} cannot be listened on", why=error.strerror or str(error), do="choose another with --port"
        ) from error


def _trouble(database: Path, error: Exception) -> EnvironmentNotReady:
    """What is wrong with the data, and what helps, by SQLite's result code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what, do = f"another program holds {database}", "end that program"
    elif isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        what, do = f"{database} is damaged", "demo reset makes a fresh one; what was bought and granted is lost"
    else:
        what, do = f"{database} cannot be used", "choose a folder on a disk of this machine with --state DIR"
    return EnvironmentNotReady(what, why=str(error), do=do)


def _server(config: Config) -> Server:
    """uvicorn's server, which leaves a signal ignored that was: `nohup`, or a script that started us in the background
    (POSIX, Shell Command Language 2.11), means that."""
    import uvicorn

    class Listening(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            ignored = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is signal.SIG_IGN]
            with super().capture_signals():
                for one in ignored:
                    signal.signal(one, signal.SIG_IGN)
                yield

    return Listening(config)


def _watch(guard: app.Guard, server: object, ready: Path, serving: Serving, idle_seconds: float) -> None:
    """Stop when nobody has called for long, or when the state is not ours any more: its folder was emptied."""
    while guard.clock() - guard.last_call < idle_seconds and _is_ours(ready, serving):
        _shorten(ready.with_name(LOG))
        time.sleep(min(2.0, idle_seconds))
    server.should_exit = True  # type: ignore[attr-defined]  # uvicorn.Server, not imported at module level


def _shorten(log: Path) -> None:
    """Start the log again where it is long, if what this process says goes there."""
    with contextlib.suppress(OSError):
        said = os.fstat(sys.stderr.fileno())
        if said.st_size > LONGEST_LOG and os.path.samestat(said, log.stat()):
            os.truncate(log, 0)  # it is written at its end, wherever that is (O_APPEND)


def _is_ours(ready: Path, serving: Serving) -> bool:
    """Whether the ready file still says that this server serves the state; also where that cannot be looked at now (no
    file can be opened, the disk does not answer), which says nothing of the file."""
    try:
        return Serving(**json.loads(ready.read_text("utf-8"))) == serving
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    except (ValueError, RecursionError, TypeError):
        return False  # nobody writes it but a server of this state


def main() -> None:
    """`python -m demo.local_server.server`: what `demo next` starts in the background."""
    parser = argparse.ArgumentParser(prog="demo.local_server.server", description=__doc__)
    parser.add_argument("--host", default=net.LOOPBACK)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--traced", action="store_true", help="how, is read from stdin")
    given = parser.parse_args()
    # What is imported stays: to look for garbage among it takes a tenth of the start.
    gc.disable()

    def started(_: Serving) -> None:
        gc.freeze()
        # What a request makes is gone when it is answered, nearly all of it without the collector's help: to look
        # after each seven hundred objects takes a tenth of the time.
        gc.set_threshold(20_000, 20, 50)
        gc.enable()

    try:
        if given.traced:
            from demo.tracing import wanted

            services = (tracing.SHOP, tracing.AUTHORIZATION_SERVER)
            tracing.begin(wanted.read(sys.stdin.read()), services, only_parts=True)
        serve(host=given.host, port=given.port, state=given.state, idle_seconds=given.idle_seconds, announce=started)
    except (EnvironmentNotReady, UsageError) as error:
        # The last two lines are what `local.ensure` says of it.
        sys.stderr.write(f"{error.what}: {error.why}\n{FIX}{advice(error)}\n")
        raise SystemExit(error.exit_code) from error
    finally:
        tracing.end()


if __name__ == "__main__":
    main()
