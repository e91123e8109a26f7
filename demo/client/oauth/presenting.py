"""A stored token on every request: as a bearer token, or with proof of the key that it is bound to."""

from __future__ import annotations

from collections.abc import Generator

import httpx2

from demo.client.oauth.bearer import BearerToken
from demo.client.oauth.dpop import ProofKey
from demo.client.tokens.stored import StoredToken


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
