"""What introspection said of a grant, kept for as long as the authorization server vouches for it.

The authorization server promises to answer no revocation before this shop has acknowledged it, or the lease of the
stream of its security events is over. The lease begins at the moment at which the shop *asked* for the stream's
verification (`stream.py`), by the shop's own clock. While it lasts what was kept holds, and an event takes away what it
is about in the transaction that notes it. When it ends, all that was kept ends with it: an era. What is found out after
that begins a new one, so that nothing is relied on of which the shop may have missed an event.

All of this is in the shop's own database, so that what acts sees it in its own transaction.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

from demo.shop.facts import Reliance, Standing, TokenFacts

MOST_KEPT: Final = 100_000
"""Grants. Of more than these the oldest are asked about again."""

_PROCESS: Final = secrets.token_hex(8)
"""A lease is its process's own: a machine that was restarted counts its clock from zero."""

_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME" if sys.platform == "linux" else "CLOCK_MONOTONIC", 0)


def steady() -> float:
    """Seconds by the clock that no setting of the time of day moves, and that goes on while a process is stopped or the
    machine sleeps (on Linux `CLOCK_MONOTONIC` does not): a lease must not last longer here than elsewhere."""
    return time.clock_gettime(_CLOCK) if _CLOCK else time.monotonic()


@dataclass(frozen=True)
class Kept:
    """What was said of a grant, and since when it is relied on: it is as good as if it were asked for when the stream's
    verification was."""

    standing: Standing
    reliance: Reliance


def kept(connection: sqlite3.Connection, token: TokenFacts) -> Kept | None:
    """What introspection said of this grant, where that may still be relied on; None: ask."""
    row = connection.execute(
        "SELECT s.heard, s.standing, l.asked_at, l.seconds FROM shop_standing s JOIN shop_lease l ON l.era = s.era"
        " WHERE s.session = ? AND s.user IS ? AND s.agent = ? AND s.client IS ? AND l.process = ?",
        (token.session, token.user, token.agent or "", token.client, _PROCESS),
    ).fetchone()
    if row is None or not _holds(row):
        return None
    return Kept(_read(row["standing"]), Reliance(int(row["heard"]), float(row["asked_at"])))


@lru_cache(maxsize=1024)
def _read(written: str) -> Standing:
    """A standing as `keep` wrote it; many agents have the same human."""
    said = json.loads(written)
    return Standing(**{**said, "roles": tuple(said["roles"]), "approvals": ()})


def keep(connection: sqlite3.Connection, token: TokenFacts, standing: Standing, reliance: Reliance) -> None:
    """Keep what introspection said of this grant, in the transaction in which it was seen to hold. A no is never kept,
    and nothing is that was asked for before the lease began."""
    lease = _lease(connection)
    if not standing.active or token.session is None or lease is None or reliance.asked_at < lease["since"]:
        return
    # The ban is the shop's own, and looked up at each call; of approvals is asked where one is needed.
    said = asdict(standing) | {"banned": False, "approvals": ()}
    made = connection.execute(
        "INSERT OR REPLACE INTO shop_standing (session, user, agent, client, era, heard, standing)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (token.session, token.user, token.agent or "", token.client, lease["era"], reliance.heard, json.dumps(said)),
    )
    connection.execute("DELETE FROM shop_standing WHERE rowid <= ?", ((made.lastrowid or 0) - MOST_KEPT,))


def void(connection: sqlite3.Connection, kind: str, subject: str) -> None:
    """Forget what is kept of a session, an agent or a user, in the transaction that notes an event about it."""
    column = {"session": "session", "agent": "agent", "user": "user"}[kind]
    connection.execute(f"DELETE FROM shop_standing WHERE {column} = ?", (subject,))


def renew(connection: sqlite3.Connection, asked_at: float, seconds: float) -> None:
    """Begin a lease, or make it longer: the stream was verified, as this shop asked at `asked_at` (`steady`).

    Args:
        seconds: how long that is good for.
    """
    lease, now = _lease(connection), steady()
    if now - asked_at > seconds or (lease is not None and asked_at <= lease["asked_at"]):
        return
    if lease is not None:
        connection.execute("UPDATE shop_lease SET asked_at = ?, seconds = ?", (asked_at, seconds))
        return
    end(connection)
    connection.execute(
        "INSERT INTO shop_lease (one, era, process, since, asked_at, seconds) VALUES (1, ?, ?, ?, ?, ?)",
        (secrets.token_hex(8), _PROCESS, asked_at, asked_at, seconds),
    )


def end(connection: sqlite3.Connection) -> None:
    """End the lease and forget all that was kept."""
    connection.execute("DELETE FROM shop_lease")
    connection.execute("DELETE FROM shop_standing")


def _lease(connection: sqlite3.Connection) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM shop_lease WHERE process = ?", (_PROCESS,)).fetchone()
    return row if row is not None and _holds(row) else None


def _holds(lease: sqlite3.Row) -> bool:
    return bool(0.0 <= steady() - lease["asked_at"] <= lease["seconds"])
