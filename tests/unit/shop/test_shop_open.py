"""The open door: the same tools, and nobody can say who."""

from __future__ import annotations

from typing import Any

import pytest

OPEN: dict[str, Any] = {"token": None, "path": "/open/mcp"}


def structured(answer: Any) -> dict[str, Any]:
    result = answer.json()["result"]
    assert result["isError"] is False, result
    content: dict[str, Any] = result["structuredContent"]
    return content


def test_anybody_buys_and_everybody_reads_the_orders_but_not_the_addresses(world: Any) -> None:
    for number in range(12):
        order = structured(world.buy(**OPEN, mailingAddress=f"{number} Main St"))["order"]
        assert [order[name] for name in ("user", "agent", "consent", "balance", "spendingLimit")] == [None] * 5
    orders = structured(world.call("listMcpShopOrders", **OPEN))["orders"]
    assert [order["mailingAddress"] for order in orders] == ["(not shown at the open door)"] * 12
    assert structured(world.call("listMcpShopInventory", **OPEN))["items"][0]["stock"] == 88


def test_the_decision_says_that_nobody_was_asked(world: Any) -> None:
    answer = world.buy(**OPEN)
    meta = answer.json()["result"]["_meta"]
    assert meta["demo/limits"] == []
    decision = meta["demo/decision"]
    assert (decision["gate"], decision["rule"], decision["door"]) == ("door", "open.anonymous", "open")
    assert (decision["user"], decision["agent"], decision["consent"]) == (None, None, None)
    assert decision["order_id"] == structured(answer)["order"]["id"]
    assert answer.headers["demo-audit-id"] == decision["audit_id"]


def test_a_token_changes_nothing_here(world: Any) -> None:
    info = structured(world.call("getUserInfo", token=world.token(), path="/open/mcp"))
    assert info == {
        "user": None,
        "username": "anonymous",
        "name": None,
        "roles": [],
        "agent": None,
        "client": None,
        "session": None,
        "scopes": [],
        "mode": "normal",
    }
    assert world.authority.asked == []


def test_the_protected_doors_orders_are_not_shown_here(world: Any) -> None:
    world.buy(token=world.token())
    assert structured(world.call("listMcpShopOrders", **OPEN)) == {"orders": []}


def test_there_is_nobody_to_ban(world: Any) -> None:
    result = world.call("setDemoMode", {"mode": "banned"}, **OPEN).json()["result"]
    assert result["isError"] is True
    assert "nobody to ban" in result["content"][0]["text"]
    assert structured(world.call("clearDemoMode", **OPEN)) == {"user": None, "mode": "normal"}
    assert structured(world.call("prettyPlease", **OPEN))["user"] is None


def test_a_key_works_here_too(world: Any) -> None:
    first = structured(world.buy(**OPEN, key="k"))["order"]
    second = structured(world.buy(**OPEN, key="k"))["order"]
    assert (first["id"], first["replayed"], second["id"], second["replayed"]) == (first["id"], False, first["id"], True)
    assert structured(world.buy(token=world.token(), key="k"))["order"]["id"] != first["id"]


def test_the_stock_runs_out_here_and_nowhere_else(open_world: Any) -> None:
    world = open_world(stock=2, open_stock=1)
    structured(world.buy(**OPEN))
    result = world.buy(**OPEN).json()["result"]
    assert result["isError"] is True
    assert "sold out" in result["content"][0]["text"]
    token = world.token()
    assert structured(world.call("listMcpShopInventory", token=token))["items"][0]["stock"] == 2
    structured(world.buy(token=token))
    assert structured(world.call("listMcpShopInventory", **OPEN))["items"][0]["stock"] == 0


def test_it_can_be_switched_off_and_then_sells_and_lists_nothing(open_world: Any) -> None:
    world = open_world(open_door=False)
    for answer in (world.buy(**OPEN), world.call("listMcpShopOrders", **OPEN)):
        decision = answer.json()["error"]["data"]["decision"]
        assert (answer.status_code, decision["gate"], decision["rule"]) == (403, "door", "open.closed")
        assert "www-authenticate" not in answer.headers
    assert world.call("listMcpShopInventory", token=world.token()).status_code == 200


@pytest.mark.parametrize("body", [b"[]", b"{", b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]'])
def test_what_is_no_single_message_is_refused_here_too(world: Any, body: bytes) -> None:
    answer = world.http.post(f"{world.base}/open/mcp", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_a_real_client_of_any_revision_is_served(world: Any, mode: str) -> None:
    result = world.with_client("listMcpShopInventory", {}, token=None, mode=mode, path="/open/mcp")
    assert result.structured_content["items"][0]["price"] == {"amount": 2500, "currency": "USD"}
