"""A bearer token on every request of a client (RFC 6750 section 2.1)."""

from __future__ import annotations

from collections.abc import Generator

import httpx2


class BearerToken(httpx2.Auth):
    """Presents one access token as it is: no renewal, no login, no second try.

    Args:
        token: the access token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with the token."""
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request
