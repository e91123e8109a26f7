"""The authorization server as the shop knows it: its metadata (RFC 8414) and its keys (RFC 7517), both read over HTTP.

The settings name an issuer and nothing else. Whatever cannot be read, or is not what the standards ask for,
raises `AuthServerUnavailable`; the gates then refuse.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from demo.shop.bounded_http import AuthServerUnavailable, BoundedClient
from demo.shop.catalog import LIMITS, say
from demo.shop.signatures import Signatures

VerificationKey = ECKey | RSAKey
T = TypeVar("T")


@dataclass(frozen=True)
class Metadata:
    """What the shop needs of the authorization server's metadata."""

    jwks_uri: str
    introspection_endpoint: str
    token_exchange_endpoint: str | None = None
    """Its token endpoint, None where that exchanges no tokens (RFC 8693)."""
    purchases: str | None = None
    """Where a human is asked to approve one purchase, for a client that cannot ask; None where nowhere."""


PURCHASES: Final = "purchase_approval_endpoint"


class AuthServer(BoundedClient):
    """One issuer, found by its URL alone; what is read of it is kept for a while, and nothing of a failure."""

    def __init__(
        self, issuer: str, *, timeout: float, clock: Callable[[], float] = time.time, at: str | None = None
    ) -> None:
        super().__init__(issuer, timeout=timeout, clock=clock, at=at)
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[dict[str, VerificationKey], float] | None = None
        self._looked_at = float("-inf")
        self._look_failed: AuthServerUnavailable | None = None
        self._failed: tuple[AuthServerUnavailable, float] | None = None
        self._asking = asyncio.Lock()
        self.signatures = Signatures()
        """Which of its keys signed which token."""
        self.secret_in_form = False
        """Whether it has taken the shop's credentials in the form, last."""
        self.used_at = float("-inf")
        """When a token that it signed was last shown here, by `time.monotonic`."""
        self.before_asking: Callable[[], Awaitable[None]] = _nothing
        """To be awaited before it is asked about a token."""

    async def metadata(self) -> Metadata:
        """The authorization server's metadata, read once and again when it is old.

        Raises:
            AuthServerUnavailable: it cannot be read, or is another issuer's (RFC 8414 section 3.3).
        """
        wanted_at = time.monotonic()
        async with self._asking:
            if self._metadata is None or time.monotonic() - self._metadata[1] > LIMITS.keys_seconds:
                self._metadata = (await self._once(self._read_metadata(), wanted_at), time.monotonic())
            return self._metadata[0]

    async def key(self, kid: str | None) -> VerificationKey | None:
        """The key called `kid`; with None, the only key there is. None when the authorization server has no such key.

        An unknown `kid` has the keys read once more: the authorization server may have rotated them.

        Raises:
            AuthServerUnavailable: the keys cannot be read, or could not be a moment ago: not to know is not to say no.
        """
        keys = await self._read_keys()
        if kid is not None and kid not in keys:
            keys = await self._look_again(kid)
        if kid is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(kid)

    def forget(self) -> None:
        """Read everything again next time: what was cached led nowhere."""
        self._metadata = None
        self._keys = None

    async def _read_metadata(self) -> Metadata:
        found, broken = None, False
        for url in metadata_urls(self.issuer):
            status, found = await self.ask("GET", url)
            if status == 200 and isinstance(found, dict):
                break
            broken = broken or status == 200 or status >= 500
        else:
            if broken:
                raise AuthServerUnavailable(say("metadata_unreadable"))
            raise AuthServerUnavailable(say("no_metadata"), lasting=True)
        if found.get("issuer") != self.issuer:
            raise AuthServerUnavailable(say("other_issuer"), lasting=True)
        grants = found.get("grant_types_supported")
        exchanges = isinstance(grants, list) and "urn:ietf:params:oauth:grant-type:token-exchange" in grants
        return Metadata(
            self._endpoint(found, "jwks_uri"),
            self._endpoint(found, "introspection_endpoint"),
            self._endpoint(found, "token_endpoint") if exchanges else None,
            self._endpoint(found, PURCHASES) if PURCHASES in found else None,
        )

    def _endpoint(self, metadata: dict[str, Any], name: str) -> str:
        url = metadata.get(name)
        if not isinstance(url, str):
            raise AuthServerUnavailable(say("no_endpoint", name=name), lasting=True)
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (scheme == "http" and urlsplit(self.issuer).scheme == "http"):
            raise AuthServerUnavailable(say("unsafe_endpoint", name=name), lasting=True)
        return url

    async def _look_again(self, kid: str) -> dict[str, VerificationKey]:
        keys = await self._read_keys()  # who came while another looked finds what that one has found
        if kid not in keys and time.monotonic() - self._looked_at > LIMITS.keys_again_seconds:
            self._look_failed = None
            try:
                keys = await self._read_keys(again=True)
            except AuthServerUnavailable as unknown:
                self._look_failed = unknown
            self._looked_at = time.monotonic()
        if kid not in keys and self._look_failed is not None:
            raise self._look_failed.with_traceback(None)
        return keys

    async def _read_keys(self, *, again: bool = False) -> dict[str, VerificationKey]:
        before, wanted_at = self._keys, time.monotonic()
        metadata = await self.metadata()
        async with self._asking:
            stale = self._keys is None or time.monotonic() - self._keys[1] > LIMITS.keys_seconds
            # Who waited here while another read them need not read them again.
            if stale or (again and self._keys is before):
                self._keys = (await self._once(self._fetch_keys(metadata.jwks_uri), wanted_at), time.monotonic())
            assert self._keys is not None
            return self._keys[0]

    async def _fetch_keys(self, uri: str) -> dict[str, VerificationKey]:
        status, found = await self.ask("GET", uri)
        listed = found.get("keys") if isinstance(found, dict) else None
        if status != 200 or not isinstance(listed, list):
            raise AuthServerUnavailable(say("keys_unreadable"))
        return _usable(listed)

    async def _once(self, asking: Coroutine[Any, Any, T], wanted_at: float) -> T:
        """Ask, unless another has asked in vain since `wanted_at`: in line, each who waits would wait longer."""
        if self._failed is not None and self._failed[1] >= wanted_at:
            asking.close()
            raise self._failed[0].with_traceback(None)
        try:
            return await asking
        except AuthServerUnavailable as unknown:
            self._failed = (unknown, time.monotonic())
            raise


async def _nothing() -> None:
    return


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata may stand: RFC 8414 section 3.1 (before the issuer's path), then OpenID Connect
    Discovery section 4 (after it)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def _usable(listed: list[Any]) -> dict[str, VerificationKey]:
    """Public keys that may verify signatures. Symmetric ones are none of ours: what verifies with such a key could
    have been signed by anybody who reads the JWKS."""
    keys: dict[str, VerificationKey] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") not in ("EC", "RSA"):
            continue
        members = {name: value for name, value in entry.items() if value is not None}  # null is absent
        if members.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(members)
            key.ensure_kid()
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # RFC 7517 section 5: a key that cannot be used is ignored, the others are not.
        if isinstance(key, ECKey | RSAKey) and key.kid is not None:
            keys[key.kid] = key
    return keys
