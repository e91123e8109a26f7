"""Our agent at servers in TypeScript that nobody here wrote: the SDK's example, server-everything, better-auth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deputize.net import free_port
from tests.peers.installed import Peers
from tests.peers.our_agent import OurAgent, Server, listening, server
from tests.peers.visitor import visit

if TYPE_CHECKING:
    from tests.conftest import Command

EVERYTHING = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
EXAMPLE = "node_modules/@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js"


@pytest.fixture(scope="module")
def example(peers: Peers) -> Iterator[Server]:
    """The SDK's example with its in-memory provider, strict about the resource; it calls itself `localhost`."""
    port = free_port()
    ports = {"MCP_PORT": str(port), "MCP_AUTH_PORT": str(free_port())}
    command = peers.on_loopback(EXAMPLE, "--oauth", "--oauth-strict")
    with listening(command, os.environ | ports, f"http://localhost:{port}/mcp") as running:
        yield running


def test_a_login_then_the_tools_and_a_call_at_the_sdks_own_example(
    demo: Command, tmp_path: Path, example: Server
) -> None:
    agent = OurAgent(demo, example.url, tmp_path, visit)
    assert agent.says("tools", code=4)["status"] == 401
    agent.log_in()
    assert agent.says("whoami")["scopes"] == ["mcp:tools"]
    assert {"greet", "multi-greet"} <= {tool["name"] for tool in agent.says("tools")["tools"]}
    assert agent.says("call", "greet", "name=Alice")["text"] == "Hello, Alice!"
    # Its event store begins each stream with an event that has no data (MCP 2025-11-25, resumability).
    seen = {(one["standard"], one["what"]): one["supported"] for one in agent.says("doctor")["capabilities"]}
    assert seen["MCP 2025-11-25", "initialize handshake"] is True
    agent.says("logout")
    assert agent.says("call", "greet", "name=Alice", code=4)["status"] == 401


@pytest.mark.parametrize(("transport", "path"), [("streamableHttp", "/mcp"), ("sse", "/sse")])
def test_server_everything_is_called_without_a_login(
    demo: Command, tmp_path: Path, peers: Peers, transport: str, path: str
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}{path}"
    with listening(peers.on_loopback(EVERYTHING, transport), os.environ | {"PORT": str(port)}, url):
        agent = OurAgent(demo, url, tmp_path, visit)
        assert {"echo", "get-sum"} <= {tool["name"] for tool in agent.says("tools")["tools"]}
        assert agent.says("call", "echo", "message=hello")["text"] == "Echo: hello"
        assert "42" in agent.says("call", "get-sum", "a:=40", "b:=2")["text"]
        wrong = agent.says("call", "get-sum", "a=forty", code=1)
        assert wrong["status"] == 200 and wrong["is_error"]
        refused = demo("--server", url, "login")
        assert refused.returncode == 4 and "Traceback" not in refused.stderr


def test_a_login_with_a_bound_token_and_a_purchase_at_better_auth(demo: Command, tmp_path: Path, peers: Peers) -> None:
    """Its MCP plugin is authorization server and guard at once: it publishes that it takes DPoP (RFC 9449)."""
    with server(peers.script("servers/better_auth.mjs", str(free_port())), os.environ) as running:
        agent = OurAgent(demo, running.url, tmp_path, visit)
        assert agent.says("tools", code=4)["status"] == 401
        agent.log_in()
        who = agent.says("whoami")
        assert who["verified"] is True and not who["problems"]
        assert "cnf.jkt" in who["claims"]
        bought = agent.says("call", "buyMcpShopItem", "company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")
        assert bought["result"]["order"]["user"] == who["claims"]["sub"]
        assert agent.says("logout")["revoked_at_server"] is True
        assert agent.says("tools", code=4)["status"] == 401
