"""A span for each HTTP request that this process serves, a child of the caller's (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from demo import tracing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UPKEEP: Final = frozenset(
    {
        *("/health", "/events", "/.well-known/ssf-configuration", "/ssf/streams", "/ssf/status", "/ssf/verify"),
        "/audit_logs/events",
    }
)
"""What servers ask each other by themselves: nobody's trace, unless it is part of one."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Served:
    """An ASGI wrapper: HTTP server spans of the semantic conventions.

    Args:
        routes: the paths that are served, each with the service whose it is. A request for another path has a span
            without it: who calls chooses it.
        other: whose those are.
    """

    def __init__(self, app: App, routes: Mapping[str, str], other: str) -> None:
        self._app = app
        self._routes = routes
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        known = path in self._routes
        if path in UPKEEP and not any(name == b"traceparent" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        told = method if method in _METHODS else "_OTHER"
        method = method if method in _METHODS else "HTTP"
        with tracing.span(
            f"{method} {path}" if known else method,
            kind="server",
            service=self._routes.get(path, self._other),
            within=scope["headers"],
            attributes={"http.request.method": told, "http.route": path if known else None},
        ) as span:

            async def answering(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.add({"http.response.status_code": message["status"]})
                    if message["status"] >= 500:  # of 4xx the one who called is at fault
                        span.add({"error.type": str(message["status"])})
                await send(message)

            await self._app(scope, receive, answering)
