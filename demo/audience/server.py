"""The process of the room: the pages for phones on one port, the endpoints for the agents on a loopback port.

It ends with the session that started it: when its standard input ends, which it does even where that was killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demo import connections
from demo.audience import address, tls
from demo.audience.address import Address
from demo.errors import advice
from deputize import net, private
from deputize.errors import EnvironmentNotReady, ExplainedError

FOLDER: Final = "audience"
"""In the state folder: all that the room keeps."""
READY, LOCK, LOG, PORT, DATABASE = "audience.json", "lock", "log", "port", "room.sqlite3"
FIX: Final = "fix: "
"""How the last line begins of one that cannot start: what helps."""
HEAD_SECONDS: Final = 20.0
"""That a phone on a crowded network may take for a request's head, a TLS handshake included."""


@dataclass(frozen=True)
class Serving:
    """Where the room is, as it writes it into its ready file (0600). `secret` is the presenter's command line's."""

    url: str
    inside: str
    pid: int
    started: float
    fingerprint: str = ""
    secret: str = field(default="", repr=False)


def serve(state: Path, given: str, *, port: int | None = None) -> None:
    """Serve until standard input ends, or a signal. Blocks.

    Args:
        state: the presenter's state folder.
        given: what was given with `--audience`.
        port: where to listen, unless the address names a port.

    Raises:
        UsageError: the address cannot be one.
        EnvironmentNotReady: it cannot be listened on, or another session serves this state's room.
    """
    import filelock

    where = address.read(given)
    folder = private.folder(private.folder(state) / FOLDER)
    try:
        held = filelock.FileLock(folder / LOCK, mode=0o600).acquire(timeout=0.5)
    except filelock.Timeout as error:
        raise EnvironmentNotReady(
            "the room of this state is served already", why="by another session", do="end that session first"
        ) from error
    except OSError as error:
        raise private.no_locks(folder, error) from error
    with held, _listening(where, folder, port) as sock, net.listening(net.LOOPBACK, 0) as inside_sock:
        connections.many_files()
        _after_the_stage()
        origin = where.origin(sock.getsockname()[1])
        inside = f"http://{net.LOOPBACK}:{inside_sock.getsockname()[1]}"
        private.write(folder / PORT, str(sock.getsockname()[1]))
        try:
            asyncio.run(_run(state, folder, where, origin, inside, sock, inside_sock))
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentNotReady(
                "the room cannot be opened", why=str(error), do=f"remove {folder}; what is in it is for one talk"
            ) from error
        finally:
            (folder / READY).unlink(missing_ok=True)


def _listening(where: Address, folder: Path, port: int | None) -> socket.socket:
    """The socket for phones: at the port that is named, else that of last time, the usual one, or a free one."""
    named = where.port or port
    fixed = named is not None or where.public is not None  # a tunnel leads to one port
    tries = [named] if named is not None else [_last_port(folder), address.DEFAULT_PORT, *([] if fixed else [0])]
    trouble: OSError | None = None
    for one in tries:
        if one is None:
            continue
        try:
            return net.listening(where.host, one)
        except (OSError, OverflowError) as error:
            trouble = error if isinstance(error, OSError) else OSError(str(error))
    assert trouble is not None
    own = ", ".join(address.own_addresses()) or "none but loopback"
    fix = f"name an address of this machine ({own}), or another port: --audience={where.host}:PORT"
    if where.public is not None:
        fix = f"end what listens there: the tunnel leads to port {tries[-1]}"
    raise EnvironmentNotReady(
        f"{where.host}{f':{tries[-1]}' if tries[-1] else ''} cannot be listened on",
        why=trouble.strerror or str(trouble),
        do=fix,
    ) from trouble


def _last_port(folder: Path) -> int | None:
    try:
        return int((folder / PORT).read_text("utf-8"))
    except (OSError, ValueError):
        return None


async def _run(
    state: Path, folder: Path, where: Address, origin: str, inside: str, sock: socket.socket, inside_sock: socket.socket
) -> None:
    import uvicorn
    from starlette.applications import Starlette

    from demo.audience.app import RoomApp
    from demo.audience.attendees import Attendees
    from demo.audience.feed import Feed
    from demo.audience.guard import Named
    from demo.audience.issuer import hosts, open_issuer
    from demo.audience.presenting import presenter_routes
    from deputize.http.transport import reach

    attendees = Attendees(folder / DATABASE)
    issuer = open_issuer(origin, inside, folder / DATABASE, attendees, clock=time.time)
    reach(origin, inside)
    secret = secrets.token_urlsafe(32)
    shared = where.public is not None or net.is_loopback_url(origin)
    room = RoomApp(issuer, attendees, Feed(state), shared=shared)
    agents = Named(Starlette(routes=[*issuer.inside, *room.control(secret)]), hosts(origin, inside))
    pair = tls.certificate(folder, where.host) if where.tls else None
    common: dict[str, Any] = {
        "log_level": "critical", "access_log": False, "server_header": False, "timeout_graceful_shutdown": 2,
        "lifespan": "off", "ws": "none",
    }  # fmt: skip
    outside = uvicorn.Config(
        room.outside(presenter_routes(state)),
        http=connections.protocol(connections.Bounds(head=HEAD_SECONDS)),
        ssl_certfile=pair[0] if pair else None,
        ssl_keyfile=pair[1] if pair else None,
        # Who calls through a tunnel is named by the tunnel's program, which runs here.
        proxy_headers=where.public is not None,
        forwarded_allow_ips=net.LOOPBACK,
        limit_concurrency=connections.MOST,
        backlog=1024,
        **common,
    )
    phones = connections.Listening(sock, of_one=connections.MOST if shared else connections.OF_A_PHONE)
    servers = (
        _server(outside),
        _server(uvicorn.Config(agents, http=connections.protocol(connections.Bounds(most=connections.MOST)), **common)),
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        room.hub.close()  # streams end first: a server waits for what is open
        for one in servers:
            one.should_exit = True

    for one in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, ValueError):  # Windows has none on its event loop
            loop.add_signal_handler(one, stop)
    threading.Thread(target=_ends_with_input, args=(loop, stop), daemon=True).start()
    from demo.processes import ProcessMark

    ours = ProcessMark.of(os.getpid())
    serving = Serving(origin, inside, os.getpid(), ours.started if ours else 0.0, pair[2] if pair else "", secret)
    try:
        async with room.running():
            work = [
                asyncio.create_task(servers[0].serve([phones])),
                asyncio.create_task(servers[1].serve([inside_sock])),
            ]
            while not all(one.started for one in servers) and not any(one.done() for one in work):
                await asyncio.sleep(0.02)
            private.write(folder / READY, json.dumps(serving.__dict__))
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            stop()
            await asyncio.gather(*work)
    finally:
        attendees.close()
        issuer.close()


def _ends_with_input(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 1024):  # a buffer's lock would abort the end of this process
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(stop)


def _after_the_stage() -> None:
    """What this process does may wait; what the stage draws may not."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(10)  # not on Windows


def _server(config: Any) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # two servers share one process, and it hears the signals

    return Server(config)


def main() -> None:
    """`python -m demo.audience.server`: what a session starts."""
    parser = argparse.ArgumentParser(prog="demo.audience.server", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--address", default="")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    try:
        serve(given.state, given.address, port=given.port)
    except ExplainedError as error:
        # The last two lines are what `life.start` says of it.
        sys.stderr.write(f"{error.what}: {error.why}\n{FIX}{advice(error)}\n")
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
