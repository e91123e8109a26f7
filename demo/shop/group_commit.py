"""Group commit: what many calls write at once is committed together, and they wait for the disk as long as one does.

While one transaction is being committed, which takes the disk its time, all that want to write wait; then they do, one
after another, in the next one, each in a savepoint of its own. The statements take microseconds and run in the event
loop's own thread; what may have to wait, for the disk or for another writer of the file, runs in a thread beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

R = TypeVar("R")

MOST_TOGETHER: Final = 64
"""How many write in one transaction: the last of them waits for the statements of all."""
Then = Callable[[sqlite3.Error | None], None]


class GroupCommit:
    """Writes by one connection, which nobody else may use while somebody waits for an answer of `begin`.

    Args:
        patience: seconds to wait for another writer of the same file.
    """

    def __init__(self, connection: sqlite3.Connection, *, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._waiting: list[_Wanted] = []
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._to_do: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    async def begin(self, function: Callable[[sqlite3.Connection], R]) -> tuple[R, Awaitable[None]]:
        """Run a function, all of it or nothing; it must not wait for anything. What it gave is returned before that is
        committed, and beside it what is to be awaited before anybody is told: it raises `sqlite3.Error` where nothing
        was written, or it is not known to be.

        Raises:
            sqlite3.Error: nothing was written; or whatever the function raises.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.forget()
            self._loop = loop
        wanted = _Wanted(partial(function, self._connection), loop.create_future(), loop.create_future())
        self._waiting.append(wanted)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin)  # those that come in this turn of the loop are in it, too
        return await wanted.done, wanted.committed

    def forget(self) -> None:
        """The loop of those who waited has ended, and they with it: what they had under way comes to its end."""
        if self._thread is not None:
            idle = threading.Event()
            self._to_do.put(idle.set)
            idle.wait(2 * self._patience)
        if self._busy and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._waiting.clear()
        self._busy = False

    def close(self) -> None:
        """Let the thread end, after what it has to do."""
        if self._thread is not None:
            self._to_do.put(None)
            self._thread.join(2 * self._patience)

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            # Another writer has the file: its turn is waited for, and not by the event loop, in which it may live.
            self._beside(self._wait_to_begin, self._write)
        except sqlite3.Error as trouble:  # It is no database any more: whoever waits is told.
            self._write(trouble)
        else:
            self._write(None)

    def _wait_to_begin(self) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {self._patience * 1000:.0f}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _write(self, trouble: sqlite3.Error | None) -> None:
        group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        try:
            if trouble is not None:
                raise trouble
            for wanted in group:
                self._try(wanted)
        except sqlite3.Error as error:
            self._end(group, error)
        else:
            self._beside(partial(_commit, self._connection), partial(self._end, group))

    def _try(self, wanted: _Wanted) -> None:
        self._connection.execute("SAVEPOINT one")
        try:
            result = wanted.run()
        except Exception as error:
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            wanted.fail(error)
        else:
            self._connection.execute("RELEASE one")
            wanted.give(result)

    def _end(self, group: list[_Wanted], trouble: sqlite3.Error | None) -> None:
        if trouble is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for wanted in group:
            if trouble is not None:
                wanted.fail(trouble)
            else:
                wanted.keep()
        if self._waiting:
            self._begin()
        else:
            self._busy = False

    def _beside(self, work: Callable[[], None], then: Then) -> None:
        """Do this in the thread, and `then` go on in the loop. A tenth of what an executor takes for the same."""
        loop = asyncio.get_running_loop()

        def do() -> None:
            trouble = None
            try:
                work()
            except sqlite3.Error as error:
                trouble = error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(then, trouble)

        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="group commit", daemon=True)
            self._thread.start()
        self._to_do.put(do)

    def _work(self) -> None:
        while (do := self._to_do.get()) is not None:
            do()


@dataclass
class _Wanted:
    """What is to be written in the next group, and who waits for it."""

    run: Callable[[], Any]
    done: asyncio.Future[Any]
    """What came of it."""
    committed: asyncio.Future[None]

    def give(self, result: Any) -> None:
        """What it came to, if that can be kept."""
        if not self.done.done():  # else who waited has gone
            self.done.set_result(result)

    def keep(self) -> None:
        """It is on the disk."""
        if not self.committed.done():
            self.committed.set_result(None)

    def fail(self, error: Exception) -> None:
        """Nothing of it is kept."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # seen: who waited may have gone
        elif not self.committed.done():
            self.committed.set_exception(error)
            self.committed.exception()


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
