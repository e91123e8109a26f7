"""Single purchases that a human approved, each within a session that goes on as it was."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from .store import new_id

APPROVAL_SECONDS = 300.0
"""How long a yes is good for. The purchase was refused for want of it, and is tried again at once."""
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
    """The approval with this id, over or not; None where there is none, or its human took it back."""
    row = connection.execute("SELECT * FROM oauth_approvals WHERE id = ?", (approval_id,)).fetchone()
    return None if row is None else _read(row)


def void(connection: sqlite3.Connection, approval_id: str) -> None:
    """Take a yes back whose code nobody has used: a no came after it, or another yes."""
    connection.execute("DELETE FROM oauth_approvals WHERE id = ?", (approval_id,))


def _read(row: sqlite3.Row) -> Approval:
    scope, detail = tuple(row["scope"].split()), json.loads(row["detail"])
    return Approval(row["id"], row["session_id"], scope, detail, row["until"])
