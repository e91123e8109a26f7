"""The connections of phones: so many at the same time from one address, counted from the moment of their acceptance.

A TLS handshake may be left unfinished for a minute. A count of what has spoken HTTP does not see those, and each of
them is a file that this process has open: a single phone could take them all, and the page would stand still.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

OF_A_PHONE: Final = 40
MOST: Final = 1600
"""Of all; a handshake that is under way is one."""
SILENT_SECONDS: Final = 20.0
"""That a connection may take for its first request."""


class Listening(socket.socket):
    """A listening socket that closes at once what is too many.

    Args:
        listening: the socket, which this one takes over.
        of_one: connections of one address.
        most: connections of all.
    """

    def __init__(self, listening: socket.socket, *, of_one: int, most: int = MOST) -> None:
        super().__init__(fileno=listening.detach())
        self._of_one, self._most = of_one, most
        self._open: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            ConnectionAbortedError: it was one too many; asyncio goes on with the next.
        """
        connection, peer = super().accept()
        address = str(peer[0])
        if self._open[address] >= self._of_one or self._open.total() >= self._most:
            connection.close()
            raise ConnectionAbortedError
        self._open[address] += 1
        return _Counted(connection, lambda: self._closed_one(address)), peer

    def _closed_one(self, address: str) -> None:
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


class _Counted(socket.socket):
    """A connection that says when it is closed."""

    def __init__(self, connection: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(fileno=connection.detach())
        self._then: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        then, self._then = self._then, None
        if then is not None:
            then()


def protocol() -> type[asyncio.Protocol]:
    """uvicorn's HTTP/1.1, which closes a connection that says nothing."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._spoke = False
            self._first = self.loop.call_later(SILENT_SECONDS, self._silent)

        def handle_events(self) -> None:
            super().handle_events()
            self._spoke = self._spoke or self.scope is not None

        def connection_lost(self, exc: Exception | None) -> None:
            self._first.cancel()
            super().connection_lost(exc)

        def _silent(self) -> None:
            if not self._spoke:
                self.transport.close()

    return Impatient
