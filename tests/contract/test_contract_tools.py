"""The seven tools: names, scopes, schemas, and what each gives, at both doors."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from demo.shop.catalog import say
from tests.contract.shapes import Shape, shape
from tests.contract.shop import SHIRT, Shop, fault_of, order_of, result, structured

DOORS = ("/mcp", "/open/mcp")
SIZES = frozenset({"S", "M", "L", "XL", "XXL"})
MODE = frozenset({"normal", "banned"})
PRICE = {"amount": "integer", "currency": "string"}
MAYBE = ("null", "string")
ORDER: Shape = {
    "id": "string",
    "item": "string",
    "size": "string",
    "company": "string",
    "price": PRICE,
    "at": "number",
    "user": MAYBE,
    "agent": MAYBE,
    "consent": MAYBE,
    "replayed": "boolean",
    "cancelled": "boolean",
    "balance": ("null", PRICE),
    "spendingLimit": ("null", PRICE),
}
TOOLS: dict[str, tuple[str, bool, Shape, Shape]] = {
    "listMcpShopInventory": (
        "shop:read",
        True,
        {},
        {
            "items": [
                {
                    "id": "string",
                    "name": "string",
                    "description": "string",
                    "sizes": ["string"],
                    "price": PRICE,
                    "stock": "integer",
                }
            ]
        },
    ),
    "buyMcpShopItem": (
        "shop:buy",
        False,
        {
            "company": "string>=1<=100",
            "mailingAddress": "string>=1<=300",
            "tshirtSize": SIZES,
            "idempotencyKey?": ("null", "string<=200"),
        },
        {"order": ORDER},
    ),
    "listMcpShopOrders": ("orders:read", True, {}, {"orders": [{**ORDER, "mailingAddress": "string"}]}),
    "getUserInfo": (
        "user:read",
        True,
        {},
        {
            "user": MAYBE,
            "username": "string",
            "name": MAYBE,
            "roles": ["string"],
            "agent": MAYBE,
            "client": MAYBE,
            "session": MAYBE,
            "scopes": ["string"],
            "mode": MODE,
        },
    ),
    "setDemoMode": ("demo:mode", False, {"mode": MODE}, {"user": MAYBE, "mode": MODE}),
    "clearDemoMode": ("demo:mode", False, {}, {"user": MAYBE, "mode": MODE}),
    "prettyPlease": ("shop:read", False, {}, {"user": MAYBE, "mode": MODE, "message": "string"}),
}
"""Tool to scope, whether it only reads, what it takes, and what it gives (docs/wire.md)."""


def listed(shop: Shop, door: str) -> dict[str, dict[str, Any]]:
    token = shop.token() if door == "/mcp" else None
    tools = shop.post("tools/list", token=token, path=door).json()["result"]["tools"]
    return {tool["name"]: tool for tool in tools}


@pytest.mark.parametrize("door", DOORS)
def test_there_are_seven_tools_with_their_scopes_and_schemas(shop: Shop, door: str) -> None:
    tools = listed(shop, door)
    assert list(tools) == list(TOOLS)
    for name, (scope, reads, takes, gives) in TOOLS.items():
        tool = tools[name]
        Draft202012Validator.check_schema(tool["inputSchema"])
        Draft202012Validator.check_schema(tool["outputSchema"])
        assert tool["_meta"]["demo/scope"] == scope
        assert tool["annotations"]["readOnlyHint"] is reads
        assert (name, shape(tool["inputSchema"])) == (name, takes)
        assert (name, shape(tool["outputSchema"])) == (name, gives)
        assert tool["description"]


@pytest.mark.parametrize("door", DOORS)
def test_every_result_fits_its_schema(shop: Shop, door: str) -> None:
    token = shop.token() if door == "/mcp" else None
    for name, tool in listed(shop, door).items():
        arguments = {"buyMcpShopItem": SHIRT, "setDemoMode": {"mode": "normal"}}.get(name, {})
        answer = shop.call(name, arguments, token=token, path=door)
        if door == "/open/mcp" and name == "setDemoMode":
            assert fault_of(answer) == say("nobody_to_ban")
            continue
        Draft202012Validator(tool["outputSchema"]).validate(structured(answer))


def test_the_inventory_has_one_shirt_in_five_sizes_and_its_stock_runs_down(shop: Shop) -> None:
    token = shop.token()
    (before,) = structured(shop.call("listMcpShopInventory", token=token))["items"]
    assert {name: before[name] for name in ("id", "name", "sizes", "price")} == {
        "id": "conference-t-shirt",
        "name": "Conference T-shirt",
        "sizes": ["S", "M", "L", "XL", "XXL"],
        "price": {"amount": 2500, "currency": "USD"},
    }
    order_of(shop.buy(token=token))
    (after,) = structured(shop.call("listMcpShopInventory", token=token))["items"]
    assert after["stock"] == before["stock"] - 1
    (open_item,) = structured(shop.call("listMcpShopInventory", token=None, path="/open/mcp"))["items"]
    assert {**open_item, "stock": 0} == {**after, "stock": 0}, "the same shirt, of the open door's own stock"


def test_who_is_calling_is_told_as_the_token_and_the_auth_server_say(shop: Shop) -> None:
    grant = shop.grant(scope=("openid", "user:read"))
    assert structured(shop.call("getUserInfo", token=shop.token(grant))) == {
        "user": "user_alice",
        "username": "alice@example.com",
        "name": "Alice Ito",
        "roles": ["customer"],
        "agent": grant.agent,
        "client": grant.session.client_id,
        "session": grant.session.id,
        "scopes": ["openid", "user:read"],
        "mode": "normal",
    }


def test_orders_are_the_agents_own_and_the_humans_where_that_was_granted(shop: Shop) -> None:
    first, second = shop.grant(), shop.grant(scope=("shop:read", "orders:read", "orders:all", "shop:buy"))
    mine = [
        order_of(shop.buy(token=shop.token(grant), mailingAddress="Žluťoučká 7, Brno"))["id"]
        for grant in (first, second)
    ]
    own = structured(shop.call("listMcpShopOrders", token=shop.token(first)))["orders"]
    assert [order["id"] for order in own] == mine[:1]
    every = structured(shop.call("listMcpShopOrders", token=shop.token(second)))["orders"]
    found = [order for order in every if order["id"] in mine]
    assert [order["id"] for order in found] == mine
    assert {order["mailingAddress"] for order in found} == {"Žluťoučká 7, Brno"}
    assert {order["user"] for order in every} == {"user_alice"}
    grace = shop.grant(human="grace@example.com", scope=("orders:read", "orders:all"))
    theirs = structured(shop.call("listMcpShopOrders", token=shop.token(grace)))
    assert not {order["id"] for order in theirs["orders"]} & set(mine)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"tshirtSize": "XS"}, "tshirtSize"),
        ({"company": ""}, "company"),
        ({"company": "x" * 101}, "company"),
        ({"company": "\x1b[31mred"}, "company"),
        ({"company": "   "}, "company"),
        ({"mailingAddress": "x" * 301}, "mailingAddress"),
        ({"mailingAddress": "\u202eevil"}, "mailingAddress"),
        ({"company": 7}, "company"),
        ({"idempotencyKey": "k" * 201}, "idempotencyKey"),
        ({"idempotencyKey": "a\x00b"}, "idempotencyKey"),
    ],
)
def test_bad_arguments_are_named_and_cost_nothing(shop: Shop, changes: dict[str, Any], names: str) -> None:
    token = shop.token()
    answer = shop.buy(token=token, **changes)
    assert names in fault_of(answer)
    limits = {one["name"]: one["used"] for one in result(answer)["_meta"]["demo/limits"]}
    assert limits == {"rate": 1, "purchases": 0, "spending": 0}


def test_a_missing_argument_is_named(shop: Shop) -> None:
    fault = fault_of(shop.call("buyMcpShopItem", {"company": "A", "tshirtSize": "S"}, token=shop.token()))
    assert "mailingAddress" in fault


def test_an_unknown_tool_is_an_error_that_names_it(shop: Shop) -> None:
    answer = shop.call("stealShirt", token=shop.token())
    assert "stealShirt" in fault_of(answer)
    assert result(answer)["_meta"]["demo/decision"]["tool"] == "stealShirt"


def test_an_address_in_lines_is_kept_in_one(shop: Shop) -> None:
    token = shop.token()
    order = order_of(shop.buy(token=token, company="  ACME  ", mailingAddress="1 Main St\n\n Springfield "))
    assert order["company"] == "ACME"
    (kept,) = [
        one for one in structured(shop.call("listMcpShopOrders", token=token))["orders"] if one["id"] == order["id"]
    ]
    assert kept["mailingAddress"] == "1 Main St, Springfield"


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
@pytest.mark.parametrize("door", DOORS)
def test_the_sdks_own_client_calls_at_every_revision_it_speaks(shop: Shop, mode: str, door: str) -> None:
    token = shop.token() if door == "/mcp" else None
    bought = shop.by_the_sdk("buyMcpShopItem", SHIRT, token=token, mode=mode, path=door)
    assert bought.structured_content is not None and bought.meta is not None
    assert bought.meta["demo/decision"]["order_id"] == bought.structured_content["order"]["id"]
    found = shop.by_the_sdk("getUserInfo", {}, token=token, mode=mode, path=door)
    assert found.structured_content is not None
    assert found.structured_content["username"] == ("alice@example.com" if token else "anonymous")
    assert found.meta is not None
    assert found.meta["demo/decision"]["verdict"] == "allow"
