"""The shop's SQLite file, and transactions in which many calls are committed together."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import anyio.to_thread

from demo import private
from demo.migrations import migrate
from demo.shop.schema import STEPS

P = ParamSpec("P")
R = TypeVar("R")

BUSY_SECONDS: Final = 5.0
"""How long to wait for another writer of the same file (the authorization server's, or a second process)."""
MOST_TOGETHER: Final = 64
"""How many calls write in one transaction: the last of them waits for the statements of all."""


class Database:
    """The shop's file: one connection that writes, and one that reads what was committed.

    What is written is grouped. While one transaction is being committed, which takes the disk its time, all calls that
    want to write wait; then they do, one after another, in the next one, each in a savepoint of its own, and all are
    answered when that is committed. So a hundred calls at once wait for the disk as long as one does; and the event
    loop never waits for it, since it only runs the statements, which take microseconds.

    Raises:
        OSError, sqlite3.Error: the file cannot be made or opened, or is not a database.
        NewerSchema: a newer version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        private.database(path)
        self._reading = threading.Lock()
        self._waiting: list[_Wanted] = []
        self._writing: asyncio.Task[None] | None = None
        self._connection = _connect(path)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # What was answered must be there after a crash; in WAL mode only FULL also survives a power cut.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, "the shop", STEPS)
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens or nothing does; for a caller that serves nobody yet, since it waits for the file.
        Takes the write lock at once (BEGIN IMMEDIATE), so that what was read inside still holds when it is acted on."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, ...)`, all of it or nothing, in the event loop's own thread: it must not wait for
        anything. Returns when that is committed.

        Raises:
            sqlite3.Error: nothing was written, or it is not known to be; or whatever `function` raises.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Wanted(functools.partial(function, self._connection, *args, **kwargs), done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await done

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
        with self._reading:
            self._reader.close()
        self._connection.close()

    async def _write(self) -> None:
        """Commit what is wanted, group by group, until nobody waits."""
        try:
            while self._waiting:
                await self._begin()
                # Whoever has come meanwhile is in this group, too.
                group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                try:
                    for wanted in group:
                        self._try(wanted)
                    await _in_thread(self._connection.execute, "COMMIT")
                except sqlite3.Error as error:
                    self._roll_back()
                    for wanted in group:
                        wanted.fail(error)
                else:
                    for wanted in group:
                        wanted.answer()
        except sqlite3.Error as error:  # It could not begin: another program holds the file, or it is gone.
            waited, self._waiting = self._waiting, []
            for wanted in waited:
                wanted.fail(error)
        finally:
            self._writing = None

    async def _begin(self) -> None:
        try:
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        except sqlite3.OperationalError:
            # The authorization server writes, in the same file: its turn is waited for, and not by the event loop.
            await _in_thread(self._connection.execute, "BEGIN IMMEDIATE")

    def _try(self, wanted: _Wanted) -> None:
        self._connection.execute("SAVEPOINT one")
        try:
            wanted.result = wanted.run()
        except Exception as error:
            wanted.error = error
            self._connection.execute("ROLLBACK TO one")
        self._connection.execute("RELEASE one")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


@dataclass
class _Wanted:
    """What is to be written in the next group, and who waits for it."""

    run: Callable[[], Any]
    done: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def answer(self) -> None:
        if self.done.done():  # Who waited has gone.
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)

    def fail(self, error: Exception) -> None:
        self.error = self.error or error
        self.answer()


async def _in_thread(function: Callable[..., Any], *args: Any) -> None:
    # Not anyio's: a call that is cancelled must not take the group's commit with it.
    await asyncio.get_running_loop().run_in_executor(None, function, *args)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection
