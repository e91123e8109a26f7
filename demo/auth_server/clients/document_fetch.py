"""Fetching a client ID metadata document: one GET to a place that is public, bounded in time, size and trust."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from starlette.concurrency import run_in_threadpool

from .public_addresses import is_public

if TYPE_CHECKING:
    import httpx2

SECONDS = 5.0
"""For all of it: name, connection, headers, body. A human waits in front of a browser meanwhile."""
LONGEST_DOCUMENT = 5 * 1024
"""Bytes, as draft-ietf-oauth-client-id-metadata-document recommends."""
LONGEST_URL = 512
"""Characters of a client ID: it stands in tokens, pages and the audit log."""
DEFAULT_FRESH_SECONDS = 300.0
"""How long a document counts that says nothing about it."""
LONGEST_FRESH_SECONDS = 24 * 3600.0
AT_ONCE = 4
"""Documents that are fetched at the same time."""

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+/[A-Za-z0-9\-._~:/?@!$&'()*+,;=%\[\]]+")


class DocumentRefused(Exception):
    """The document cannot be had, or may not be asked for; the message says why, in ASCII."""


class DocumentOutOfReach(DocumentRefused):
    """Nothing answered for it: its host, or the network of this server, is not there."""


@dataclass(frozen=True)
class Document:
    """What was fetched, and for how many seconds it may be used again."""

    content: dict[str, Any]
    fresh_seconds: float


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host.

    Raises:
        OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_client_url(client_id: str) -> bool:
    """Whether a client ID claims to be a URL at all, by which a document is meant."""
    return client_id.startswith(("https://", "http://"))


@cache
def _default_tls() -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()


@dataclass(frozen=True)
class Fetcher:
    """Fetches documents without becoming anybody's means to reach what they cannot (SSRF).

    An `https` URL is resolved once; every address must be public, and the connection goes to the one that was
    checked, so that a name cannot change its mind in between (DNS rebinding). `http` is for this server's own origin
    on loopback, without a query: at another port a GET from here would come without the marks (`Origin`,
    `Sec-Fetch-Site`) by which a server there refuses a web page's. No redirect is followed, no cookie or credential is
    sent, no proxy of the environment is asked.

    Args:
        own: this server's origins, if they are `http` on loopback; where it has none, `https` alone is asked.
        addresses: resolves a name; tests replace it.
        permitted: which addresses an `https` URL may have; tests replace it.
        tls: makes the TLS context; tests replace it.
    """

    own: frozenset[str]
    addresses: Callable[[str, int], Awaitable[list[str]]] = resolve
    permitted: Callable[[str], bool] = is_public
    tls: Callable[[], ssl.SSLContext] = _default_tls
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def fetch(self, url: str) -> Document:
        """The document at `url`, which is the client ID.

        Raises:
            DocumentOutOfReach: it does not answer, or not in time.
            DocumentRefused: the URL is not one for a client, its host is not to be asked, or what it answers is no
                JSON object of a bearable size.
        """
        self.check_url(url)
        try:
            async with asyncio.timeout(SECONDS), self.gate:
                return await self._get(url)
        except TimeoutError as error:
            raise DocumentOutOfReach(f"it did not answer within {SECONDS:.0f} seconds") from error

    def check_url(self, url: str) -> None:
        """Refuse what the draft does not let be a client ID, before anything is sent.

        Raises:
            DocumentRefused: naming what is wrong with it.
        """
        if len(url) > LONGEST_URL:
            raise DocumentRefused(f"a client ID is at most {LONGEST_URL} characters long")
        if "#" in url:
            raise DocumentRefused("a client ID has no fragment")
        if not _URL.fullmatch(url):
            raise DocumentRefused("a client ID of this kind is an https URL with a path, and names no user")
        try:
            parts = urlsplit(url)
            _ = parts.hostname, parts.port
        except ValueError as error:
            raise DocumentRefused("this client ID is no URL") from error
        if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
            raise DocumentRefused("a client ID has no . or .. in its path")
        if parts.scheme == "http" and (f"http://{parts.netloc.lower()}" not in self.own or parts.query):
            raise DocumentRefused("a client ID of this kind is https, or http at this server itself")

    async def _get(self, url: str) -> Document:
        import httpx2

        parts = urlsplit(url)
        host, target, extensions = parts.hostname or "", url, {}
        tls: ssl.SSLContext | bool = False
        if parts.scheme == "https":
            target = parts._replace(netloc=await self._address(host, parts.port or 443)).geturl()
            extensions = {"sni_hostname": host}
            tls = await run_in_threadpool(self.tls)  # reading the root certificates takes a while
        headers = {"Host": parts.netloc, "Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with (
                httpx2.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=SECONDS) as http,
                http.stream("GET", target, headers=headers, extensions=extensions) as response,
            ):
                _check_head(response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > LONGEST_DOCUMENT:
                        raise DocumentRefused(f"it is longer than {LONGEST_DOCUMENT} bytes")
        except httpx2.TimeoutException as error:
            raise DocumentOutOfReach(f"it did not answer within {SECONDS:.0f} seconds") from error
        except (httpx2.HTTPError, OSError) as error:
            raise DocumentOutOfReach("its host cannot be reached, or does not speak HTTP as it should") from error
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DocumentRefused("it is not JSON") from error
        if not isinstance(content, dict):
            raise DocumentRefused("it is not a JSON object")
        return Document(content, fresh_seconds(response.headers.get("cache-control", "")))

    async def _address(self, host: str, port: int) -> str:
        """Where to connect for an https URL, as it stands in a URL."""
        try:
            found = await self.addresses(host, port)
        except (OSError, UnicodeError) as error:
            raise DocumentOutOfReach("its host has no address") from error
        if not found or not all(self.permitted(address) for address in found):
            raise DocumentRefused("its host is not on the public internet")
        return f"[{found[0]}]:{port}" if ":" in found[0] else f"{found[0]}:{port}"


def _check_head(response: httpx2.Response) -> None:
    if response.status_code != 200:
        raise DocumentRefused("it was not answered with 200 (redirects are not followed)")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise DocumentRefused("its content type is not JSON")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise DocumentRefused("it came compressed, although that was not asked for")


def fresh_seconds(cache_control: str) -> float:
    """For how long a document with this `Cache-Control` is used again: from not at all to a day (RFC 9111)."""
    directives = [part.strip().lower() for part in cache_control.split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    for directive in directives:
        name, _, value = directive.partition("=")
        value = value.strip('"')
        if name == "max-age" and value.isascii() and value.isdigit():
            return min(float(value[:12]), LONGEST_FRESH_SECONDS)
    return DEFAULT_FRESH_SECONDS
