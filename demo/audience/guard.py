"""What stands before every page that a network reaches: the right host, no form from elsewhere, short requests, and so
many a while from one address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WINDOW_SECONDS: Final = 10
A_PHONE: Final = 150
"""Requests of one address in a window: a person who taps as fast as they can makes a third of it."""
A_ROOM: Final = 6000
"""The same where many share one address: behind a tunnel, or trying out on loopback."""
LONGEST_TARGET: Final = 2048
"""Bytes of path and query."""
LONGEST_BODY: Final = 8 * 1024
"""Bytes of a form; the largest honest one is a tenth of it."""


class Guard:
    """ASGI wrapper: refuses a foreign `Host` (421, DNS rebinding), a form from another page (403), what is too long
    or does not say how long it is (411, 413, 414), other methods (405) and too many requests (429).

    Args:
        app: what is behind it.
        hosts: the `Host` headers that are ours.
        origins: the origins of our pages.
        shared: whether one address stands for many people.
    """

    def __init__(self, app: App, hosts: frozenset[str], origins: frozenset[str], *, shared: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins
        self._rate = FixedWindowRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerSecond(A_ROOM if shared else A_PHONE, WINDOW_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._objection(scope)
        if refused is not None:
            await _refuse(send, *refused)
            return
        await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        method, origin = scope["method"], headers.get(b"origin")
        if headers.get(b"host", "") not in self._hosts:
            return 421, "This is another server."
        if method not in ("GET", "HEAD", "POST"):
            return 405, "Only GET and POST are used here."
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
            return 414, "The address is too long."
        if method == "POST" and origin is not None and origin not in self._origins:
            return 403, "This form came from somewhere else. Nothing was changed."
        # No longer body follows: the HTTP parser sees to it, but takes a body in chunks in spite of a length that is
        # given as well (RFC 9112 section 6.3), and of every method.
        length = headers.get(b"content-length", "" if method == "POST" else "0")
        if b"transfer-encoding" in headers or not length.isdecimal():
            return 411, "A form says how long it is."
        if len(length) > 9 or int(length) > LONGEST_BODY:
            return 413, "The form is too long."
        client = (scope.get("client") or ("",))[0]
        if not self._rate.hit(self._item, client):
            return 429, "Too many requests from your address. Wait ten seconds."
        return None


class Named:
    """ASGI wrapper for what is on loopback: a foreign `Host` is refused (421), and nothing else looked at."""

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and dict(scope["headers"]).get(b"host", b"").decode("latin-1") not in self._hosts:
            await _refuse(send, 421, "This is another server.")
            return
        await self._app(scope, receive, send)


async def _refuse(send: Send, status: int, why: str) -> None:
    body = why.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    if status == 429:
        headers.append((b"retry-after", str(WINDOW_SECONDS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
