"""The audit log: every decision, in the order in which it was made, committed before its answer is sent.

There is one log for each user and one for what is attributed to nobody, each a hash chain of its own
(`demo.shop.audit_chain`): whoever may read a log reads all of it, and so can verify it. Nothing in one is ever changed.
What comes later, such as an order that is taken back, is a new entry.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from demo.evidence import Decision
from demo.shop import audit_chain
from demo.shop.audit_chain import NOBODY

_LED_TO_NONE: Final = "json_extract(decision, '$.order_id') IS NULL"
"""An entry that led to an order stays as long as the order does."""


def new_audit_id() -> str:
    """An id for one entry: unique, and telling nothing of how many there are."""
    return f"audit_{secrets.token_hex(8)}"


def record(connection: sqlite3.Connection, decision: Decision) -> None:
    """Write a new entry at the end of its log. To be called in a transaction that holds the write lock.

    Raises:
        sqlite3.Error: it is not written; then what was decided must not happen.
    """
    owner = decision.user or NOBODY
    place, before = _head(connection, owner)
    entry = audit_chain.canonical({**vars(decision), "seq": place + 1})
    connection.execute(
        "INSERT INTO shop_audit (audit_id, owner, place, link, decision) VALUES (?, ?, ?, ?, ?)",
        (decision.audit_id, owner, place + 1, audit_chain.link(before, entry), entry),
    )


def prune(connection: sqlite3.Connection, owner: str, through: int) -> int:
    """Forget the entries of a log up to and with the place `through`, but for those that led to an order, and the last
    one there is. The link of the last that is forgotten is kept, so that what follows still proves itself.

    Returns:
        How many entries went.
    """
    row = connection.execute(
        "SELECT place, link FROM shop_audit JOIN shop_audit_logs USING (owner) WHERE owner = ? AND place > pruned"
        " AND place <= min(?, (SELECT max(place) - 1 FROM shop_audit WHERE owner = ?)) ORDER BY place DESC LIMIT 1",
        (owner, through, owner),
    ).fetchone()
    if row is None:
        return 0
    connection.execute(
        "UPDATE shop_audit_logs SET pruned = ?, pruned_link = ? WHERE owner = ?", (row["place"], row["link"], owner)
    )
    connection.execute(
        "DELETE FROM shop_audit_checkpoints WHERE log = (SELECT id FROM shop_audit_logs WHERE owner = ?) AND size < ?",
        (owner, row["place"]),
    )
    return connection.execute(
        f"DELETE FROM shop_audit WHERE owner = ? AND place <= ? AND {_LED_TO_NONE}", (owner, row["place"])
    ).rowcount


def _head(connection: sqlite3.Connection, owner: str) -> tuple[int, bytes]:
    """The place and the link of a log's last entry. A log is opened with its first one."""
    row = connection.execute(
        "SELECT place, link FROM shop_audit WHERE owner = ? ORDER BY place DESC LIMIT 1", (owner,)
    ).fetchone()
    return (0, audit_chain.open_log(connection, owner)) if row is None else (row["place"], row["link"])


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
        f"SELECT decision FROM shop_audit WHERE seq > ? AND (? OR owner IN (?, ?)) ORDER BY seq {order} LIMIT ?",
        (start, everybody, NOBODY, reader or NOBODY, limit),
    ).fetchall()
    found = [Decision.from_dict(json.loads(row["decision"])) for row in rows]
    return found if after is not None else found[::-1]


@dataclass(frozen=True)
class Log:
    """One log as it is: its id, whose it is (empty: nobody's), what is kept of it, and where it ends.

    `pruned` entries at its beginning are gone, but for those that led to an order, and `pruned_link` is the link of the
    last of them; `written_before` at its beginning were chained later than they were written.
    """

    id: str
    owner: str
    pruned: int
    pruned_link: bytes
    written_before: int
    size: int
    link: bytes


def log_of(connection: sqlite3.Connection, owner: str) -> Log | None:
    """The log of this owner, None where there is none."""
    row = connection.execute("SELECT * FROM shop_audit_logs WHERE owner = ?", (owner,)).fetchone()
    if row is None:
        return None
    last = connection.execute(
        "SELECT place, link FROM shop_audit WHERE owner = ? AND place > ? ORDER BY place DESC LIMIT 1",
        (owner, row["pruned"]),
    ).fetchone()
    size, link = (row["pruned"], row["pruned_link"]) if last is None else (last["place"], last["link"])
    return Log(row["id"], owner, row["pruned"], row["pruned_link"], row["written_before"], size, link)


def link_at(connection: sqlite3.Connection, owner: str, place: int) -> bytes | None:
    """The link of the entry at this place, pruned or not; None where there is none."""
    row = connection.execute(
        "SELECT link FROM shop_audit WHERE owner = ?1 AND place = ?2"
        " UNION ALL SELECT pruned_link FROM shop_audit_logs WHERE owner = ?1 AND pruned = ?2",
        (owner, place),
    ).fetchone()
    return None if row is None else bytes(row["link"])


def owners(connection: sqlite3.Connection, *, after: str, limit: int) -> list[str]:
    """Whose logs there are, in order, after that owner."""
    rows = connection.execute(
        "SELECT owner FROM shop_audit_logs WHERE owner > ? ORDER BY owner LIMIT ?", (after, limit)
    )
    return [str(row["owner"]) for row in rows]


def owner_of(connection: sqlite3.Connection, log: str) -> str | None:
    """Whose log has this id; None where none has."""
    row = connection.execute("SELECT owner FROM shop_audit_logs WHERE id = ?", (log,)).fetchone()
    return None if row is None else str(row["owner"])


def read_log(connection: sqlite3.Connection, owner: str, *, after: int, limit: int) -> list[dict[str, Any]]:
    """Entries of one log as they are chained, oldest first: each with its link, in hexadecimal digits."""
    rows = connection.execute(
        "SELECT link, decision FROM shop_audit WHERE owner = ? AND place > ? ORDER BY place LIMIT ?",
        (owner, after, limit),
    )
    return [{"link": row["link"].hex(), "entry": json.loads(row["decision"])} for row in rows]
