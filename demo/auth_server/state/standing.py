"""Standing: whether the authority of a session, an agent or a user still holds, and taking it back."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from .sessions import Session
from .store import new_id

Kind = Literal["session", "agent", "user"]
"""What a human can take back."""


@dataclass(frozen=True)
class Revoked:
    """What was taken back and when. `token`: the client itself handed its token in (RFC 7009)."""

    kind: Literal["session", "agent", "user", "token"]
    at: float


def standing(connection: sqlite3.Connection, session: Session) -> Revoked | None:
    """What was taken back of this session's authority, or None while it holds.

    The session is looked at first, because nothing brings it back. A user's revocation stops what acts *for* that
    user: the human's own console, by which it is lifted again, goes on.
    """
    if session.revoked_at is not None:
        return Revoked("token" if session.revoked_by_kind == "token" else "session", session.revoked_at)
    if session.agent_id is None:
        return None
    return standing_of(connection, "agent", session.agent_id) or standing_of(connection, "user", session.sub)


def standing_of(connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str) -> Revoked | None:
    """When this agent's or user's authority was taken back, or None while it holds."""
    row = connection.execute(
        "SELECT revoked_at FROM authority_standing WHERE kind = ? AND id = ?", (kind, id)
    ).fetchone()
    return None if row is None else Revoked(kind, row["revoked_at"])


def revoke_session(
    connection: sqlite3.Connection,
    session_id: str,
    *,
    kind: Literal["session", "token", "reuse"],
    by: str,
    now: float,
) -> float:
    """Revoke a session for good; when it was revoked first. `kind`: the human's word, the client's token, or reuse."""
    changed = connection.execute(
        "UPDATE authority_sessions SET revoked_at = ?, revoked_by_kind = ?, revoked_by = ?"
        " WHERE id = ? AND revoked_at IS NULL",
        (now, kind, by, session_id),
    )
    if changed.rowcount:
        _note(connection, "session", session_id)
    row = connection.execute("SELECT revoked_at FROM authority_sessions WHERE id = ?", (session_id,)).fetchone()
    return float(row["revoked_at"])


def revoke_standing(
    connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str, *, by: str, now: float
) -> float:
    """Take back an agent's or a user's authority until it is reinstated; when it was taken back first."""
    changed = connection.execute(
        "INSERT INTO authority_standing (kind, id, revoked_at, revoked_by) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, id) DO NOTHING",
        (kind, id, now, by),
    )
    if changed.rowcount:
        _note(connection, kind, id)
    revoked = standing_of(connection, kind, id)
    assert revoked is not None, "it was just inserted"
    return revoked.at


def reinstate_standing(connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str) -> bool:
    """Lift an agent's or a user's revocation; whether there was one."""
    return connection.execute("DELETE FROM authority_standing WHERE kind = ? AND id = ?", (kind, id)).rowcount > 0


def _note(connection: sqlite3.Connection, kind: Kind, id: str) -> None:
    """Write down, in the transaction that revokes, what the resource server has to be told (`security_events`)."""
    # By the clock that no setting of the time of day moves, and that goes on while a process is stopped.
    connection.execute(
        "INSERT INTO authority_events (jti, kind, id, at) VALUES (?, ?, ?, ?)",
        (new_id("event"), kind, id, time.monotonic()),
    )
