"""The audit log: every decision, in the order in which it was made, committed before its answer is sent.

There is one log for each user and one for what is attributed to nobody, each a hash chain of its own
(`demo.shop.audit_chain`): whoever may read a log reads all of it, and so can verify it. Nothing in one is ever changed.
What comes later, such as an order that is undone, is a new entry.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from demo.evidence.shop import Decision
from demo.shop import audit_chain
from demo.shop.audit_chain import NOBODY

_LED_TO_NONE: Final = "json_extract(decision, '$.order_id') IS NULL"
"""An entry that led to an order stays as long as the order does."""
KEPT_SECONDS: Final = 400 * 24 * 3600.0
"""A year's entries, and those that are read a month later."""
MOST_OF_A_USER: Final = 100_000
MOST_OF_NOBODY: Final = 10_000
"""Entries of one log, besides those that led to an order. What goes is counted by what it said."""
PRUNED_EVERY, PRUNED_AT_ONCE = 100, 1000
"""Entries: so often, and so many at most: more than came, and so few that no call waits for it."""


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
    if (place + 1) % PRUNED_EVERY == 0:
        prune(connection, owner, _over(connection, owner, place + 1, decision.at))


def _over(connection: sqlite3.Connection, owner: str, size: int, now: float) -> int:
    """Up to which place a log of this size is to be pruned: what is too many of it, and what is too old; of much only
    the beginning, so that no call waits for a year's pruning."""
    pruned = int(connection.execute("SELECT pruned FROM shop_audit_logs WHERE owner = ?", (owner,)).fetchone()[0])
    most = pruned + PRUNED_AT_ONCE
    aged = connection.execute(
        "SELECT place, json_extract(decision, '$.at') AS at FROM shop_audit WHERE owner = ? AND place > ?"
        " ORDER BY place LIMIT ?",
        (owner, pruned, 2 * PRUNED_EVERY),
    ).fetchall()
    old = [int(row["place"]) for row in aged if row["at"] < now - KEPT_SECONDS]
    return min(most, max([size - (MOST_OF_NOBODY if owner == NOBODY else MOST_OF_A_USER), *old]))


def prune(connection: sqlite3.Connection, owner: str, through: int) -> int:
    """Forget the entries of a log up to and with the place `through`, but for those that led to an order, and the last
    one there is. The link of the last that is forgotten is kept, so that what follows still proves itself.

    Returns:
        How many entries went.
    """
    row = connection.execute(
        "SELECT place, link, pruned FROM shop_audit JOIN shop_audit_logs USING (owner) WHERE owner = ?"
        " AND place > pruned AND place <= min(?, (SELECT max(place) - 1 FROM shop_audit WHERE owner = ?))"
        " ORDER BY place DESC LIMIT 1",
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
    going = f"FROM shop_audit WHERE owner = ? AND place > ? AND place <= ? AND {_LED_TO_NONE}"
    these = (owner, row["pruned"], row["place"])
    connection.execute(
        "INSERT INTO shop_audit_forgotten (owner, verdict, rule, entries, first_at, last_at) SELECT owner,"
        " json_extract(decision, '$.verdict') AS verdict, json_extract(decision, '$.rule') AS rule, count(*),"
        f" min(json_extract(decision, '$.at')), max(json_extract(decision, '$.at')) {going}"
        " GROUP BY owner, verdict, rule"
        " ON CONFLICT (owner, verdict, rule) DO UPDATE SET entries = entries + excluded.entries,"
        " first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
        these,
    )
    return connection.execute(f"DELETE {going}", these).rowcount


@dataclass(frozen=True)
class Forgotten:
    """Entries of one log that are counted and kept no more, by what they said; times in POSIX seconds."""

    user: str | None
    verdict: str
    rule: str
    entries: int
    first_at: float
    last_at: float


def forgotten(connection: sqlite3.Connection, *, reader: str | None) -> list[Forgotten]:
    """What is counted only of this user's entries and of nobody's."""
    rows = connection.execute(
        "SELECT * FROM shop_audit_forgotten WHERE owner IN (?, ?) ORDER BY owner, verdict, rule",
        (reader or NOBODY, NOBODY),
    )
    return [Forgotten(row["owner"] or None, *tuple(row)[1:]) for row in rows]


def _head(connection: sqlite3.Connection, owner: str) -> tuple[int, bytes]:
    """The place and the link of a log's last entry. A log is opened with its first one."""
    row = connection.execute(
        "SELECT place, link FROM shop_audit WHERE owner = ? ORDER BY place DESC LIMIT 1", (owner,)
    ).fetchone()
    return (0, audit_chain.open_log(connection, owner)) if row is None else (row["place"], row["link"])


class UnknownEntry(LookupError):
    """The entry to go on from is not in the log."""


LOOKED_AT: Final = 20_000
"""Entries, of which those that fit are sought: what is older takes another question, by `since` or `after`."""


@dataclass(frozen=True)
class Wanted:
    """Which entries are asked for; whatever is set must fit.

    Attributes:
        user: a human's `sub` or readable name.
        agent: an agent's id, or its software's client id.
        since: the first moment, in POSIX seconds.
    """

    user: str | None = None
    agent: str | None = None
    verdict: str | None = None
    since: float | None = None

    def conditions(self) -> tuple[str, list[object]]:
        """They as SQL about the column `decision`; empty where nothing is set."""
        given: list[tuple[tuple[str, ...], str, object]] = [
            (("user", "username"), "=", self.user),
            (("agent", "client"), "=", self.agent),
            (("verdict",), "=", self.verdict),
            (("at",), ">=", self.since),
        ]
        set_ = [one for one in given if one[2] is not None]
        told = [
            " OR ".join(f"json_extract(decision, '$.{name}') {sign} ?" for name in names) for names, sign, _ in set_
        ]
        values = [value for names, _, value in set_ for _ in names]
        return " AND ".join(f"({one})" for one in told), values


EVERYTHING: Final = Wanted()


def _last_before(connection: sqlite3.Connection, moment: float) -> int:
    """The `seq` of the last entry before a moment, 0 where there is none: they were written in the order of time, so
    that a few of them tell, however many there are."""
    row = connection.execute("SELECT seq FROM shop_audit ORDER BY seq DESC LIMIT 1").fetchone()
    low, high = 0, 0 if row is None else int(row["seq"])
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT seq, json_extract(decision, '$.at') AS at FROM shop_audit WHERE seq > ? ORDER BY seq LIMIT 1",
            (middle,),
        ).fetchone()
        if row is None or row["at"] >= moment:
            high = middle
        else:
            low = int(row["seq"])
    return low


def entries(
    connection: sqlite3.Connection,
    *,
    reader: str | None,
    everybody: bool,
    after: str | None,
    limit: int,
    wanted: Wanted = EVERYTHING,
) -> list[Decision]:
    """Entries, oldest first: those after the entry `after`, or without one the last `limit` there are. Of these at most
    half are attributed to nobody where there are others: anybody can make thousands of those, and a person's own must
    not be gone from the page for that.

    Args:
        reader: a user's `sub`: sees what is attributed to them and what is attributed to nobody.
        everybody: an admin: sees all.
        wanted: of these only the ones that fit, sought among `LOOKED_AT` of each.

    Raises:
        UnknownEntry: `after` is no entry of this log.
    """
    start, order = 0, "DESC" if after is None else "ASC"
    if after is not None:
        row = connection.execute("SELECT seq, owner FROM shop_audit WHERE audit_id = ?", (after,)).fetchone()
        # Somebody else's is as unknown as one that does not exist.
        if row is None or not (everybody or row["owner"] in (NOBODY, reader)):
            raise UnknownEntry(after)
        start = int(row["seq"])
    if wanted.since is not None:
        start = max(start, _last_before(connection, wanted.since))
    fits, values = wanted.conditions()

    def of(where: str, *given: object) -> list[sqlite3.Row]:
        these = f"SELECT seq, owner, decision FROM shop_audit WHERE {where} AND seq > ? ORDER BY seq {order} LIMIT ?"
        if not fits:
            return connection.execute(these, (*given, start, limit)).fetchall()
        return connection.execute(
            f"SELECT * FROM ({these}) AS looked_at WHERE {fits} LIMIT ?", (*given, start, LOOKED_AT, *values, limit)
        ).fetchall()

    theirs = of(f"owner <> '{NOBODY}'") if everybody else of("owner = ?", reader) if reader else []
    rows = sorted((*theirs, *of("owner = ?", NOBODY)), key=lambda row: row["seq"], reverse=after is None)
    if after is None:
        rows = _fairly(rows, limit, most_of_nobody=limit - min(len(theirs), limit // 2))[::-1]
    return [Decision.from_dict(json.loads(row["decision"])) for row in rows[:limit]]


def _fairly(rows: list[sqlite3.Row], limit: int, *, most_of_nobody: int) -> list[sqlite3.Row]:
    """The first `limit`, with at most so many that are attributed to nobody."""
    kept: list[sqlite3.Row] = []
    for row in rows:
        if row["owner"] == NOBODY:
            if most_of_nobody == 0:
                continue
            most_of_nobody -= 1
        kept.append(row)
    return kept[:limit]


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
