"""Our agent at a certified OpenID provider, npm's oidc-provider, in front of a shop on the TypeScript SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deputize.net import free_port
from tests.peers.installed import Peers
from tests.peers.our_agent import OurAgent, Server, server
from tests.peers.visitor import visit

if TYPE_CHECKING:
    from tests.conftest import Command

AS_ALICE = partial(visit, login="alice", password="any")
BUY = ("call", "buyMcpShopItem", "company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")


@contextmanager
def provider(peers: Peers, kind: str, seconds: int = 600) -> Iterator[Server]:
    """The provider, which hands out access tokens of one kind that live some seconds, and its shop."""
    ports = str(free_port()), str(free_port())
    with server(peers.script("servers/oidc_provider.mjs", *ports, str(seconds), kind), os.environ) as running:
        yield running


@pytest.mark.parametrize("kind", ["bearer", "dpop"])
def test_a_login_then_a_call_then_more_is_asked_for_and_bought(
    demo: Command, tmp_path: Path, peers: Peers, kind: str
) -> None:
    with provider(peers, kind) as running:
        agent = OurAgent(demo, running.url, tmp_path, AS_ALICE)
        agent.log_in("--browser")
        who = agent.says("whoami")
        assert who["verified"] is True and not who["problems"]
        assert who["claims"]["sub"] == "alice"
        assert ("cnf.jkt" in who["claims"]) is (kind == "dpop")
        assert agent.says("call", "listMcpShopInventory")["result"]["items"]
        assert agent.says(*BUY, code=4)["status"] == 403
        agent.in_a_terminal(*BUY, "--step-up")
        assert [order["user"] for order in agent.says("orders")["result"]["orders"]] == ["alice"]
        assert agent.says("logout")["revoked_at_server"] is True


def test_a_login_by_the_device_flow_then_a_call(demo: Command, tmp_path: Path, peers: Peers) -> None:
    with provider(peers, "bearer") as running:
        agent = OurAgent(demo, running.url, tmp_path, AS_ALICE)
        agent.log_in("--device")
        assert agent.says("whoami")["claims"]["sub"] == "alice"
        assert agent.says("call", "listMcpShopInventory")["result"]["items"]


@pytest.mark.parametrize("kind", ["bearer", "dpop"])
def test_asking_who_one_is_does_not_cost_the_grant(demo: Command, tmp_path: Path, peers: Peers, kind: str) -> None:
    """A refresh token is for one use there: the second use of one ends the whole grant (RFC 9700 section 4.14.2)."""
    with provider(peers, kind, seconds=6) as running:  # so short that each command renews it first
        agent = OurAgent(demo, running.url, tmp_path, AS_ALICE)
        agent.log_in("--browser")
        for _ in range(2):
            shown = demo("--server", running.url, "whoami")
            assert shown.returncode == 0, shown.stderr
            assert "alice" in shown.stdout
        assert agent.says("call", "listMcpShopInventory")["result"]["items"]
