"""What the warehouse took: each order once, and by which transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.migrations import migrate, write_ahead
from deputize import private

BUSY_SECONDS: Final = 5.0
STEPS: Final = (
    """
    CREATE TABLE warehouse_parcels (
        order_id TEXT PRIMARY KEY, txn TEXT NOT NULL UNIQUE, amount INTEGER NOT NULL, currency TEXT NOT NULL,
        size TEXT NOT NULL, company TEXT NOT NULL, address TEXT NOT NULL, user TEXT NOT NULL, at REAL NOT NULL)
        WITHOUT ROWID;
    """,
)
"""The schema's history. To change it: append a step, never edit one."""


@dataclass(frozen=True)
class Parcel:
    """An order as the warehouse took it."""

    order: str
    txn: str
    amount: int
    currency: str
    size: str
    company: str
    address: str
    user: str
    at: float


class Shelves:
    """The warehouse's tables; the file may be shared with other packages.

    Raises:
        OSError, sqlite3.Error: the file cannot be made or opened.
        NewerSchema: a newer version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        private.database(path)
        with self._open() as connection:
            write_ahead(connection)
            migrate(connection, "the warehouse", STEPS)

    def take(self, parcel: Parcel) -> tuple[Parcel, bool]:
        """Take an order, unless it was taken before. Gives it as it was taken, and whether that was now."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(
                "SELECT * FROM warehouse_parcels WHERE order_id = ? OR txn = ?", (parcel.order, parcel.txn)
            ).fetchone()
            if row is None:
                values = tuple(vars(parcel).values())
                connection.execute("INSERT INTO warehouse_parcels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("COMMIT")
        return (parcel, True) if row is None else (Parcel(*row), False)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()
