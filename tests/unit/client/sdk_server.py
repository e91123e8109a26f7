"""A server of the MCP SDK in a process of its own: `sdk_server.py PORT today|session|sse`.

`today` speaks every revision; `session` and `sse` none after 2025-11-25, the one with sessions and streams, the other
over the HTTP+SSE transport of 2024-11-05 at `/sse`. With `sse`, a bearer token is wanted where the path has one in
its name: `/guarded/sse`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

server = MCPServer("sdk", log_level="ERROR")


class Size(BaseModel):
    """What is asked in mid-call."""

    size: str
    colour: str = Field(default="red")


def ask_size() -> Elicit[Size]:
    """Ask the human."""
    return Elicit("Which \x1b[31msize\x1b[0m?", Size)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def shirt(size: Annotated[Size, Resolve(ask_size)]) -> str:
    """A shirt in the size that the human names."""
    return f"a {size.colour} shirt in {size.size}"


def no_newer(inner: ASGIApp) -> ASGIApp:
    """Refuse what is newer than the handshake, as servers of SDK 1.30 do."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told = dict(scope.get("headers", ())).get(b"mcp-protocol-version", b"").decode()
        if told and told not in HANDSHAKE_PROTOCOL_VERSIONS:
            error = {"code": -32600, "message": f"Bad Request: Unsupported protocol version: {told}"}
            await JSONResponse({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)(scope, receive, send)
        else:
            await inner(scope, receive, send)

    return app


def guarded(inner: ASGIApp) -> ASGIApp:
    """Refuse a GET or a POST to `messages` without a bearer token; a POST to the stream's URL is not allowed at all."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        elsewhere = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/sse")
        if scope["type"] == "http" and b"authorization" not in headers and not elsewhere:
            challenge = {"www-authenticate": 'Bearer realm="events", scope="shop:read"'}
            await JSONResponse({"error": "unauthorized"}, 401, challenge)(scope, receive, send)
        else:
            await inner(scope, receive, send)

    return app


def application(kind: str) -> ASGIApp:
    """The server of this kind."""
    if kind == "sse":
        return Starlette(routes=[Mount("/guarded", guarded(server.sse_app())), Mount("/", server.sse_app())])
    inner = server.streamable_http_app(streamable_http_path="/mcp")
    return no_newer(inner) if kind == "session" else inner


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
