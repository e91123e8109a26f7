"""The shop's SQLite file: its tables, and transactions that other rooms' writers may wait for."""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio.to_thread

from demo import private
from demo.migrations import has_column, migrate

P = ParamSpec("P")
R = TypeVar("R")

BUSY_SECONDS: Final = 5.0
"""How long to wait for another writer of the same file (the authorization server's, or a second process)."""


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
STEPS: Final = (_keys_by_caller, _TABLES, _KEYS, _STANDING)
"""The schema's history. To change it: append a step, never edit one."""


class Database:
    """One connection, shared by the threads that `run` uses, a transaction at a time.

    Raises:
        OSError, sqlite3.Error: the file cannot be made or opened, or is not a database.
        NewerSchema: a newer version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        private.database(path)
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            # What was answered must be there after a crash; in WAL mode only FULL also survives a power cut.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, "the shop", STEPS)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens or nothing does. Takes the write lock at once (BEGIN IMMEDIATE), so that what
        was read inside still holds when it is acted on."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One statement's worth of reading, without the write lock."""
        with self._lock:
            yield self._connection

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, ...)` in one transaction, in a thread: another writer may have to be waited
        for, and the event loop must not do the waiting, since that writer may live in it."""

        def inside() -> R:
            with self.transaction() as connection:
                return function(connection, *args, **kwargs)

        return await anyio.to_thread.run_sync(inside)

    async def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function(connection, ...)` without a transaction, in a thread."""

        def inside() -> R:
            with self.reading() as connection:
                return function(connection, *args, **kwargs)

        return await anyio.to_thread.run_sync(inside)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that opens its own transactions in a thread."""
        return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))

    def close(self) -> None:
        """Close the file; what was committed is there for the next one who opens it."""
        with self._lock:
            self._connection.close()
