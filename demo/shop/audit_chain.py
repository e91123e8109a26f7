"""The audit log's hash chain: what an entry's link is, and how files from before are chained.

`link(n)` is SHA-256 over `link(n-1)`, 32 bytes, and the canonical JSON of entry n, which holds its own place `seq`; and
`link(0)` is SHA-256 of the log's id, so that no entry of one log fits into another. Whoever edits, removes, inserts or
moves an entry changes every link after it, of which others hold signed copies (`demo.shop.checkpoints`).

Canonical JSON is RFC 8785's for what an entry consists of: an object of texts, numbers, booleans and nulls whose names
are ASCII. Nothing else is ever in one. Numbers are POSIX seconds and small counts, which Python and ECMAScript write
alike, but for a float without a fraction.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from demo.migrations import has_column

NOBODY: Final = ""
"""The log of what is attributed to no user."""


def canonical(entry: Mapping[str, Any]) -> str:
    """An entry as it is hashed, and stored: RFC 8785 of a flat object.

    A half of a surrogate pair, which is no text (section 3.2.2.2), is written as "?".
    """
    flat = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in entry.items()
    }
    text = json.dumps(flat, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def link(previous: bytes, entry: str) -> bytes:
    """The link of the entry with this canonical JSON, after the one with the link `previous`."""
    return sha256(previous + entry.encode()).digest()


def first_link(log: str) -> bytes:
    """What the first entry of the log with this id follows."""
    return sha256(log.encode()).digest()


def new_log_id() -> str:
    """An id for one log: unique, so that a log that takes another's place is another one."""
    return f"log_{secrets.token_hex(8)}"


def open_log(connection: sqlite3.Connection, owner: str, *, written_before: int = 0) -> bytes:
    """Begin the log of this owner; what its first entry follows.

    Args:
        written_before: entries that were written before there was a chain, and are chained now.
    """
    log = new_log_id()
    start = first_link(log)
    connection.execute(
        "INSERT INTO shop_audit_logs (owner, id, pruned, pruned_link, written_before) VALUES (?, ?, 0, ?, ?)",
        (owner, log, start, written_before),
    )
    return start


TABLES: Final = """
CREATE TABLE IF NOT EXISTS shop_audit_logs (
    owner TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, pruned INTEGER NOT NULL, pruned_link BLOB NOT NULL,
    written_before INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shop_audit_checkpoints (
    log TEXT NOT NULL, size INTEGER NOT NULL, at REAL NOT NULL, jws TEXT NOT NULL, PRIMARY KEY (log, size));
CREATE TABLE IF NOT EXISTS shop_audit_keys (kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, created_at REAL NOT NULL);
"""

READING: Final = f"""
CREATE INDEX shop_audit_of ON shop_audit (owner);
CREATE INDEX shop_audit_attributed ON shop_audit (seq) WHERE owner <> '{NOBODY}';
CREATE TABLE shop_audit_forgotten (
    owner TEXT NOT NULL, verdict TEXT NOT NULL, rule TEXT NOT NULL, entries INTEGER NOT NULL, first_at REAL NOT NULL,
    last_at REAL NOT NULL, PRIMARY KEY (owner, verdict, rule)) WITHOUT ROWID;
"""
"""What somebody's entries are found by in the order in which all were written, and the count of those that went."""
TRIGGERS: Final = (
    """
CREATE TRIGGER shop_audit_is_append_only BEFORE UPDATE ON shop_audit BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit log is never changed');
END
""",
    """
CREATE TRIGGER shop_audit_is_pruned_behind_its_link BEFORE DELETE ON shop_audit
WHEN OLD.place > (SELECT pruned FROM shop_audit_logs WHERE owner = OLD.owner) BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit log goes only where the link of the last pruned one is kept');
END
""",
    """
CREATE TRIGGER shop_audit_logs_only_go_forward BEFORE UPDATE ON shop_audit_logs
WHEN NEW.owner <> OLD.owner OR NEW.id <> OLD.id OR NEW.written_before <> OLD.written_before
    OR NEW.pruned <= OLD.pruned OR NEW.pruned_link IS NOT
        (SELECT link FROM shop_audit WHERE owner = OLD.owner AND place = NEW.pruned) BEGIN
    SELECT RAISE(ABORT, 'a log of the audit trail is pruned up to an entry that it has, and never otherwise');
END
""",
    """
CREATE TRIGGER shop_audit_logs_stay BEFORE DELETE ON shop_audit_logs BEGIN
    SELECT RAISE(ABORT, 'a log of the audit trail is never removed');
END
""",
)
"""The file itself refuses what no part of the shop may do. Who can write the file can drop them: against that there are
the links, and copies of them that others hold."""


def chain_what_is_there(connection: sqlite3.Connection) -> None:
    """Files from before the chain: each entry gets its place and its link, in the order in which they were written, and
    its log says how many were chained later than they were written. What was altered before cannot be told."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    if not has_column(connection, "shop_audit", "link"):
        _rebuild(connection)
    for trigger in TRIGGERS:
        connection.execute(trigger)


def _rebuild(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE shop_audit RENAME TO shop_audit_before")
    connection.execute("DROP INDEX IF EXISTS shop_audit_user")
    connection.execute(
        "CREATE TABLE shop_audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, audit_id TEXT NOT NULL UNIQUE,"
        " owner TEXT NOT NULL, place INTEGER NOT NULL, link BLOB NOT NULL, decision TEXT NOT NULL)"
    )
    connection.execute("CREATE UNIQUE INDEX shop_audit_owner ON shop_audit (owner, place)")
    sizes: dict[str, int] = dict(
        connection.execute(f"SELECT coalesce(user, '{NOBODY}'), count(*) FROM shop_audit_before GROUP BY 1").fetchall()
    )
    heads = {owner: (0, open_log(connection, owner, written_before=size)) for owner, size in sizes.items()}
    for seq, audit_id, owner, decision in connection.execute(
        f"SELECT seq, audit_id, coalesce(user, '{NOBODY}'), decision FROM shop_audit_before ORDER BY seq"
    ):
        place, before = heads[owner]
        entry = canonical({**json.loads(decision), "seq": place + 1})
        heads[owner] = place + 1, link(before, entry)
        connection.execute(
            "INSERT INTO shop_audit VALUES (?, ?, ?, ?, ?, ?)",
            (seq, audit_id, owner, place + 1, heads[owner][1], entry),
        )
    connection.execute("DROP TABLE shop_audit_before")
