"""Single purchases that a human approved, each within a session that goes on as it was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .store import new_id

APPROVAL_SECONDS = 300.0
"""How long a yes is good for. The purchase was refused for want of it, and is tried again at once."""
MOST_ASKED = 20
"""Questions of a session that are kept at once; of more the oldest go."""
KEPT_SECONDS = 24 * 3600.0
"""An approval that is over is remembered this long, so that who asks hears what became of it."""


@dataclass(frozen=True)
class Approval:
    """One yes. `detail` is what was asked for, as the human saw it; `until` in POSIX seconds."""

    id: str
    session_id: str
    scope: tuple[str, ...]
    detail: dict[str, Any]
    until: float

    @property
    def granted(self) -> dict[str, Any]:
        """The authorization detail of a token: what was approved, by which yes, and for how long (RFC 9396)."""
        return {**self.detail, "approval": self.id, "until": int(self.until)}


def approve(
    connection: sqlite3.Connection, *, session_id: str, scope: tuple[str, ...], detail: dict[str, Any], now: float
) -> Approval:
    """Write a human's yes down; and forget those that are long over."""
    connection.execute("DELETE FROM oauth_approvals WHERE until < ?", (now - KEPT_SECONDS,))
    made = Approval(new_id("approval"), session_id, scope, detail, now + APPROVAL_SECONDS)
    connection.execute(
        "INSERT INTO oauth_approvals (id, session_id, scope, detail, created_at, until) VALUES (?, ?, ?, ?, ?, ?)",
        (made.id, session_id, " ".join(scope), json.dumps(detail), now, made.until),
    )
    return made


def find_approval(connection: sqlite3.Connection, approval_id: str) -> Approval | None:
    """The approval with this id, over or not; None where there is none, or its human withdrew it."""
    row = connection.execute("SELECT * FROM oauth_approvals WHERE id = ?", (approval_id,)).fetchone()
    return None if row is None else _read(row)


def approvals_in(connection: sqlite3.Connection, session_id: str, now: float) -> tuple[Approval, ...]:
    """What the human approved within this session and is good still, the oldest first."""
    rows = connection.execute(
        "SELECT * FROM oauth_approvals WHERE session_id = ? AND until > ? ORDER BY rowid", (session_id, now)
    )
    return tuple(map(_read, rows))


@dataclass(frozen=True)
class Asked:
    """A purchase that a resource server wants approved, for a client that can ask for nothing itself."""

    id: str
    session_id: str
    scope: tuple[str, ...]
    detail: dict[str, Any]
    created_at: float
    expires_at: float
    decision: str | None
    """`approved` or `denied`; None while nobody has answered."""


def ask(
    connection: sqlite3.Connection, *, session_id: str, scope: tuple[str, ...], detail: dict[str, Any], now: float
) -> Asked:
    """Keep a question for the human of this session; the same one again where it was not approved yet."""
    connection.execute("DELETE FROM oauth_purchases WHERE expires_at < ?", (now,))
    written = json.dumps(detail, sort_keys=True)
    row = connection.execute(
        "SELECT * FROM oauth_purchases WHERE session_id = ? AND detail = ? AND decision IS NOT 'approved'",
        (session_id, written),
    ).fetchone()
    if row is not None:
        return _read_asked(row)
    connection.execute(
        "DELETE FROM oauth_purchases WHERE id IN (SELECT id FROM oauth_purchases WHERE session_id = ?"
        " ORDER BY created_at DESC LIMIT -1 OFFSET ?)",
        (session_id, MOST_ASKED - 1),
    )
    made = Asked(new_id("purchase"), session_id, scope, detail, now, now + APPROVAL_SECONDS, None)
    connection.execute(
        "INSERT INTO oauth_purchases (id, session_id, scope, detail, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        (made.id, session_id, " ".join(scope), written, now, made.expires_at),
    )
    return made


def find_asked(connection: sqlite3.Connection, purchase_id: str) -> Asked | None:
    """The question with this id, or None."""
    row = connection.execute("SELECT * FROM oauth_purchases WHERE id = ?", (purchase_id,)).fetchone()
    return None if row is None else _read_asked(row)


def answer(connection: sqlite3.Connection, purchase_id: str, decision: str) -> None:
    """Write the human's answer down; the caller has seen in this transaction that there is none yet."""
    connection.execute("UPDATE oauth_purchases SET decision = ? WHERE id = ?", (decision, purchase_id))


def _read_asked(row: sqlite3.Row) -> Asked:
    given = {**dict(row), "scope": tuple(row["scope"].split()), "detail": json.loads(row["detail"])}
    return Asked(**given)


def void(connection: sqlite3.Connection, approval_id: str) -> None:
    """Withdraw a yes."""
    connection.execute("DELETE FROM oauth_approvals WHERE id = ?", (approval_id,))


def void_of(
    connection: sqlite3.Connection, now: float, *, sub: str | None = None, agents: Collection[str] = ()
) -> None:
    """Withdraw what was approved for a human, or for some agents, as they are stopped. Who is reinstated has what was
    granted to them again; a yes to one purchase was said before the stop, and is asked for again."""
    live = connection.execute(
        "SELECT a.id, a.detail, c.sub FROM oauth_approvals a JOIN oauth_sessions s ON s.id = a.session_id"
        " JOIN oauth_consents c ON c.id = s.consent_id WHERE a.until > ?",
        (now,),
    ).fetchall()
    for row in live:
        if row["sub"] == sub or json.loads(row["detail"])["agent"] in agents:
            void(connection, row["id"])


def _read(row: sqlite3.Row) -> Approval:
    scope, detail = tuple(row["scope"].split()), json.loads(row["detail"])
    return Approval(row["id"], row["session_id"], scope, detail, row["until"])
