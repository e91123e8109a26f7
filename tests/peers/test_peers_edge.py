"""An agent on Cloudflare's Agents SDK, under workerd, logs in by itself and buys; nothing of the SDK is overridden."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from deputize.net import free_port
from tests.peers.browser import SECONDS, world
from tests.peers.installed import Peers
from tests.peers.our_agent import listening

AT = "/agents/shopper/one"


@pytest.fixture
def agent(peers: Peers, tmp_path: Path) -> Iterator[httpx2.Client]:
    """The Worker, by HTTP."""
    port = free_port()
    config = peers.folder / "hosts" / "edge" / "wrangler.jsonc"
    where = ["--port", str(port), "--ip", "127.0.0.1", "--inspector-port", str(free_port())]
    kept = ["--persist-to", str(tmp_path / "state"), "--show-interactive-dev-session=false"]
    command = peers.program("wrangler", "wrangler", "dev", "--config", str(config), *where, *kept)
    quiet = {"WRANGLER_SEND_METRICS": "false", "CI": "true"}
    with (
        listening(command, world(tmp_path) | quiet, f"http://127.0.0.1:{port}"),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False) as http,
    ):
        yield http


def test_after_its_own_login_it_buys(agent: httpx2.Client, server: str, alice: Callable[[str], None]) -> None:
    connected = agent.get(f"{AT}/connect", params={"shop": f"{server}/mcp"}).json()
    assert connected["state"] == "authenticating"
    alice(connected["open"])
    deadline = time.monotonic() + SECONDS
    while (found := agent.get(AT).json())["state"] != "ready":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert "buyMcpShopItem" in found["tools"]
    assert agent.get(f"{AT}/buy").json()["order"]["user"] == "user_alice"
