"""Hosts in Python buy at the protected door after a login of their own, the consent page left as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.browser import opened, world
from tests.peers.installed import PythonPeers
from tests.peers.running import running


@pytest.mark.parametrize("host", ["sdk", "fastmcp", "openai-agents", "pydantic-ai"])
def test_it_buys_after_its_own_login(
    python_peers: PythonPeers, server: str, alice: Callable[[str], None], tmp_path: Path, host: str
) -> None:
    with running(python_peers.script("hosts/own_login.py", host, f"{server}/mcp"), world(tmp_path)) as peer:
        alice(opened(tmp_path))
        order = json.loads(peer.line('"order"'))["order"]
        assert peer.end() == 0, peer.said
    assert order["user"] == "user_alice"
