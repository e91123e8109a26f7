"""A human's sessions as WorkOS tells them: every login of theirs, to their own console and through agents alike."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from demo.auth_server.context import Authority
from demo.auth_server.state.sessions import Session, find_session, lasts_until
from demo.auth_server.state.standing import standing

from .shapes import ORGANIZATION, stamp


@dataclass(frozen=True)
class UserSession:
    """A session with what came of it. `ended_at` is when its authority was taken back; None while it stands."""

    session: Session
    expires_at: float
    ended_at: float | None
    now: float

    @property
    def status(self) -> str:
        """`active`, `revoked` or `expired`."""
        if self.ended_at is not None:
            return "revoked"
        return "active" if self.now < self.expires_at else "expired"

    def shown(self, *, status: str | None = None) -> dict[str, Any]:
        """WorkOS's object. This authority keeps no addresses and no user agents; a sample sign-in has no method.

        Args:
            status: what it was at the time an event tells of; None for what it is.
        """
        status = status or self.status
        ended_at = self.ended_at if status == "revoked" else None
        changed = self.session.created_at if ended_at is None else ended_at
        return {
            "object": "session",
            "id": self.session.id,
            "ip_address": None,
            "user_agent": None,
            "user_id": self.session.sub,
            "organization_id": ORGANIZATION,
            "auth_method": "unknown",
            "status": status,
            "expires_at": stamp(self.expires_at),
            "ended_at": None if ended_at is None else stamp(ended_at),
            "created_at": stamp(self.session.created_at),
            "updated_at": stamp(changed),
        }


def find(authority: Authority, connection: sqlite3.Connection, session_id: str) -> UserSession | None:
    """The session with this id, or None."""
    session = find_session(connection, session_id)
    if session is None:
        return None
    expires_at = lasts_until(connection, session, access_token_seconds=authority.config.access_token_seconds)
    revoked = standing(connection, session)
    return UserSession(session, expires_at, None if revoked is None else revoked.at, authority.now())


def sessions(authority: Authority, connection: sqlite3.Connection, sub: str | None = None) -> list[UserSession]:
    """All sessions, or one human's, oldest first."""
    rows = connection.execute(
        "SELECT s.id FROM authority_sessions s JOIN authority_consents c ON c.id = s.consent_id"
        " WHERE ? IS NULL OR c.sub = ? ORDER BY s.created_at, s.rowid",
        (sub, sub),
    ).fetchall()
    found = [find(authority, connection, row["id"]) for row in rows]
    return [one for one in found if one is not None]
