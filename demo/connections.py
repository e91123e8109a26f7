"""The connections of a server, within bounds of number and time (CWE-400, CWE-770): uvicorn has none for a request that
is never whole (Slowloris), nor for an answer that nobody reads.

On loopback, where an address tells nobody from anybody, a new connection takes the place of the one that has waited
longest for its request. So whoever opens thousands loses theirs, and an honest caller, whose request is whole within
milliseconds, is served. On a network each address has its share beside that, counted from the moment of acceptance: a
TLS handshake may be left unfinished, and each of them is a file that this process has open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

OF_A_PHONE: Final = 40
MOST: Final = 1600
"""Of all phones; a handshake that is under way is one."""
BACKLOG: Final = 128
"""Connections that are taken at once, before the first of them is counted."""
MOST_FILES: Final = 4096
SPARE_FILES: Final = 64
"""What a server opens beside its connections: databases, pages, its own files."""


@dataclass(frozen=True)
class Bounds:
    """What one connection may take, in seconds, and how many there may be.

    Args:
        head: until a request's head is whole, from the connection or the last answer.
        body: until its body is, from then.
        unread: that an answer may wait for who asked to read on.
        most: connections of all; None where another part of the server counts them.
    """

    head: float = 10.0
    body: float = 15.0
    unread: float = 20.0
    most: int | None = None


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


def many_files() -> int:
    """Have this process open as many files as a server needs, where the system lets it: each connection is one, and
    some systems allow 256. How many it may open."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
        return MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return 512


def most_connections(files: int) -> int:
    """How many connections a server may have that may open so many files."""
    return max(8, min(MOST, files - BACKLOG - SPARE_FILES))


def protocol(bounds: Bounds) -> type[asyncio.Protocol]:
    """uvicorn's HTTP/1.1 within these bounds, for one server (its `http` setting)."""
    from h11 import IDLE, SEND_BODY
    from uvicorn.protocols.http.h11_impl import H11Protocol

    # In the order in which they began to wait.
    waiting: dict[Bounded, None] = {}

    class Bounded(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._phase: object = None
            self._due: asyncio.TimerHandle | None = None
            self._unread: asyncio.TimerHandle | None = None
            if bounds.most is not None and len(self.connections) > bounds.most:
                # Where nobody waits, all are being served: then it is this one that is too many.
                next(iter(waiting), self)._end()
            self._look()

        def handle_events(self) -> None:
            super().handle_events()
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.is_closing():
                self._until_read()  # what is left of the answer waits for its reader
            else:
                self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.pop(self, None)
            for timer in (self._due, self._unread):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._until_read()

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread is not None and not self.transport.is_closing():
                self._unread.cancel()
                self._unread = None

        def _look(self) -> None:
            """See what is awaited now: a head, a body, or nothing while an answer is made."""
            state = self.conn.their_state
            phase = state if state in (IDLE, SEND_BODY) else None
            if self._phase is phase or self.transport.is_closing():
                return
            if self._due is not None:
                self._due.cancel()
                self._due = None
            self._phase = phase
            if phase is None:
                waiting.pop(self, None)
                return
            waiting.setdefault(self)
            self._due = self.loop.call_later(bounds.head if phase is IDLE else bounds.body, self._end)

        def _until_read(self) -> None:
            if self._unread is None:
                self._unread = self.loop.call_later(bounds.unread, self._end)

        def _end(self) -> None:
            waiting.pop(self, None)
            # Not `close`, which waits until what is written was read.
            self.transport.abort()

    return Bounded
