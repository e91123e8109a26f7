"""What the warehouse is to be told of, and what became of it. An order is put here in the transaction that places it,
so that none is lost. No token is kept: where the process ended before, the session's next call brings one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final, Literal

TABLE: Final = """
CREATE TABLE shop_outbox (
    order_id TEXT PRIMARY KEY, session TEXT NOT NULL, user TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'refused')), tries INTEGER NOT NULL, txn TEXT, why TEXT,
    at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX shop_outbox_waiting ON shop_outbox (session, tries) WHERE state = 'waiting';
"""
State = Literal["sent", "refused"]


@dataclass(frozen=True)
class Waiting:
    """An order that the warehouse is to be told of."""

    order: str
    amount: int
    currency: str
    size: str
    company: str
    address: str
    tries: int


def whose(session: str | None, agent: str | None) -> str:
    """By whose tokens an order is told: those of the agent that placed it, in its session. A sub-agent has the session
    of the agent above it, and its token would say that it had bought."""
    return f"{session} {agent}" if agent else str(session)


def add(connection: sqlite3.Connection, order: str, session: str, user: str, at: float) -> None:
    """Put an order in that is placed in the same transaction; `session` is `whose` it is."""
    connection.execute(
        "INSERT INTO shop_outbox VALUES (?, ?, ?, 'waiting', 0, NULL, NULL, ?)", (order, session, user, at)
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
        "SELECT o.id, o.amount, o.currency, o.size, o.company, o.address, b.tries FROM shop_outbox b JOIN shop_orders o"
        " ON o.id = b.order_id WHERE b.session = ? AND b.state = 'waiting' ORDER BY b.tries LIMIT 1",
        (session,),
    ).fetchone()
    return None if row is None else Waiting(*row)


def tried(connection: sqlite3.Connection, order: str, why: str, at: float) -> None:
    """It could not be told now, and waits."""
    connection.execute(
        "UPDATE shop_outbox SET tries = tries + 1, why = ?, at = ? WHERE order_id = ?", (why[:200], at, order)
    )


def settle(
    connection: sqlite3.Connection, order: str, state: State, at: float, txn: str | None = None, why: str | None = None
) -> None:
    """It was told, or never will be."""
    connection.execute(
        "UPDATE shop_outbox SET state = ?, tries = tries + 1, txn = ?, why = ?, at = ? WHERE order_id = ?",
        (state, txn, None if why is None else why[:200], at, order),
    )


def of_order(connection: sqlite3.Connection, order: str, reader: str | None) -> dict[str, Any] | None:
    """What became of an order of this reader's, or for None of anybody's; None where there is none such."""
    row = connection.execute(
        "SELECT order_id AS 'order', state, tries, txn, why, at FROM shop_outbox"
        " WHERE order_id = ? AND (? IS NULL OR user = ?)",
        (order, reader, reader),
    ).fetchone()
    return None if row is None else dict(row)
