"""The shop's SQLite file: its tables, and transactions in which many calls are committed together."""

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
from demo.migrations import has_column, migrate
from demo.shop.audit_chain import chain_what_is_there

P = ParamSpec("P")
R = TypeVar("R")

BUSY_SECONDS: Final = 5.0
"""How long to wait for another writer of the same file (the authorization server's, or a second process)."""
MOST_TOGETHER: Final = 64
"""How many calls write in one transaction: the last of them waits for the statements of all."""


def _keys_by_caller(connection: sqlite3.Connection) -> None:
    """Files from before versions may have idempotency keys by consent; since then they are the caller's, over all its
    consents (`policy.TokenFacts.caller`)."""
    if not has_column(connection, "shop_keys", "account"):
        return
    connection.execute("ALTER TABLE shop_keys RENAME TO shop_keys_before")
    connection.execute(_KEYS)
    connection.execute(
        "INSERT OR IGNORE INTO shop_keys SELECT CASE WHEN o.door = 'open' THEN k.account"
        " WHEN o.agent IS NOT NULL THEN 'agent:' || o.agent ELSE 'client:' || o.user || ' ' || o.client END,"
        " k.key, k.arguments, k.order_id FROM shop_keys_before k JOIN shop_orders o ON o.id = k.order_id"
    )
    connection.execute("DROP TABLE shop_keys_before")


_KEYS: Final = """
CREATE TABLE IF NOT EXISTS shop_keys (
    caller TEXT NOT NULL, key TEXT NOT NULL, arguments TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES shop_orders (id), PRIMARY KEY (caller, key));
"""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS shop_stock (item TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS shop_orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL,
    door TEXT NOT NULL, account TEXT NOT NULL, user TEXT, agent TEXT, client TEXT, consent TEXT,
    item TEXT NOT NULL, size TEXT NOT NULL, company TEXT NOT NULL, address TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, audit_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_orders_account ON shop_orders (account);
CREATE INDEX IF NOT EXISTS shop_orders_user ON shop_orders (door, user);
CREATE TABLE IF NOT EXISTS shop_audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, audit_id TEXT NOT NULL UNIQUE, user TEXT, decision TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_audit_user ON shop_audit (user);
CREATE TABLE IF NOT EXISTS shop_bans (user TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_calls (key TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS shop_calls_key ON shop_calls (key, at);
CREATE TABLE IF NOT EXISTS shop_closed (door TEXT PRIMARY KEY);
DROP TABLE IF EXISTS shop_rates;
CREATE TABLE IF NOT EXISTS shop_revocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, jti TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, subject TEXT NOT NULL,
    at REAL NOT NULL);
"""
_STANDING: Final = """
CREATE TABLE IF NOT EXISTS shop_lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), era TEXT NOT NULL, process TEXT NOT NULL, since REAL NOT NULL,
    asked_at REAL NOT NULL, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_standing (
    session TEXT PRIMARY KEY, user TEXT NOT NULL, agent TEXT, client TEXT, era TEXT NOT NULL, heard INTEGER NOT NULL,
    standing TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_standing_agent ON shop_standing (agent);
CREATE INDEX IF NOT EXISTS shop_standing_user ON shop_standing (user);
DELETE FROM shop_revocations;
"""
_CALLS_BY_AGE: Final = "CREATE INDEX IF NOT EXISTS shop_calls_at ON shop_calls (at);"
_BANS_BY_CALLER: Final = """
CREATE TABLE shop_banned (caller TEXT PRIMARY KEY, at REAL NOT NULL);
INSERT OR IGNORE INTO shop_banned
    SELECT 'agent:' || json_extract(a.decision, '$.agent'), b.at FROM shop_bans b JOIN shop_audit a ON a.user = b.user
    WHERE json_extract(a.decision, '$.agent') IS NOT NULL;
DROP TABLE shop_bans;
"""
"""Until then a ban was its user's: it goes on for each agent that had called for them."""
_PROOFS: Final = """
CREATE TABLE shop_proofs (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX shop_proofs_until ON shop_proofs (until);
"""
STEPS: Final = (
    _keys_by_caller,
    _TABLES,
    _KEYS,
    _STANDING,
    _CALLS_BY_AGE,
    _BANS_BY_CALLER,
    chain_what_is_there,
    _PROOFS,
)
"""The schema's history. To change it: append a step, never edit one."""


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
