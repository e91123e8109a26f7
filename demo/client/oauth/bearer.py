"""A bearer token on every request of a client (RFC 6750 section 2.1)."""

from __future__ import annotations

import re
from collections.abc import Generator

import httpx2

from demo.errors import AuthorityRefused

_PRESENTABLE = re.compile(r"[\x21-\x7e]+")


class BearerToken(httpx2.Auth):
    """Presents one access token as it is: no renewal, no login, no second try.

    Args:
        token: the access token.

    Raises:
        AuthorityRefused: no header can carry it.
    """

    def __init__(self, token: str) -> None:
        if not _PRESENTABLE.fullmatch(token):
            raise AuthorityRefused(
                "the token cannot be presented",
                why="it holds characters that no HTTP header can carry (RFC 9110 section 5.5)",
                do="demo logout, then demo login; or give the token exactly as it was issued",
            )
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with the token."""
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request
