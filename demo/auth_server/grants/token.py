"""Issuing tokens (RFC 6749 section 5.1): what every grant has in common."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError

from ..endpoints.requests import FormRequest
from ..state.accounts import Account
from ..state.refresh_tokens import save_refresh_token
from ..state.sessions import Session
from .access_token import sign_access_token, sign_id_token
from .resources import audience
from .scopes import ordered

if TYPE_CHECKING:
    from ..endpoints.oauth import OAuthServer


class IssuesTokens:
    """Mixed into a grant whose request has a session: checks what is asked of the token, then makes it.

    Authlib's grants call `generate_token` and then `save_token`; the token endpoint holds one transaction around both.
    """

    request: FormRequest
    server: OAuthServer

    def check_token_wishes(self, session: Session) -> None:
        """Refuse a `resource` or `requested_expires_in` that cannot be, before anything is used up.

        Raises:
            InvalidTargetError: the resource was not granted (RFC 8707 section 2.2).
            InvalidRequestError: `requested_expires_in` is not a positive whole number of seconds.
        """
        self.request.session = session
        audience(self.server.authority, session, self.request.form.get("resource"))
        self._lifetime()

    def _lifetime(self) -> int:
        longest = self.server.authority.config.access_token_seconds
        asked = self.request.form.get("requested_expires_in")
        if asked is None:
            return longest
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and int(asked) > 0):
            raise InvalidRequestError("requested_expires_in is a positive whole number of seconds")
        return min(int(asked), longest)

    def generate_token(
        self,
        user: Account | None = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token response; not yet saved."""
        authority, session = self.server.authority, self.request.session
        assert session is not None and user is not None, "validated before"
        granted = ordered((scope or "").split())
        seconds = self._lifetime()
        token: dict[str, Any] = {
            "access_token": sign_access_token(
                authority,
                session,
                audience=audience(authority, session, self.request.form.get("resource")),
                scope=granted,
                seconds=seconds,
            ),
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": " ".join(granted),
        }
        # By what the session was granted, not by a narrowed scope: the next refresh may ask for all of it again.
        if include_refresh_token and "offline_access" in session.scope:
            token["refresh_token"] = secrets.token_urlsafe(32)
        if "openid" in granted:
            token["id_token"] = sign_id_token(authority, session, user, self.request.nonce)
        if session.authorization_details:
            token["authorization_details"] = list(session.authorization_details)  # RFC 9396 section 7
        return token

    def save_token(self, token: dict[str, Any]) -> None:
        """Keep the refresh token's digest; an access token needs no keeping, its session says if it stands."""
        session = self.request.session
        assert session is not None, "validated before"
        if "refresh_token" in token:
            with self.server.authority.store.transaction() as connection:
                save_refresh_token(connection, token["refresh_token"], session, self.server.authority.now())
