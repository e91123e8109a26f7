"""A span for each HTTP request that this process sends, which carries its trace to the server (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx2

    from demo.tracing.exporting import Tracing
    from deputize.http.exchange import HttpExchange

_PATHS: Final = frozenset(
    {
        *("/mcp", "/open/mcp", "/audit", "/audit/log", "/audit/checkpoint", "/audit/keys", "/audit/dispatch"),
        *("/account/sessions", "/account/answers", "/account/revoke", "/account/reinstate", "/account/door"),
        *("/policy/explain", "/warehouse/orders", "/health", "/client.json"),
        *(f"/oauth2/{name}" for name in ("token", "jwks", "register", "revoke", "introspect", "userinfo", "purchases")),
        *("/oauth2/authorize", "/oauth2/device_authorization"),
    }
)


def shown(path: str) -> str:
    """As much of a path as may be in a trace: the paths of this project and of the standards. Other servers' may hold
    what opens them (`https://mcp.example.com/s/SECRET/mcp`), and so may what stands behind a well-known one."""
    if path in _PATHS:
        return path
    parts = path.split("/")
    return "/".join(parts[:3]) if parts[1:2] == [".well-known"] else ""


def watch(tracing: Tracing) -> None:
    """Trace what the agent's transport sends from now on (HTTP client spans of the semantic conventions)."""

    from deputize.http.transport import trace_requests

    def begin(request: httpx2.Request) -> Callable[[HttpExchange], None] | None:
        from demo.tracing.exporting import failed

        if not tracing.lasts():
            return None
        path = shown(request.url.path)
        span, headers = tracing.beside(
            f"{request.method} {path}".strip(),
            {
                "http.request.method": request.method,
                "server.address": request.url.host,
                "server.port": request.url.port or {"https": 443}.get(request.url.scheme, 80),
                "url.template": path or None,
            },
        )
        request.headers.update(headers)

        def end(exchange: HttpExchange) -> None:
            if exchange.status is not None:
                span.set_attribute("http.response.status_code", exchange.status)
            if exchange.error is not None:
                failed(span, "timeout" if exchange.late else "no_answer")
            elif exchange.status is not None and exchange.status >= 400:
                failed(span, str(exchange.status))
            span.end()

        return end

    trace_requests(begin)
