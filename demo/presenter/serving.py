"""The process that serves the presenter's page: its secret, its port, and the room through which phones reach it."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo import connections
from demo.presenter import address
from demo.presenter.web import Place, on_loopback, presenter_app
from deputize import net, private
from deputize.errors import EnvironmentNotReady

if TYPE_CHECKING:
    from demo.presenter.desk import Desk

SECRET_FILE: Final = "presenter.secret"
LOOK_SECONDS: Final = 1.0
"""How often it is looked whether a room is open."""
CONNECTIONS: Final = 64


def secret_of(state: Path) -> str:
    """The secret of this state folder's page, made when missing: a page that is open already finds a presenter again
    that was restarted.

    Raises:
        EnvironmentNotReady: the state folder cannot be used.
    """
    file = private.folder(state) / SECRET_FILE
    try:
        if len(known := file.read_text("utf-8").strip()) >= 22:
            return known
    except (OSError, UnicodeDecodeError):
        pass
    made = secrets.token_urlsafe(16)  # 128 bits; a longer address would not stand on one line
    try:
        private.write(file, made)
    except OSError as error:
        raise EnvironmentNotReady(
            f"{file} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error
    return made


def forget_secret(state: Path) -> None:
    """Have the next page of this state folder ask for another secret.

    Raises:
        OSError: the file cannot be removed.
    """
    (state / SECRET_FILE).unlink(missing_ok=True)


def serve(desk: Desk, state: Path, port: int, announce: Callable[[str], None], room: Callable[[], str | None]) -> None:
    """Serve the page on loopback until Ctrl-C, and for phones where the room's server leads them here.

    Args:
        port: where to listen; 0 for any free port.
        announce: called with each address to open, as soon as there is one; who opens it at once waits a moment.
        room: the origin of the room's server, None where none is open.

    Raises:
        EnvironmentNotReady: the port is taken, or the state folder cannot be used.
    """
    import uvicorn

    secret = secret_of(state)
    try:
        sock = net.listening(net.LOOPBACK, port)
    except OSError as error:
        raise EnvironmentNotReady(
            f"port {port} cannot be listened on", why=error.strerror or str(error), do="name another: --port N"
        ) from error
    at = sock.getsockname()[1]
    rooms = _Rooms(room, lambda place: announce(f"{place.origin}{place.path}?key={secret}"))
    app = presenter_app(desk, secret, lambda: (*on_loopback(at), *rooms.open))
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
        http=connections.protocol(connections.Bounds(most=CONNECTIONS)),
        backlog=CONNECTIONS,
    )
    announce(f"http://{net.LOOPBACK}:{at}/?key={secret}")
    with contextlib.suppress(OSError):  # without it the page is not reached through the room
        address.write(state, at)
    threading.Thread(target=rooms.watch, name="rooms", daemon=True).start()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[sock])
    finally:
        with contextlib.suppress(OSError):
            address.forget(state, at)


class _Rooms:
    """The room whose server leads phones to the page: which one is open now, and word of each that opens."""

    def __init__(self, room: Callable[[], str | None], opened: Callable[[Place], None]) -> None:
        self._room, self._opened = room, opened
        self.open: tuple[Place, ...] = ()

    def watch(self) -> None:
        """Look every second, to the end of the process."""
        while True:
            origin, before = self._room(), self.open
            self.open = () if origin is None else (Place(origin, f"{address.PATH}/"),)
            for place in self.open:
                if place not in before:
                    self._opened(place)
            time.sleep(LOOK_SECONDS)
