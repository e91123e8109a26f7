"""The shop's SQLite file, and transactions in which many calls are committed together."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio.to_thread

from demo.migrations import migrate, write_ahead
from demo.shop.group_commit import GroupCommit
from demo.shop.schema import STEPS
from deputize import private

P = ParamSpec("P")
R = TypeVar("R")

BUSY_SECONDS: Final = 5.0
"""How long to wait for another writer of the same file (the authorization server's, or a second process)."""


class Database:
    """The shop's file: one connection that writes, in groups, and one that reads what was committed.

    Raises:
        OSError, sqlite3.Error: the file cannot be made or opened, or is not a database.
        NewerSchema: a newer version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        private.database(path)
        self._reading = threading.Lock()
        self._connection = _connect(path)
        self._group = GroupCommit(self._connection, patience=BUSY_SECONDS)
        try:
            write_ahead(self._connection)
            # What was answered must be there after a crash; in WAL mode only FULL also survives a power cut.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, "the shop", STEPS)
            self._connection.execute("PRAGMA busy_timeout = 0")  # whoever waits says so
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens or nothing does; for a caller that serves nobody yet, since it waits for the file.
        Takes the write lock at once (BEGIN IMMEDIATE), so that what was read inside still holds when it is acted on."""
        self._group.forget()
        self._connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, ...)`, all of it or nothing, in the event loop's own thread: it must not wait for
        anything. Returns when that is committed.

        Raises:
            sqlite3.Error: nothing was written, or it is not known to be; or whatever `function` raises.
        """
        result, committed = await self.begin(function, *args, **kwargs)
        await committed
        return result

    async def begin(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, Awaitable[None]]:
        """The same, which returns before that is committed: an answer can be made ready meanwhile. It must not be given
        before what is returned beside the result was awaited, which raises `sqlite3.Error` where nothing was written.

        Raises:
            sqlite3.Error: as `write`; or whatever `function` raises.
        """
        return await self._group.begin(lambda connection: function(connection, *args, **kwargs))

    async def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, ...)`, which writes nothing, on what is committed, in a thread."""

        def inside() -> R:
            with self._reading:
                return function(self._reader, *args, **kwargs)

        return await anyio.to_thread.run_sync(inside)

    def close(self) -> None:
        """Close the file; what was committed is there for the next one who opens it."""
        self._group.close()
        with self._reading:
            self._reader.close()
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection
