"""The official TypeScript SDK, both versions, buys at the protected door after a login, and through the bridge."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers.installed import Peers
from tests.peers.person import Person
from tests.peers.running import running
from tests.unit.bridge.hosts import bridge_to
from tests.unit.bridge.test_bridge_host import log_in

TOOLS = {"listMcpShopInventory", "buyMcpShopItem", "listMcpShopOrders", "getUserInfo"}
SHOPPER = ("shop:read", "orders:read", "shop:buy")
VERSIONS = pytest.mark.parametrize(("version", "revision"), [("v1", "2025-11-25"), ("v2", "2026-07-28")])


@VERSIONS
def test_it_buys_after_one_login_of_its_own_and_steps_up_for_what_a_shopper_does_not_need(
    peers: Peers, server: str, alice: Callable[[str], None], version: str, revision: str
) -> None:
    with running(peers.script("http_client.mjs", version, f"{server}/mcp"), os.environ) as peer:
        alice(json.loads(peer.line('"open"'))["open"])
        alice(json.loads(peer.line('"open"'))["open"])  # who the user is, is another scope
        found = json.loads(peer.line('"tools"'))
        assert peer.end() == 0, peer.said
    assert found["protocol"] == revision
    assert set(found["tools"]) >= TOOLS
    assert found["inventory"]["items"]
    assert found["loginsToBuy"] == 1
    assert found["bought"]["order"]["user"] == "user_alice"
    assert found["bought"]["order"]["id"] in [order["id"] for order in found["orders"]["orders"]]
    assert found["user"]["username"] == "alice@example.com"
    assert found["logins"] == 2


def test_the_consent_page_names_the_peer_as_it_calls_itself_and_a_denial_reaches_it(peers: Peers, server: str) -> None:
    with running(peers.script("http_client.mjs", "v2", f"{server}/mcp"), os.environ) as peer:
        page = Person("alice@example.com").decide(json.loads(peer.line('"open"'))["open"], approve=False)
        assert json.loads(peer.line('"denied"'))["denied"] == "access_denied"
        assert peer.end() == 0, peer.said
    assert "A peer of the TypeScript SDK" in page.client_name
    # It asks for what the refusal named, which is what a shopper needs, and no more.
    assert {"shop:read", "orders:read", "shop:buy"} <= set(page.scopes) <= {*SHOPPER, "offline_access"}
    assert page.limit == "50.00 USD"


@VERSIONS
def test_as_a_host_of_the_bridge_it_lists_and_buys(
    peers: Peers, server: str, tmp_path: Path, version: str, revision: str
) -> None:
    state = tmp_path / "state"
    log_in(server, state)
    found = hosted(peers, server, state, version)
    assert found["protocol"] in (revision, None)
    assert set(found["tools"]) >= TOOLS
    assert found["error"] is None
    assert found["order"]["user"] == "user_alice"


def hosted(peers: Peers, server: str, state: Path, version: str) -> dict[str, Any]:
    """What the SDK finds as a host that starts the bridge."""
    bridge = bridge_to(server, state)
    assert bridge.env is not None
    root = str(Path(__file__).parents[2])
    command = peers.script("stdio_client.mjs", version, sys.executable, *bridge.args)
    with running(command, bridge.env, cwd=root) as peer:
        found = json.loads(peer.line('"tools"'))
        assert peer.end() == 0, peer.said
    assert isinstance(found, dict)
    return found
