"""The audit log: every decision, in the order in which it was made, committed before its answer is sent."""

from __future__ import annotations

import json
import secrets
import sqlite3

from demo.evidence import Decision


def new_audit_id() -> str:
    """An id for one entry: unique, and telling nothing of how many there are."""
    return f"audit_{secrets.token_hex(8)}"


def record(connection: sqlite3.Connection, decision: Decision) -> None:
    """Write a new entry.

    Raises:
        sqlite3.Error: it is not written; then what was decided must not happen.
    """
    connection.execute(
        "INSERT INTO shop_audit (audit_id, user, decision) VALUES (?, ?, ?)",
        (decision.audit_id, decision.user, json.dumps(decision.to_dict())),
    )


class UnknownEntry(LookupError):
    """The entry to go on from is not in the log."""


def entries(
    connection: sqlite3.Connection, *, reader: str | None, everybody: bool, after: str | None, limit: int
) -> list[Decision]:
    """Entries, oldest first: those after the entry `after`, or without one the last `limit` there are.

    Args:
        reader: a user's `sub`: sees what is attributed to them and what is attributed to nobody.
        everybody: an admin: sees all.

    Raises:
        UnknownEntry: `after` is no entry of this log.
    """
    start = 0
    if after is not None:
        row = connection.execute("SELECT seq FROM shop_audit WHERE audit_id = ?", (after,)).fetchone()
        if row is None:
            raise UnknownEntry(after)
        start = int(row["seq"])
    order = "ASC" if after is not None else "DESC"
    rows = connection.execute(
        "SELECT decision FROM shop_audit WHERE seq > ? AND (? OR user IS NULL OR user = ?)"
        f" ORDER BY seq {order} LIMIT ?",
        (start, everybody, reader, limit),
    ).fetchall()
    found = [Decision.from_dict(json.loads(row["decision"])) for row in rows]
    return found if after is not None else found[::-1]
