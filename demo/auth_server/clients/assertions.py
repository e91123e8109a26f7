"""Client authentication by a signed assertion (RFC 7521 section 4.2, RFC 7523 section 3): `private_key_jwt`.

The human's own console proves itself so. Its `client_id` is public, and what may lift a revocation must not be anybody
who knows it. An assertion is a matter of seconds between two programs, and is judged by the machine's clock.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.errors import JoseError

from ..context import Context
from .client import Client
from .metadata import PRIVATE_KEY_JWT

LONGEST_LIFE = 300.0
"""Seconds. An assertion is made for one request; one that is good for longer is worth stealing."""
SKEW_SECONDS = 5


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc]  # Authlib ships no types
    """As Authlib; for this issuer alone, for minutes at most, and once."""

    CLIENT_AUTH_METHOD = PRIVATE_KEY_JWT

    def __init__(self, context: Context) -> None:
        super().__init__(leeway=SKEW_SECONDS)
        self._context = context

    def __call__(self, query_client: Any, request: Any) -> Client | None:
        """The client of a request with an assertion, None of one without.

        Raises:
            InvalidClientError: the assertion does not hold.
        """
        try:
            client: Client | None = super().__call__(query_client, request)
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidClientError("the client assertion cannot be read") from error
        if client is not None and request.form.get("client_id", client.client_id) != client.client_id:
            raise InvalidClientError("client_id is not the subject of the client assertion (RFC 7523 section 3)")
        return client

    def resolve_client_public_key(self, client: Client) -> dict[str, Any]:
        """The key that the client is registered with.

        Raises:
            InvalidClientError: it has none.
        """
        if client.public_key is None:
            raise InvalidClientError("this client is registered with no key")
        return dict(client.public_key)

    def get_audiences(self) -> list[str]:
        """The issuer alone: an assertion for the URL of one endpoint could be used at another (RFC 7523 section 3)."""
        return [self._context.issuer]

    def validate_jti(self, claims: dict[str, Any], jti: object) -> bool:
        """Whether the assertion is new, for nobody else, and good for a short time; it is remembered as long as it is
        good."""
        # One audience, and no list: an assertion that is meant for others as well is theirs to send on to here
        # (CVE-2025-27371; draft-ietf-oauth-rfc7523bis).
        if claims["aud"] != self._context.issuer:
            return False
        expires_at, now = claims["exp"], time.time()
        if not isinstance(jti, str) or not jti or not now - SKEW_SECONDS <= expires_at <= now + LONGEST_LIFE:
            return False
        with self._context.store.transaction() as connection:
            return _first(connection, f"{claims['iss']} {jti}", expires_at + SKEW_SECONDS, now)


def _first(connection: sqlite3.Connection, name: str, until: float, now: float) -> bool:
    connection.execute("DELETE FROM oauth_assertions WHERE expires_at < ?", (now,))
    kept = connection.execute(
        "INSERT INTO oauth_assertions (name, expires_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, until)
    )
    return kept.rowcount > 0
