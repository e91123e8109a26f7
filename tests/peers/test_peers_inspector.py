"""The MCP Inspector's CLI at the protected door: by a login of its own, by a token, and by the bridge."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deputize.net import free_port
from tests.conftest import ROOT
from tests.peers.browser import opened, world
from tests.peers.installed import Peers
from tests.peers.running import Running, running
from tests.unit.bridge.hosts import environment
from tests.unit.bridge.test_bridge_host import log_in

INSPECTOR = "@modelcontextprotocol/inspector"
BUY = ["--method", "tools/call", "--tool-name", "buyMcpShopItem", "--tool-arg"]
SHIRT = ["company=Acme", "mailingAddress=1 Main St", "tshirtSize=M"]
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


def inspector(peers: Peers, *arguments: str) -> list[str]:
    """Its command."""
    return peers.program(INSPECTOR, "mcp-inspector", "--cli", *arguments)


def told(peer: Running) -> str:
    """All that it said, when it has ended well."""
    assert peer.end() == 0, "".join(peer.said)
    return "".join(peer.said)


@ERAS
def test_it_logs_in_by_itself_and_buys(
    peers: Peers, server: str, alice: Callable[[str], None], tmp_path: Path, era: str
) -> None:
    callback = f"http://127.0.0.1:{free_port()}/oauth/callback"
    asked = ["--transport", "http", "--protocol-era", era, "--callback-url", callback, *BUY, *SHIRT]
    # Without a terminal it starts a login only where it may open a browser.
    with running(
        inspector(peers, f"{server}/mcp", *asked), world(tmp_path) | {"MCP_AUTO_OPEN_ENABLED": "true"}
    ) as peer:
        alice(opened(tmp_path))
        assert '"user_alice"' in told(peer)


@ERAS
def test_it_buys_with_the_token_of_this_machines_agent(peers: Peers, server: str, tmp_path: Path, era: str) -> None:
    token = log_in(server, tmp_path / "state", bound=False).access_token
    header = ["--header", f"Authorization: Bearer {token}"]
    asked = ["--transport", "http", "--protocol-era", era, *header, *BUY, *SHIRT]
    with running(inspector(peers, f"{server}/mcp", *asked), os.environ | {"HOME": str(tmp_path)}) as peer:
        said = told(peer)
    assert '"user_alice"' in said
    assert token not in said


@ERAS
def test_with_the_printed_configuration_it_buys_through_the_bridge(
    peers: Peers, server: str, tmp_path: Path, era: str
) -> None:
    from demo.cli.connecting import bridge_command
    from demo.cli.hosts import Target
    from demo.cli.hosts import inspector as configured
    from demo.settings import Settings

    state = tmp_path / "state"
    log_in(server, state)
    command = bridge_command(Settings(server=server, state=state))
    file = tmp_path / "mcp.json"
    file.write_text(configured(Target("shop", f"{server}/mcp", command)).content, "utf-8")
    assert json.loads(file.read_text("utf-8"))["mcpServers"]["shop"]["type"] == "stdio"
    asked = ["--config", str(file), "--server", "shop", "--protocol-era", era, *BUY, *SHIRT]
    its = environment(state) | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with running(inspector(peers, *asked), its) as peer:
        assert '"user_alice"' in told(peer)
