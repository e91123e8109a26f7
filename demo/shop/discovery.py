"""The authority as the shop knows it: its metadata (RFC 8414) and its keys (RFC 7517), both read over HTTP.

The shop is told an issuer and nothing else. Whatever cannot be read, or is not what the standards ask for,
raises `AuthorityUnknown`; the gates then refuse.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from demo import __version__

FRESH_SECONDS: Final = 300.0
"""How long metadata and keys are believed before they are read again: a withdrawn key is not trusted longer."""

REFETCH_SECONDS: Final = 1.0
"""At most one look for an unknown `kid` in this time, so that made-up ones do not flood the authority."""

MOST_BYTES: Final = 256 * 1024
"""An answer of the authority longer than this is not one."""

VerificationKey = ECKey | RSAKey


class AuthorityUnknown(Exception):
    """The authority could not be asked, or what answered is not the authority; the message is a few words.

    Args:
        lasting: asking again will not help: the shop's settings and the authority do not fit together.
    """

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


@dataclass(frozen=True)
class Metadata:
    """What the shop needs of the authority's metadata."""

    jwks_uri: str
    introspection_endpoint: str


class Authority:
    """One issuer, asked over HTTP, each question bounded by `timeout` seconds.

    An async context manager: the connection pool lives as long as it is entered. `skew` is the authority's clock minus
    `clock` in seconds, by the `Date` of its last answer; None before the first.
    """

    def __init__(self, issuer: str, *, timeout: float, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self.skew: float | None = None
        self._timeout = timeout
        self._clock = clock
        self._client: httpx2.AsyncClient | None = None
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[dict[str, VerificationKey], float] | None = None
        self._looked_at = float("-inf")
        self._look_failed: AuthorityUnknown | None = None
        self._looking = asyncio.Lock()
        self._failed: tuple[AuthorityUnknown, float] | None = None
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> Authority:
        # No redirects: an authority is where it says it is. A proxy of the environment is not for loopback.
        self._client = httpx2.AsyncClient(
            timeout=self._timeout,
            follow_redirects=False,
            trust_env=not _is_loopback(self.issuer),
            headers={"user-agent": f"machine-identity-demo-shop/{__version__}", "accept": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def ask(self, method: str, url: str, **options: Any) -> tuple[int, Any]:
        """One HTTP question whose answer is JSON; gives status and the parsed body (None when it is not JSON).

        Raises:
            AuthorityUnknown: no answer in time, or too long a one.
        """
        if self._client is None:
            raise AuthorityUnknown("the shop is not running")
        body = b""
        try:
            # The client's own timeouts are per read; this one bounds an answer that comes drop by drop.
            with anyio.fail_after(self._timeout):
                async with self._client.stream(method, url, **options) as response:
                    self._heard(response.headers)
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MOST_BYTES:
                            raise AuthorityUnknown("its answer is too long")
        except (TimeoutError, httpx2.TimeoutException):
            raise AuthorityUnknown("it did not answer in time") from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise AuthorityUnknown("no connection") from None
        try:
            return response.status_code, json.loads(body)
        except (ValueError, RecursionError):
            return response.status_code, None

    async def metadata(self) -> Metadata:
        """The authority's metadata, read once and again when it is old.

        Raises:
            AuthorityUnknown: it cannot be read, or is another issuer's (RFC 8414 section 3.3).
        """
        wanted_at = time.monotonic()
        async with self._asking:
            if self._metadata is None or time.monotonic() - self._metadata[1] > FRESH_SECONDS:
                # Whoever waited here while another asked in vain has its answer: in line, each would wait longer.
                if self._failed is not None and self._failed[1] >= wanted_at:
                    raise self._failed[0].with_traceback(None)
                try:
                    self._metadata = (await self._read_metadata(), time.monotonic())
                except AuthorityUnknown as unknown:
                    self._failed = (unknown, time.monotonic())
                    raise
            return self._metadata[0]

    async def key(self, kid: str | None) -> VerificationKey | None:
        """The key called `kid`; with None, the only key there is. None when the authority has no such key.

        An unknown `kid` has the keys read once more: the authority may have rotated them.

        Raises:
            AuthorityUnknown: the keys cannot be read, or could not be a moment ago: not to know is not to say no.
        """
        keys = await self._read_keys()
        if kid is not None and kid not in keys:
            keys = await self._look_again(kid)
        if kid is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(kid)

    def forget(self) -> None:
        """Read everything anew next time: what was cached led nowhere."""
        self._metadata = None
        self._keys = None

    def _heard(self, headers: Mapping[str, str]) -> None:
        try:
            date = parsedate_to_datetime(headers.get("date", "")).timestamp()
            age = float(headers.get("age") or 0)  # RFC 9111 section 5.1: an answer from a cache has an old date
        except (ValueError, TypeError, OverflowError):
            return
        # `Date` is cut to whole seconds: half a second is the expected loss.
        self.skew = date + age + 0.5 - self._clock()

    async def _read_metadata(self) -> Metadata:
        found, broken = None, False
        for url in metadata_urls(self.issuer):
            status, found = await self.ask("GET", url)
            if status == 200 and isinstance(found, dict):
                break
            broken = broken or status == 200 or status >= 500
        else:
            if broken:
                raise AuthorityUnknown("its metadata cannot be read")
            raise AuthorityUnknown("it has no metadata", lasting=True)
        if found.get("issuer") != self.issuer:
            raise AuthorityUnknown("its metadata names another issuer", lasting=True)
        return Metadata(self._endpoint(found, "jwks_uri"), self._endpoint(found, "introspection_endpoint"))

    def _endpoint(self, metadata: dict[str, Any], name: str) -> str:
        url = metadata.get(name)
        if not isinstance(url, str):
            raise AuthorityUnknown(f"its metadata has no {name}", lasting=True)
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (scheme == "http" and urlsplit(self.issuer).scheme == "http"):
            raise AuthorityUnknown(f"its {name} is unsafe", lasting=True)
        return url

    async def _look_again(self, kid: str) -> dict[str, VerificationKey]:
        # In line: who comes while another looks finds what that one has found.
        async with self._looking:
            keys = await self._read_keys()
            if kid in keys:
                return keys
            if time.monotonic() - self._looked_at > REFETCH_SECONDS:
                self._look_failed = None
                try:
                    keys = await self._read_keys(again=True)
                except AuthorityUnknown as unknown:
                    self._look_failed = unknown
                self._looked_at = time.monotonic()
            if self._look_failed is not None:
                raise self._look_failed.with_traceback(None)
            return keys

    async def _read_keys(self, *, again: bool = False) -> dict[str, VerificationKey]:
        before = self._keys
        metadata = await self.metadata()
        async with self._asking:
            stale = self._keys is None or time.monotonic() - self._keys[1] > FRESH_SECONDS
            # Whoever waited here while another read them need not read them again.
            if stale or (again and self._keys is before):
                status, found = await self.ask("GET", metadata.jwks_uri)
                listed = found.get("keys") if isinstance(found, dict) else None
                if status != 200 or not isinstance(listed, list):
                    raise AuthorityUnknown("its keys cannot be read")
                self._keys = (_usable(listed), time.monotonic())
            assert self._keys is not None
            return self._keys[0]


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
    have been signed by whoever reads the JWKS."""
    keys: dict[str, VerificationKey] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") not in ("EC", "RSA") or entry.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(entry)
            key.ensure_kid()
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # RFC 7517 section 5: a key that cannot be used is ignored, the others are not.
        if isinstance(key, ECKey | RSAKey) and key.kid is not None:
            keys[key.kid] = key
    return keys


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
