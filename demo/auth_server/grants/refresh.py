"""The refresh grant (RFC 6749 section 6) with rotation and reuse detection (RFC 9700 section 4.14)."""

from __future__ import annotations

import sqlite3
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant as AuthlibRefreshTokenGrant

from ..state.accounts import Account
from ..state.credentials import GRACE_SECONDS, RefreshToken, find_refresh_token, mark_used
from ..state.sessions import revoke_session, session_revocation
from .bound import require_key
from .server import Grant


class RefreshTokenGrant(Grant, AuthlibRefreshTokenGrant):  # type: ignore[misc]  # Authlib ships no types
    """Each refresh token works once. For 10 s, and until its successor is used, its client may ask for that very
    successor again; used later than that it ends the session. So a stolen one makes no second line of tokens."""

    INCLUDE_NEW_REFRESH_TOKEN = True
    BEGINS = False

    def validate_token_request(self) -> None:
        """As Authlib, and then what is asked of the new token."""
        super().validate_token_request()
        self.check_token_wishes(self.request.refresh_token.session)

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken:
        """The refresh token, when it may be used now by the client that sent it.

        Raises:
            InvalidGrantError: unknown, expired, another client's or bound to another key (then nothing changes), used
                before (then its session is revoked), or of what was revoked.
            InvalidProofError: bound to a key of which no proof came; nothing changes.
        """
        context = self.server.context
        now = context.now()
        with context.store.transaction() as connection:
            token = find_refresh_token(connection, refresh_token)
            if token is None or now >= token.expires_at:
                raise InvalidGrantError("the refresh token is unknown or has expired; log in again")
            # Before anything else is looked at, so that somebody with a stolen token can learn and change nothing.
            if token.client_id != self.request.client.client_id:
                raise InvalidGrantError("the refresh token belongs to another client")
            if token.key is not None:
                require_key(self.request, token.key, "the refresh token")
            if token.used_at is not None and self._is_over(connection, token, refresh_token, now):
                revoke_session(connection, token.session.id, kind="reuse", by=token.client_id, now=now)
                raise InvalidGrantError("the refresh token was used before: its session is revoked; log in again")
            revoked = session_revocation(connection, token.session)
            if revoked is not None:
                fix = "log in again" if revoked.kind in ("session", "token") else "have it reinstated"
                raise InvalidGrantError(f"this {revoked.kind} was revoked; {fix}")
        return token

    @staticmethod
    def _is_over(connection: sqlite3.Connection, token: RefreshToken, value: str, now: float) -> bool:
        """Whether a used token may not come again: its grace has ended, or somebody used what followed it."""
        assert token.used_at is not None, "asked of a used token"
        successor = find_refresh_token(connection, token.successor(value))
        return now - token.used_at > GRACE_SECONDS or successor is None or successor.used_at is not None

    def generate_token(self, *args: Any, **given: Any) -> dict[str, Any]:
        """The token response, with the one refresh token that follows the one that was sent."""
        token: dict[str, Any] = super().generate_token(*args, **given)
        if "refresh_token" in token:
            token["refresh_token"] = self.request.refresh_token.successor(self.request.form["refresh_token"])
        return token

    def authenticate_user(self, refresh_token: RefreshToken) -> Account | None:
        """The human in whose name the session is."""
        return self.server.context.account(refresh_token.session.sub)

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """Mark the refresh token as used, in the transaction that made its successor."""
        with self.server.context.store.transaction() as connection:
            mark_used(connection, refresh_token, self.server.context.now())
