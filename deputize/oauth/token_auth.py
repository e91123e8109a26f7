"""An access token on every request of a client: as a bearer token, or with proof of the key that it is bound to."""

from __future__ import annotations

import re
from collections.abc import Generator

import httpx2

from deputize.errors import AuthorizationRefused, Remedy
from deputize.oauth.dpop import ProofKey
from deputize.tokens.stored import StoredToken

_PRESENTABLE = re.compile(r"[\x21-\x7e]+")


class BearerToken(httpx2.Auth):
    """Presents one access token as it is: no renewal, no login, no second try.

    Args:
        token: the access token.

    Raises:
        AuthorizationRefused: no header can carry it.
    """

    def __init__(self, token: str) -> None:
        if not _PRESENTABLE.fullmatch(token):
            raise AuthorizationRefused(
                "the token cannot be presented",
                why="it holds characters that no HTTP header can carry (RFC 9110 section 5.5)",
                do="log out and in again; or give the token exactly as it was issued",
                remedy=Remedy("forget_and_log_in"),
            )
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with the token."""
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class DPoPToken(httpx2.Auth):
    """Presents a bound token with a fresh proof for each request (RFC 9449 section 7.1).

    Args:
        token: the access token.
        key: the key that it is bound to. A nonce that the server wants in the proof is taken up, once a request.
    """

    def __init__(self, token: str, key: ProofKey) -> None:
        self._token = token
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with the token and a proof; once more where the server wants its nonce in it."""
        url = str(request.url)
        request.headers["authorization"] = f"DPoP {self._token}"
        request.headers["dpop"] = self._key.proof(request.method, url, token=self._token)
        response = yield request
        fresh = self._key.heard(url, response.headers.get("dpop-nonce"))
        if fresh and response.status_code == 401 and "use_dpop_nonce" in response.headers.get("www-authenticate", ""):
            request.headers["dpop"] = self._key.proof(request.method, url, token=self._token)
            yield request


def presented(token: StoredToken) -> httpx2.Auth:
    """How this token is presented."""
    if token.dpop_key is not None:
        return DPoPToken(token.access_token, ProofKey.from_json(token.dpop_key))
    return BearerToken(token.access_token)
