"""Our agent logs in and calls at servers in Python that nobody here wrote: the official SDK's, and FastMCP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.conftest import HANGS
from tests.peers.installed import PythonPeers
from tests.peers.our_agent import OurAgent, Server, server
from tests.peers.visitor import visit

if TYPE_CHECKING:
    from tests.conftest import Command

SHOP = {"listMcpShopInventory", "buyMcpShopItem", "listMcpShopOrders"}


@pytest.fixture(scope="module")
def simple_auth(python_peers: PythonPeers) -> Iterator[Server]:
    with server(python_peers.script("servers/simple_auth.py"), os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def fastmcp(python_peers: PythonPeers) -> Iterator[Server]:
    with server(python_peers.script("servers/fastmcp_shop.py"), os.environ) as running:
        yield running


@pytest.mark.parametrize(("name", "scopes"), [("simple_auth", {"user"}), ("fastmcp", {"shop:read", "shop:buy"})])
def test_a_login_then_the_tools_and_a_purchase(
    request: pytest.FixtureRequest, demo: Command, tmp_path: Path, name: str, scopes: set[str]
) -> None:
    agent = OurAgent(demo, request.getfixturevalue(name).url, tmp_path, visit)
    assert agent.says("tools", code=4)["status"] == 401
    agent.log_in()
    assert set(agent.says("whoami")["scopes"]) == scopes
    assert {tool["name"] for tool in agent.says("tools")["tools"]} == SHOP
    bought = agent.buy()
    assert bought["status"] == 200 and not bought["is_error"]
    assert bought["result"]["order"] in agent.says("orders")["result"]["orders"]


def test_what_is_revoked_at_fastmcp_is_refused_there(demo: Command, tmp_path: Path, fastmcp: Server) -> None:
    agent = OurAgent(demo, fastmcp.url, tmp_path, visit)
    agent.log_in()
    token = agent.says("token", "--show")["access_token"]
    assert listed(fastmcp.url, token) == 200
    assert agent.says("logout")["revoked_at_server"] is True
    assert listed(fastmcp.url, token) == 401


def test_where_nothing_can_be_revoked_a_logout_says_so(demo: Command, tmp_path: Path, simple_auth: Server) -> None:
    agent = OurAgent(demo, simple_auth.url, tmp_path, visit)
    agent.log_in()
    token = agent.says("token", "--show")["access_token"]
    said = agent.says("logout")
    assert said["revoked_at_server"] is False and "RFC 7009" in said["why"]
    assert listed(simple_auth.url, token) == 200
    assert agent.says("tools", code=4)["status"] == 401


def listed(url: str, token: str) -> int:
    """The status with which a server answers `initialize` under a token, asked without our agent."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    with httpx2.Client(timeout=HANGS, trust_env=False) as http:
        return http.post(url, json=body, headers=headers).status_code
