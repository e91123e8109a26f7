"""Buying where the contract does not reach: sold out by many at once, a gate that is broken, a crash in between."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from demo.shop import ledger, policy
from demo.shop.catalog import say


def order_of(answer: Any) -> dict[str, Any]:
    result = answer.json()["result"]
    assert result["isError"] is False, result
    order: dict[str, Any] = result["structuredContent"]["order"]
    return order


def error_of(answer: Any) -> str:
    result = answer.json()["result"]
    assert result["isError"] is True
    return str(result["content"][0]["text"])


def count(world: Any, what: str = "count(*)") -> int:
    with closing(sqlite3.connect(world.database)) as connection:
        return int(connection.execute(f"SELECT {what} FROM shop_orders").fetchone()[0])


def stock(world: Any) -> int:
    with closing(sqlite3.connect(world.database)) as connection:
        return int(connection.execute("SELECT left FROM shop_stock").fetchone()[0])


def uses(answer: Any) -> dict[str, tuple[int, int]]:
    return {use["name"]: (use["used"], use["limit"]) for use in answer.json()["result"]["_meta"]["demo/limits"]}


def test_many_agents_at_once_buy_exactly_the_stock(open_world: Any) -> None:
    world = open_world(stock=5, answer_timeout=20.0)
    tokens = [world.token(consent_id=f"c{number}", act={"sub": f"a{number}"}) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda token: world.buy(token=token), tokens))
    errors = [error_of(answer) for answer in answers if answer.json()["result"]["isError"]]
    assert errors == [say("sold_out")] * 7
    assert (count(world), stock(world)) == (5, 0)
    sold_out = next(answer for answer in answers if answer.json()["result"]["isError"])
    assert uses(sold_out)["purchases"] == (0, 2)


def test_the_ledger_holds_where_the_gates_are_broken(
    world: Any, limit_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "check_quota", lambda case, usage: None)
    monkeypatch.setattr(policy, "check_spending", lambda case, usage: None)
    for _ in range(2):
        order_of(world.buy(token=world.token()))
    answer = world.buy(token=world.token())
    assert error_of(answer) == policy.deny("limits.quota", "ledger").reason
    decision = answer.json()["result"]["_meta"]["demo/decision"]
    assert (decision["verdict"], decision["rule"]) == ("deny", "limits.quota")
    assert world.audit(world.token())[-1]["rule"] == "limits.quota"
    poor = world.token(consent_id="poor", authorization_details=[limit_of(1, f"{world.base}/mcp")])
    assert error_of(world.buy(token=poor)) == policy.deny("limits.spending", "ledger").reason
    unlimited = world.token(consent_id="x", authorization_details=None)
    assert error_of(world.buy(token=unlimited)) == policy.deny("limits.consent", "ledger").reason
    assert count(world) == 2


def test_an_order_that_cannot_be_finished_is_not_begun(
    world: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = ledger._receipt

    def crash(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("power cut")

    monkeypatch.setattr(ledger, "_receipt", crash)
    assert "power cut" not in error_of(world.buy(token=world.token(), key="k"))
    assert (count(world), stock(world)) == (0, 100)
    entry = world.audit(world.token())[-1]
    assert (entry["tool"], entry["verdict"], entry["order_id"]) == ("buyMcpShopItem", "allow", None)
    monkeypatch.setattr(ledger, "_receipt", real)
    assert order_of(world.buy(token=world.token(), key="k"))["replayed"] is False
    assert capfd.readouterr() == ("", "")
