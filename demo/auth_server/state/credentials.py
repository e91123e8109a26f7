"""Authorization codes and refresh tokens as they are kept: by digest, bound to a session and a client, used once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin

from .approvals import Approval, find_approval, void
from .sessions import Session, find_session
from .store import digest, new_id

CODE_SECONDS = 60.0
"""Life of a code. OAuth 2.1 section 4.1.2 asks for short, with ten minutes as the most; a redirect takes moments."""
CODE_KEPT_SECONDS = 24 * 3600.0
"""A code that is over is remembered this long, so that one that comes again is known and ends its session."""
REFRESH_SECONDS = 30 * 24 * 3600.0
"""Life of a refresh token that nobody uses; each rotation starts it again (RFC 9700 section 4.14.2)."""
USED_KEPT = 100
"""Used refresh tokens of a session that are remembered, so that one which comes again is known (RFC 9700 section
4.14.2). An older one is unknown, and refused as such."""
GRACE_SECONDS = 10.0
"""How long a used refresh token still gives its own client the same successor: two processes raced, or an answer was
lost."""


@dataclass(frozen=True)
class AuthorizationCode(AuthorizationCodeMixin):  # type: ignore[misc]  # Authlib ships no types
    """One code, without its value."""

    id: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    key: str | None
    """The thumbprint of the key that must be proved with it (RFC 9449 section 10, `dpop_jkt`); None for none."""
    session: Session
    approval_id: str | None
    """The one purchase that its token is for; None for what the session was granted."""
    approval: Approval | None
    """The same as it was approved; None where it is not known any more."""
    expires_at: float
    redeemed_at: float | None
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> None:
        """None: the redirect URI is compared where the code is looked up, when a client still sends it."""

    def get_scope(self) -> str:
        """The scopes that the human granted."""
        return " ".join(
            self.approval.scope if self.approval is not None else () if self.approval_id else self.session.scope
        )


def save_code(
    connection: sqlite3.Connection,
    code: str,
    *,
    client_id: str,
    redirect_uri: str,
    code_challenge: str,
    nonce: str | None,
    key: str | None,
    session_id: str,
    approval_id: str | None,
    now: float,
) -> None:
    """Remember a code, in place of an unused one for the same session; and forget those that are long over."""
    connection.execute("DELETE FROM oauth_authorization_codes WHERE expires_at < ?", (now - CODE_KEPT_SECONDS,))
    connection.execute(
        "DELETE FROM oauth_authorization_codes WHERE session_id = ? AND approval_id IS ?", (session_id, approval_id)
    )
    connection.execute(
        "INSERT INTO oauth_authorization_codes (id, code_digest, client_id, redirect_uri, code_challenge, nonce, key,"
        " session_id, approval_id, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new_id("code"),
            digest(code),
            client_id,
            redirect_uri,
            code_challenge,
            nonce,
            key,
            session_id,
            approval_id,
            now + CODE_SECONDS,
        ),
    )


def find_code(connection: sqlite3.Connection, code: str) -> AuthorizationCode | None:
    """The code with this value, used or not, or None."""
    row = connection.execute(
        "SELECT * FROM oauth_authorization_codes WHERE code_digest = ?", (digest(code),)
    ).fetchone()
    return None if row is None else _read_code(connection, row)


def unused_session(
    connection: sqlite3.Connection, *, sub: str, client_id: str, redirect_uri: str, code_challenge: str, now: float
) -> Session | None:
    """The session that this human's yes to this very request opened, while its code is not used; or None. A challenge
    is of one request (RFC 7636)."""
    rows = connection.execute(
        "SELECT session_id FROM oauth_authorization_codes WHERE client_id = ? AND redirect_uri = ?"
        " AND code_challenge = ? AND approval_id IS NULL AND redeemed_at IS NULL AND expires_at > ?",
        (client_id, redirect_uri, code_challenge, now),
    ).fetchall()
    found = (find_session(connection, row["session_id"]) for row in rows)
    return next((one for one in found if one is not None and one.sub == sub and one.revoked_at is None), None)


def void_unused_approvals(
    connection: sqlite3.Connection, *, sub: str, client_id: str, redirect_uri: str, code_challenge: str
) -> None:
    """Void what this human's yes to this very request approved, while its code is not used."""
    rows = connection.execute(
        "SELECT id, session_id, approval_id FROM oauth_authorization_codes WHERE client_id = ? AND redirect_uri = ?"
        " AND code_challenge = ? AND approval_id IS NOT NULL AND redeemed_at IS NULL",
        (client_id, redirect_uri, code_challenge),
    ).fetchall()
    for row in rows:
        session = find_session(connection, row["session_id"])
        if session is not None and session.sub == sub:
            connection.execute("DELETE FROM oauth_authorization_codes WHERE id = ?", (row["id"],))
            void(connection, row["approval_id"])


def use_up(connection: sqlite3.Connection, code: AuthorizationCode, now: float) -> None:
    """Mark the code as used."""
    connection.execute("UPDATE oauth_authorization_codes SET redeemed_at = ? WHERE id = ?", (now, code.id))


def _read_code(connection: sqlite3.Connection, row: sqlite3.Row) -> AuthorizationCode:
    session = find_session(connection, row["session_id"])
    assert session is not None, "the foreign key holds"
    return AuthorizationCode(
        id=row["id"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        code_challenge=row["code_challenge"],
        nonce=row["nonce"],
        key=row["key"],
        session=session,
        approval_id=row["approval_id"],
        approval=None if row["approval_id"] is None else find_approval(connection, row["approval_id"]),
        expires_at=row["expires_at"],
        redeemed_at=row["redeemed_at"],
    )


@dataclass(frozen=True)
class RefreshToken:
    """One refresh token, without its value."""

    digest: str
    session: Session
    client_id: str
    expires_at: float
    used_at: float | None
    key: str | None
    """The thumbprint of the key that it is bound to (RFC 9449 section 5); None for none."""
    seed: str = field(repr=False)

    def successor(self, value: str) -> str:
        """What follows this token, whose value this is: the same one each time it is asked for.

        It takes both to compute: the value, which is not kept, and the seed, which nobody else has. So neither who
        reads the database nor who once held an old token knows the token in use.
        """
        made = hmac.new(self.seed.encode(), value.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def check_client(self, client: ClientMixin) -> bool:
        """Whether it was issued to `client`."""
        return bool(self.client_id == client.get_client_id())

    def get_scope(self) -> str:
        """The scope originally granted; a narrowed refresh does not narrow the next one (RFC 6749 section 6)."""
        return " ".join(self.session.scope)


def save_refresh_token(
    connection: sqlite3.Connection, value: str, session: Session, key: str | None, now: float
) -> None:
    """Remember a refresh token that was just issued, once; forget those that expired, and those used long before."""
    connection.execute("DELETE FROM oauth_refresh_tokens WHERE expires_at < ?", (now,))
    connection.execute(
        "INSERT INTO oauth_refresh_tokens (digest, session_id, client_id, created_at, expires_at, key, seed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        (digest(value), session.id, session.client_id, now, now + REFRESH_SECONDS, key, secrets.token_hex(32)),
    )
    connection.execute(
        "DELETE FROM oauth_refresh_tokens WHERE session_id = :session AND used_at IS NOT NULL AND expires_at <"
        " (SELECT expires_at FROM oauth_refresh_tokens WHERE session_id = :session"
        " ORDER BY expires_at DESC LIMIT 1 OFFSET :kept)",
        {"session": session.id, "kept": USED_KEPT},
    )


def find_refresh_token(connection: sqlite3.Connection, value: str) -> RefreshToken | None:
    """The refresh token with this value, used or not, or None."""
    row = connection.execute("SELECT * FROM oauth_refresh_tokens WHERE digest = ?", (digest(value),)).fetchone()
    if row is None:
        return None
    session = find_session(connection, row["session_id"])
    assert session is not None, "the foreign key holds"
    return RefreshToken(
        row["digest"], session, row["client_id"], row["expires_at"], row["used_at"], row["key"], row["seed"]
    )


def mark_used(connection: sqlite3.Connection, token: RefreshToken, now: float) -> None:
    """Remember the first use; a second one within the grace does not prolong it."""
    connection.execute(
        "UPDATE oauth_refresh_tokens SET used_at = ? WHERE digest = ? AND used_at IS NULL", (now, token.digest)
    )
