"""Refresh tokens as the store knows them: by digest, bound to a session and a client, used at most once."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ..clients.client import Client
from .sessions import Session, find_session
from .store import digest

REFRESH_SECONDS = 30 * 24 * 3600.0
"""Life of a refresh token that nobody uses; each rotation starts it anew (RFC 9700 section 4.14.2)."""
GRACE_SECONDS = 10.0
"""How long a used refresh token still answers its own client: two processes raced, or an answer was lost."""


@dataclass(frozen=True)
class RefreshToken:
    """One refresh token, without its value."""

    digest: str
    session: Session
    client_id: str
    expires_at: float
    used_at: float | None

    def check_client(self, client: Client) -> bool:
        """Whether it was issued to `client`."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """The scope originally granted; a narrowed refresh does not narrow the next one (RFC 6749 section 6)."""
        return " ".join(self.session.scope)


def save_refresh_token(connection: sqlite3.Connection, value: str, session: Session, now: float) -> None:
    """Remember a refresh token that was just issued, and forget those that expired."""
    connection.execute("DELETE FROM authority_refresh_tokens WHERE expires_at < ?", (now,))
    connection.execute(
        "INSERT INTO authority_refresh_tokens (digest, session_id, client_id, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (digest(value), session.id, session.client_id, now, now + REFRESH_SECONDS),
    )


def find_refresh_token(connection: sqlite3.Connection, value: str) -> RefreshToken | None:
    """The refresh token with this value, used or not, or None."""
    row = connection.execute("SELECT * FROM authority_refresh_tokens WHERE digest = ?", (digest(value),)).fetchone()
    if row is None:
        return None
    session = find_session(connection, row["session_id"])
    assert session is not None, "the foreign key holds"
    return RefreshToken(row["digest"], session, row["client_id"], row["expires_at"], row["used_at"])


def mark_used(connection: sqlite3.Connection, token: RefreshToken, now: float) -> None:
    """Remember the first use; a second one within the grace does not prolong it."""
    connection.execute(
        "UPDATE authority_refresh_tokens SET used_at = ? WHERE digest = ? AND used_at IS NULL", (now, token.digest)
    )
