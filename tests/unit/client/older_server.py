"""A server of the MCP SDK that knows no revision after 2025-11-25: `older_server.py PORT [stream]`.

What is not of its time it refuses in the words of SDK 1.30, whose servers were like that; the rest is the SDK's.
With `stream` it answers in event streams and keeps sessions, as those servers did by default.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

server = MCPServer("older", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


seen: Counter[str] = Counter()


@server.tool()
def visits(context: Context[Any, Any]) -> str:
    """How often this was called in this session."""
    session = (context.headers or {}).get("mcp-session-id", "")
    seen[session] += 1
    return str(seen[session])


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("no \x1b[31mred\x1b[0m today")


stream = "stream" in sys.argv
inner = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=not stream, json_response=not stream)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse what is newer, serve the rest."""
    told = dict(scope.get("headers", ())).get(b"mcp-protocol-version", b"").decode()
    if told and told not in HANDSHAKE_PROTOCOL_VERSIONS:
        error = {"code": -32600, "message": f"Bad Request: Unsupported protocol version: {told}"}
        refusal = JSONResponse({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)
        await refusal(scope, receive, send)
    else:
        await inner(scope, receive, send)


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
