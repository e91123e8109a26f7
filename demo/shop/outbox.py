"""What the warehouse is to be told of, and what became of it. An order is put here in the transaction that places it,
so that none is lost. No token is kept: where the process ended before, the session's next call brings one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

TABLE: Final = """
CREATE TABLE shop_outbox (
    order_id TEXT PRIMARY KEY, session TEXT NOT NULL, user TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'refused')), tries INTEGER NOT NULL, txn TEXT, why TEXT,
    at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX shop_outbox_waiting ON shop_outbox (session, tries) WHERE state = 'waiting';
"""
SETTLED: Final = """
DROP INDEX shop_outbox_waiting;
ALTER TABLE shop_outbox RENAME TO shop_outbox_before;
CREATE TABLE shop_outbox (
    order_id TEXT PRIMARY KEY, session TEXT NOT NULL, user TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'offered', 'sent', 'cancelled', 'unclear')),
    tries INTEGER NOT NULL, unsure INTEGER NOT NULL, ended TEXT, txn TEXT, why TEXT, at REAL NOT NULL,
    placed_at REAL NOT NULL) WITHOUT ROWID;
INSERT INTO shop_outbox
    SELECT order_id, session, user, CASE state WHEN 'sent' THEN 'sent' ELSE 'waiting' END, tries,
        state <> 'sent' AND tries > 0, NULL, txn, why, at, at FROM shop_outbox_before;
DROP TABLE shop_outbox_before;
CREATE INDEX shop_outbox_waiting ON shop_outbox (session, tries) WHERE state = 'waiting';
CREATE INDEX shop_outbox_open ON shop_outbox (user) WHERE state IN ('waiting', 'offered');
CREATE INDEX shop_outbox_due ON shop_outbox (placed_at) WHERE state = 'waiting';
CREATE INDEX shop_outbox_offered ON shop_outbox (at) WHERE state = 'offered';
ALTER TABLE shop_orders ADD COLUMN cancelled_at REAL;
"""
"""Since then no order waits for good. `offered`: the warehouse is being told. `unsure`: it was told once, and nobody
knows whether it heard. `ended`: why nobody may tell it any more, while it is being told."""
LONGEST_WAIT: Final = 3600.0
"""Seconds from the purchase, after which an order that could not be told is cancelled: its session may be revoked, or
its agent may never call again, and its money is not to be counted for ever."""


@dataclass(frozen=True)
class Waiting:
    """An order that the warehouse is to be told of."""

    order: str
    amount: int
    currency: str
    size: str
    company: str
    address: str


def whose(session: str | None, agent: str | None) -> str:
    """By whose tokens an order is told: those of the agent that placed it, in its session. A sub-agent has the session
    of the agent above it, and its token would say that it had bought."""
    return f"{session} {agent}" if agent else str(session)


def add(connection: sqlite3.Connection, order: str, session: str, user: str, at: float) -> None:
    """Put an order in that is placed in the same transaction; `session` is `whose` it is."""
    connection.execute(
        "INSERT INTO shop_outbox (order_id, session, user, state, tries, unsure, at, placed_at)"
        " VALUES (?, ?, ?, 'waiting', 0, 0, ?, ?)",
        (order, session, user, at, at),
    )


def remove(connection: sqlite3.Connection, order: str) -> None:
    """Remove an order that is cancelled in the same transaction."""
    connection.execute("DELETE FROM shop_outbox WHERE order_id = ?", (order,))


def sessions(connection: sqlite3.Connection) -> set[str]:
    """The sessions in which orders wait."""
    rows = connection.execute("SELECT DISTINCT session FROM shop_outbox WHERE state = 'waiting'")
    return {str(row["session"]) for row in rows}


def first(connection: sqlite3.Connection, session: str) -> Waiting | None:
    """The order of a session that was tried least, None where none waits."""
    row = connection.execute(
        "SELECT o.id, o.amount, o.currency, o.size, o.company, o.address FROM shop_outbox b JOIN shop_orders o"
        " ON o.id = b.order_id WHERE b.session = ? AND b.state = 'waiting' ORDER BY b.tries LIMIT 1",
        (session,),
    ).fetchone()
    return None if row is None else Waiting(*row)


def offer(connection: sqlite3.Connection, order: str, at: float) -> bool:
    """Note that the warehouse is told of an order now; False where it is not to be told any more."""
    noted = connection.execute(
        "UPDATE shop_outbox SET state = 'offered', at = ? WHERE order_id = ? AND state = 'waiting'", (at, order)
    )
    return noted.rowcount > 0


def due(connection: sqlite3.Connection, now: float, in_flight: float) -> bool:
    """Whether an order has waited for too long, or was being told `in_flight` seconds ago and still is."""
    row = connection.execute(
        "SELECT 1 FROM shop_outbox WHERE state = 'waiting' AND placed_at < ?"
        " UNION ALL SELECT 1 FROM shop_outbox WHERE state = 'offered' AND at < ?",
        (now - LONGEST_WAIT, now - in_flight),
    ).fetchone()
    return row is not None


def of_order(connection: sqlite3.Connection, order: str, reader: str | None) -> dict[str, Any] | None:
    """What became of an order of this reader's, or for None of anybody's; None where there is none such."""
    row = connection.execute(
        "SELECT order_id AS 'order', CASE state WHEN 'offered' THEN 'waiting' ELSE state END AS state, tries, txn, why,"
        " at, CASE WHEN state IN ('waiting', 'offered') THEN placed_at + ? END AS until FROM shop_outbox"
        " WHERE order_id = ? AND (? IS NULL OR user = ?)",
        (LONGEST_WAIT, order, reader, reader),
    ).fetchone()
    if row is None:
        return None
    told = dict(row)
    if told["until"] is None:
        del told["until"]
    return told
