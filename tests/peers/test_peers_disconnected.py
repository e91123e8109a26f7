"""A host that is killed while its human decides: whatever is done with that page, its next start logs in and buys."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from deputize.net import free_port
from tests.peers.browser import OPENED, opened, world
from tests.peers.installed import Peers, PythonPeers
from tests.peers.person import Person
from tests.peers.running import running
from tests.peers.test_peers_remote import REMOTE, hosted

ANSWERED = pytest.mark.parametrize("answer", [None, True, False], ids=["left open", "approved", "denied"])


@ANSWERED
def test_the_python_sdk(
    python_peers: PythonPeers, server: str, alice: Callable[[str], None], tmp_path: Path, answer: bool | None
) -> None:
    command, environment = python_peers.script("hosts/own_login.py", "sdk", f"{server}/mcp"), world(tmp_path)
    with running(command, environment):
        page = opened(tmp_path)
    abandoned(page, answer, tmp_path)
    with running(command, environment) as peer:
        alice(opened(tmp_path))
        assert json.loads(peer.line('"order"'))["order"]["user"] == "user_alice"
        assert peer.end() == 0, peer.said


@ANSWERED
def test_mcp_remote(
    peers: Peers, server: str, alice: Callable[[str], None], tmp_path: Path, answer: bool | None
) -> None:
    command = peers.program(REMOTE, REMOTE, f"{server}/mcp", str(free_port()), "--transport", "http-only")
    environment = world(tmp_path)
    with running(command, environment):
        page = opened(tmp_path)
    abandoned(page, answer, tmp_path)
    listed, bought = hosted(command, environment, tmp_path / "log", lambda: alice(opened(tmp_path)))
    assert "buyMcpShopItem" in listed
    assert bought.structured_content["order"]["user"] == "user_alice"


def abandoned(page: str, answer: bool | None, folder: Path) -> None:
    """What the human does with a page whose host is gone; the answer reaches nobody."""
    (folder / OPENED).unlink()
    if answer is not None:
        with pytest.raises(urllib.error.URLError):
            Person("alice@example.com").decide(page, approve=answer)
