"""Hosts for the bridge: the SDK's stdio client at a `demo serve --stdio` of its own; and a server that is slow."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from deputize import StoredToken, TokenStore
from tests.conftest import ROOT

REVISIONS = ["2025-06-18", "2025-11-25", "2026-07-28"]
"""What hosts speak: two with the handshake, one without."""


def environment(state: Path) -> dict[str, str]:
    """A world for one bridge."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    return kept | {"DEMO_STATE": str(state), "DEMO_KEYRING": "0", "DEMO_PORT": "0"}


def bridge_to(server: str, state: Path, *more: str) -> StdioServerParameters:
    """How a host starts the bridge."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "demo", "serve", "--stdio", "--server", server, *more],
        env=environment(state),
        cwd=ROOT,
    )


def hosted(server: str, state: Path, revision: str, work: Callable[[Client], Any], **more: Any) -> Any:
    """Do `work` as a host that speaks `revision`."""

    async def main() -> Any:
        mode = revision if revision == "2026-07-28" else "legacy"
        with anyio.fail_after(90):
            async with Client(bridge_to(server, state), mode=mode, **more) as host:
                return await work(host)

    return anyio.run(main)


def keep_token(server: str, state: Path, access_token: str = "an-access-token-of-the-test") -> None:
    """Authority for a server that does not check it."""
    TokenStore.open(state, server=server, use_keyring=False).put(
        "agent",
        StoredToken(
            access_token=access_token,
            refresh_token=None,
            expires_at=time.time() + 600,
            scope=("all",),
            issuer=server,
            token_endpoint=f"{server}/token",
            client_id="demo-agent",
        ),
    )


@dataclass
class Slow:
    """What the slow server saw."""

    url: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)


@contextmanager
def slow_server() -> Iterator[Slow]:
    """A server of the SDK's whose tools take their time, and that repeats what it should keep to itself."""
    seen = Slow()
    server = MCPServer("slow", log_level="ERROR")

    @server.tool()
    async def climb(steps: int, context: Context[Any, Any]) -> str:
        """Climb, and say how far."""
        for step in range(1, steps + 1):
            await context.report_progress(step, steps, f"step {step}")
        return "up"

    @server.tool()
    async def wait() -> str:
        """Wait for ever."""
        seen.begun.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            seen.cancelled.set()
            raise
        return "never"

    @server.tool()
    async def repeat(context: Context[Any, Any]) -> str:
        """Repeat the caller's credentials."""
        return f"you said {context.headers['authorization']}" if context.headers else "no headers"

    @server.resource("note://one")
    def note() -> str:
        """A note."""
        return "a note"

    @server.prompt()
    def greet(name: str) -> str:
        """A greeting."""
        return f"Greet {name}."

    app = server.streamable_http_app(streamable_http_path="/mcp")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        seen.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        runner = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not runner.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield seen
        finally:
            runner.should_exit = True
            runner.force_exit = True
            thread.join(timeout=10)
