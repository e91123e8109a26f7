"""What `demo orders` and `demo call` draw: tables and fields, and no JSON, which is for --json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Command
from tests.unit.client.fakes import Reply, Request, faking

SHIRT = ("company=Acme", "mailingAddress=1 Main Street", "tshirtSize=M")


def test_orders_are_a_table_by_the_humans_name(demo: Command) -> None:
    assert demo("login", "--browser").returncode == 0
    assert demo("call", "buyMcpShopItem", *SHIRT).returncode == 0
    shown = demo("orders").stdout
    (row,) = [line for line in shown.splitlines() if "1 Main Street" in line]
    assert row.split()[1] == "Alice"
    assert not set('{}[]"') & set(shown)
    told = json.loads(demo("orders", "--json").stdout)["result"]["orders"]
    assert [one["mailingAddress"] for one in told] == ["1 Main Street"]


def test_at_the_open_door_nobody_bought(demo: Command) -> None:
    assert demo("call", "--open", "buyMcpShopItem", *SHIRT).returncode == 0
    (row,) = [line for line in demo("orders", "--open").stdout.splitlines() if "Acme" in line]
    assert row.split()[1] == "nobody"


def test_of_a_table_that_has_no_room_the_price_is_still_seen(demo: Command) -> None:
    assert demo("login", "--browser").returncode == 0
    (item,) = json.loads(demo("call", "listMcpShopInventory", "--json").stdout)["result"]["items"]
    shown = dict(
        line.split(maxsplit=1) for line in demo("call", "listMcpShopInventory").stdout.splitlines()[2:] if line
    )
    assert {*item} <= {*shown}
    assert (shown["price"], shown["stock"]) == ("25.00 USD", str(item["stock"]))


RESULTS: dict[str, dict[str, Any]] = {
    "structured": {
        "content": [],
        "structuredContent": {"items": [{"name": "Cap", "price": {"amount": 5, "currency": "USD"}}]},
    },
    "as text": {
        "content": [{"type": "text", "text": '{"items": [{"name": "Cap", "price": {"amount": 5, "currency": "USD"}}]}'}]
    },
}


@pytest.mark.parametrize("kind", RESULTS)
def test_any_servers_data_is_drawn_and_not_written_as_json(demo: Command, kind: str) -> None:
    def answer(request: Request) -> Reply:
        given = RESULTS[kind] if b"tools/call" in request.body else {"tools": []}
        whole = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **given}
        return Reply(json={"jsonrpc": "2.0", "id": request.json.get("id"), "result": whole})

    with faking() as fake:
        fake.on["/mcp"] = answer
        shown = demo("--server", f"{fake.base}/mcp", "call", "stock")
    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["name", "price"] in rows
    assert ["Cap", "0.05", "USD"] in rows
