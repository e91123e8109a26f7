"""What becomes of an order behind the shop: it is sent, or cancelled, or nobody knows. Each is settled in one
transaction with its entry of the audit log.

A revocation means that nothing more is done by that authority. An order that the warehouse has not been told of is
cancelled by it, in the transaction that notes the revocation: it counts for no limit any more and is in stock again.
One that the warehouse was told of, and whose answer was lost, may be on its way: its money stays counted, and that is
said.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import Final, Literal

from demo.evidence.shop import Decision
from demo.shop import audit_log, ledger, outbox
from demo.shop.catalog import say

GATE: Final = "dispatch"
"""Of an entry about no request: what became of an order."""

_OPEN: Final = (
    "SELECT b.order_id, b.state, b.unsure, a.decision FROM shop_outbox b JOIN shop_orders o ON o.id = b.order_id"
    " JOIN shop_audit a ON a.audit_id = o.audit_id WHERE b.state IN ('waiting', 'offered')"
)


def sent(connection: sqlite3.Connection, order: str, txn: str, at: float) -> None:
    """The warehouse took an order, by this transaction."""
    noted = connection.execute(
        "UPDATE shop_outbox SET state = 'sent', tries = tries + 1, txn = ?, why = NULL, at = ? WHERE order_id = ?",
        (txn, at, order),
    )
    if noted.rowcount:
        _record(connection, order, "sent", say("dispatch_sent", order=order), at, txn)


def not_taken(connection: sqlite3.Connection, order: str, why: str, at: float, *, unsure: bool) -> None:
    """The warehouse could not be told now: an order waits, unless the authority that it was placed by is revoked.

    Args:
        unsure: whether it may have heard all the same.
    """
    row = connection.execute(
        "SELECT unsure OR ? AS unsure, ended FROM shop_outbox WHERE order_id = ? AND state IN ('waiting', 'offered')",
        (unsure, order),
    ).fetchone()
    if row is None:
        return
    connection.execute(
        "UPDATE shop_outbox SET state = 'waiting', tries = tries + 1, unsure = ?, why = ?, at = ? WHERE order_id = ?",
        (row["unsure"], why[:200], at, order),
    )
    if row["ended"] is not None:
        _end(connection, order, row["ended"], at, unsure=bool(row["unsure"]))


def revoked(connection: sqlite3.Connection, kind: str, subject: str, user: str | None, at: float) -> None:
    """End what was placed by an authority that is revoked, and not sent. To be called in the transaction that notes it.

    Args:
        kind: `session`, `agent` or `user`, and which.
        user: whose it is, None where nobody says.
    """
    whose = subject if kind == "user" else user
    theirs = ("", ()) if whose is None else (" AND b.user = ?", (whose,))
    why = say("dispatch_revoked", kind=kind)
    for row in connection.execute(_OPEN + theirs[0], theirs[1]).fetchall():
        placed = Decision.from_dict(json.loads(row["decision"]))
        by = {
            "session": (placed.session,),
            "agent": (placed.agent, *(placed.handed_on_by or "").split()),
            "user": (placed.user,),
        }
        if subject not in by[kind]:
            continue
        if row["state"] == "offered":  # who tells the warehouse just now says what came of it
            connection.execute("UPDATE shop_outbox SET ended = ? WHERE order_id = ?", (why, row["order_id"]))
        else:
            _end(connection, row["order_id"], why, at, unsure=bool(row["unsure"]))


def overdue(connection: sqlite3.Connection, now: float, in_flight: float) -> None:
    """End what has waited for too long. What was being told `in_flight` seconds ago, and still is, is told by nobody:
    the process ended, or its answer could not be written down. Nobody knows what came of it."""
    lost = connection.execute(
        "SELECT order_id FROM shop_outbox WHERE state = 'offered' AND at < ?", (now - in_flight,)
    ).fetchall()
    for row in lost:
        not_taken(connection, row["order_id"], say("dispatch_lost"), now, unsure=True)
    late = connection.execute(
        "SELECT order_id, unsure FROM shop_outbox WHERE state = 'waiting' AND placed_at < ?",
        (now - outbox.LONGEST_WAIT,),
    ).fetchall()
    for row in late:
        why = say("dispatch_late", minutes=round(outbox.LONGEST_WAIT / 60))
        _end(connection, row["order_id"], why, now, unsure=bool(row["unsure"]))


def _end(connection: sqlite3.Connection, order: str, why: str, at: float, *, unsure: bool) -> None:
    state: Literal["unclear", "cancelled"] = "unclear" if unsure else "cancelled"
    connection.execute("UPDATE shop_outbox SET state = ?, why = ?, at = ? WHERE order_id = ?", (state, why, at, order))
    if state == "cancelled":
        ledger.cancel(connection, order, at)
        reason = say("dispatch_cancelled", order=order, why=why)
    else:
        reason = say("dispatch_unclear", order=order, why=why)
    _record(connection, order, state, reason, at)


def _record(
    connection: sqlite3.Connection,
    order: str,
    what: Literal["sent", "cancelled", "unclear"],
    reason: str,
    at: float,
    txn: str | None = None,
) -> None:
    """Put it on record in the log of the human by whose consent it was placed: for whom and through whom is as it was
    when it was placed, and the token is the transaction's."""
    row = connection.execute(
        "SELECT a.decision FROM shop_orders o JOIN shop_audit a ON a.audit_id = o.audit_id WHERE o.id = ?", (order,)
    ).fetchone()
    placed = Decision.from_dict(json.loads(row["decision"]))
    entry = replace(
        placed,
        audit_id=audit_log.new_audit_id(),
        at=at,
        verdict="allow" if what == "sent" else "deny",
        gate=GATE,
        rule=f"{GATE}.{what}",
        reason=reason,
        tool=None,
        arguments=None,
        token_id=txn,
    )
    audit_log.record(connection, entry)
