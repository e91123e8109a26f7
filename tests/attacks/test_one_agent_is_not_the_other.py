"""One agent of a human is not the other: it neither reads what that one ordered, and whereto, nor shuts it out.

Each has a consent of its own. Whoever reaches one of them, by its model or by its token, has what that one was granted
and nothing of the others' (RFC 9700 section 2.3: the privileges of a token restricted to what its client needs).
"""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from demo.shop import ledger
from tests.unit.shop.conftest import World, auth_server_running, open_world, world

__all__ = ["auth_server_running", "open_world", "world"]

HOME = "7 Her Own Street, Springfield"
OTHER = {"act": {"sub": "agent_other"}, "sid": "session_2", "consent_id": "consent_2", "client_id": "other-agent"}
NAMELESS = {**OTHER, "act": None}
"""A token that names no agent instance, such as AuthKit's: its client stands in for one."""


def structured(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["structuredContent"]


def addresses(world: World, **claims: Any) -> list[str]:
    found = structured(world.call("listMcpShopOrders", token=world.token(**claims)))["orders"]
    return [order["mailingAddress"] for order in found]


@pytest.mark.parametrize("other", [OTHER, NAMELESS], ids=["another agent", "a client without an instance"])
def test_an_agent_does_not_read_what_another_ordered(world: World, other: dict[str, Any]) -> None:
    structured(world.buy(token=world.token(), mailingAddress=HOME))
    assert addresses(world, **other) == []
    structured(world.buy(token=world.token(**other), mailingAddress="1 Edge Row, Lisbon"))
    assert addresses(world, **other) == ["1 Edge Row, Lisbon"]
    assert addresses(world) == [HOME]
    every = {**other, "scope": "orders:read orders:all"}
    assert addresses(world, **every) == [HOME, "1 Edge Row, Lisbon"], "where the human granted that"
    assert addresses(world, **every, sub="user_grace") == [], "and never another human's"


def test_the_scope_for_every_order_opens_no_tool_by_itself(world: World) -> None:
    answer = world.call("listMcpShopOrders", token=world.token(scope="orders:all"))
    assert (answer.status_code, answer.json()["error"]["data"]["scope"]) == (403, "orders:read")


@pytest.mark.parametrize("other", [OTHER, NAMELESS], ids=["another agent", "a client without an instance"])
def test_an_agent_does_not_shut_another_one_out_nor_let_it_in(world: World, other: dict[str, Any]) -> None:
    structured(world.call("setDemoMode", {"mode": "banned"}, token=world.token(**other)))
    structured(world.buy(token=world.token()))
    for tool in ("clearDemoMode", "prettyPlease"):
        structured(world.call(tool, token=world.token()))
    assert world.call("listMcpShopInventory", token=world.token(**other)).status_code == 403
    structured(world.call("prettyPlease", token=world.token(**other)))
    structured(world.call("listMcpShopInventory", token=world.token(**other)))


def test_a_shop_that_keeps_no_agents_apart_shows_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests would see there."""
    honest = ledger.orders

    def all_of_them(connection: sqlite3.Connection, *, user: str | None, through: object = None) -> Any:
        return honest(connection, user=user)

    monkeypatch.setattr(ledger, "orders", all_of_them)
    monkeypatch.setattr(ledger, "is_banned", lambda connection, _: _anybody(connection))
    structured(world.buy(token=world.token(), mailingAddress=HOME))
    assert addresses(world, **OTHER) == [HOME]
    structured(world.call("setDemoMode", {"mode": "banned"}, token=world.token(**OTHER)))
    assert world.call("listMcpShopInventory", token=world.token()).status_code == 403


def _anybody(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM shop_banned").fetchone() is not None
