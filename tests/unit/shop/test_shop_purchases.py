"""Buying: exact to the order and the cent, however many ask at once and whatever happens in between."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from demo.shop import ledger, policy


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


def test_an_order_tells_who_bought_what_through_whom_and_what_is_left(world: Any) -> None:
    answer = world.buy(token=world.token())
    order = order_of(answer)
    assert {name: order[name] for name in ("item", "size", "company", "user", "agent", "consent", "replayed")} == {
        "item": "Conference T-shirt",
        "size": "M",
        "company": "ACME",
        "user": "user_alice",
        "agent": "agent_alice",
        "consent": "consent_1",
        "replayed": False,
    }
    assert order["price"] == {"amount": 2500, "currency": "USD"}
    assert order["balance"] == {"amount": 7500, "currency": "USD"}
    assert order["spendingLimit"] == {"amount": 10000, "currency": "USD"}
    assert uses(answer) == {"rate": (1, 10), "purchases": (1, 2), "spending": (2500, 10000)}
    assert answer.json()["result"]["_meta"]["demo/decision"]["order_id"] == order["id"]
    assert stock(world) == 99


def test_the_third_purchase_of_a_consent_is_refused(world: Any, said: Any) -> None:
    for _ in range(2):
        order_of(world.buy(token=world.token()))
    answer = world.buy(token=world.token())
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers
    assert said(answer)["rule"] == "limits.quota"
    assert said(answer)["reason"] == "2 of 2 purchases of this consent are used."
    order_of(world.buy(token=world.token(consent_id="consent_2")))
    assert count(world) == 3


def test_the_humans_spending_limit_holds_to_the_cent(world: Any, said: Any, limit_of: Any) -> None:
    def token(amount: Any, consent: str, **changes: Any) -> str:
        detail = limit_of(amount, f"{world.base}/mcp", **changes)
        issued: str = world.token(authorization_details=[detail], consent_id=consent)
        return issued

    answer = world.buy(token=token(2499, "a"))
    assert (answer.status_code, said(answer)["rule"]) == (403, "limits.spending")
    assert said(answer)["reason"] == "24.99 USD is left of the human's limit; this costs 25.00 USD."
    assert order_of(world.buy(token=token(2500, "b")))["balance"]["amount"] == 0
    assert said(world.buy(token=token(2500, "b")))["rule"] == "limits.spending"
    assert count(world) == 1


@pytest.mark.parametrize(
    ("amount", "changes"),
    [
        ("10000", {}),
        (True, {}),
        (10000.0, {}),
        (-1, {}),
        (None, {}),
        (10000, {"type": "another"}),
        (10000, {"actions": ["look"]}),
        (10000, {"actions": "buy"}),
        (10000, {"locations": ["https://other.example/mcp"]}),
        (10000, {"limit": {"amount": 10000, "currency": "JPY"}}),
        (10000, {"limit": 10000}),
    ],
)
def test_a_limit_that_is_not_clearly_ours_allows_no_spending(
    world: Any, said: Any, limit_of: Any, amount: Any, changes: dict[str, Any]
) -> None:
    detail = limit_of(amount, f"{world.base}/mcp", **changes)
    answer = world.buy(token=world.token(authorization_details=[detail]))
    assert (answer.status_code, said(answer)["rule"]) == (403, "limits.consent")


@pytest.mark.parametrize("details", [None, [], {}, "all", [7]])
def test_without_a_consented_limit_nothing_is_spent(world: Any, said: Any, details: Any) -> None:
    answer = world.buy(token=world.token(authorization_details=details))
    assert (answer.status_code, said(answer)["rule"]) == (403, "limits.consent")
    assert count(world) == 0


def test_of_several_limits_the_smallest_holds(world: Any, said: Any, limit_of: Any) -> None:
    details = [limit_of(amount, f"{world.base}/mcp") for amount in (9000, 2000)]
    assert said(world.buy(token=world.token(authorization_details=details)))["rule"] == "limits.spending"


def test_many_at_once_buy_exactly_the_quota(open_world: Any, said: Any) -> None:
    world = open_world(rate_calls=100, purchases_per_consent=3, answer_timeout=20.0)
    token = world.token()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: world.buy(token=token), range(24)))
    bought = [order_of(answer) for answer in answers if answer.status_code == 200]
    assert len(bought) == 3
    assert sorted(order["balance"]["amount"] for order in bought) == [2500, 5000, 7500]
    assert {said(answer)["rule"] for answer in answers if answer.status_code != 200} == {"limits.quota"}
    assert (count(world), stock(world)) == (3, 97)


def test_many_at_once_never_spend_more_than_the_limit(open_world: Any, said: Any, limit_of: Any) -> None:
    world = open_world(rate_calls=100, purchases_per_consent=50, answer_timeout=20.0)
    token = world.token(authorization_details=[limit_of(12_499, f"{world.base}/mcp")])
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: world.buy(token=token), range(24)))
    assert count(world) == 4
    assert {said(answer)["rule"] for answer in answers if answer.status_code != 200} == {"limits.spending"}


def test_many_at_once_with_one_key_are_one_order(open_world: Any) -> None:
    world = open_world(rate_calls=100, answer_timeout=20.0)
    token = world.token()
    with ThreadPoolExecutor(12) as pool:
        orders = [order_of(answer) for answer in pool.map(lambda _: world.buy(token=token, key="k"), range(20))]
    assert len({order["id"] for order in orders}) == 1
    assert [order["replayed"] for order in orders].count(False) == 1
    assert {order["balance"]["amount"] for order in orders} == {7500}
    assert count(world) == 1


def test_many_agents_at_once_buy_exactly_the_stock(open_world: Any) -> None:
    world = open_world(stock=5, answer_timeout=20.0)
    tokens = [world.token(consent_id=f"c{number}", act={"sub": f"a{number}"}) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda token: world.buy(token=token), tokens))
    errors = [error_of(answer) for answer in answers if answer.json()["result"]["isError"]]
    assert errors == ["The shirt is sold out. Nothing was bought or charged."] * 7
    assert (count(world), stock(world)) == (5, 0)
    sold_out = next(answer for answer in answers if answer.json()["result"]["isError"])
    assert uses(sold_out)["purchases"] == (0, 2)


def test_a_replay_passes_quota_and_balance_but_not_the_rate(open_world: Any, said: Any) -> None:
    world = open_world(rate_calls=4)
    token = world.token()
    first = order_of(world.buy(token=token, key="one"))
    order_of(world.buy(token=token, key="two"))
    assert said(world.buy(token=token, key="three"))["rule"] == "limits.quota"
    again = order_of(world.buy(token=token, key="one"))
    assert again == {**first, "replayed": True, "balance": {"amount": 5000, "currency": "USD"}}
    assert said(world.buy(token=token, key="one"))["rule"] == "limits.rate"


def test_a_key_that_comes_again_with_other_arguments_buys_nothing(world: Any) -> None:
    order_of(world.buy(token=world.token(), key="k"))
    answer = world.buy(token=world.token(), key="k", tshirtSize="L")
    assert "idempotencyKey" in error_of(answer)
    assert uses(answer)["purchases"] == (1, 2)
    assert count(world) == 1


def test_a_key_belongs_to_its_agent_and_outlives_its_consent(world: Any) -> None:
    first = order_of(world.buy(token=world.token(), key="k"))
    later = order_of(world.buy(token=world.token(consent_id="consent_2"), key="k"))
    assert (later["id"], later["replayed"]) == (first["id"], True)
    other = order_of(world.buy(token=world.token(act={"sub": "agent_2"}, consent_id="consent_3"), key="k"))
    assert (other["id"] != first["id"], other["replayed"]) == (True, False)


def test_a_restart_keeps_orders_keys_and_quota(world: Any, said: Any) -> None:
    first = order_of(world.buy(token=world.token(), key="k"))
    world.restart(stock=7)
    assert order_of(world.buy(token=world.token(), key="k"))["id"] == first["id"]
    order_of(world.buy(token=world.token()))
    world.restart()
    assert said(world.buy(token=world.token()))["rule"] == "limits.quota"
    assert stock(world) == 98
    orders = world.call("listMcpShopOrders", token=world.token()).json()["result"]["structuredContent"]["orders"]
    assert [order["mailingAddress"] for order in orders] == ["1 Main St", "1 Main St"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("tshirtSize", "XS"),
        ("tshirtSize", "m"),
        ("tshirtSize", None),
        ("company", ""),
        ("company", "   "),
        ("company", "x" * 101),
        ("company", "ACME\x1b[2J"),
        ("company", "ACME\nInc"),
        ("company", "ACME\u202egnp"),
        ("company", "\ud800"),
        ("company", 7),
        ("mailingAddress", ""),
        ("mailingAddress", "\n , \n"),
        ("mailingAddress", "x" * 301),
        ("mailingAddress", "1 Main St\x00"),
        ("mailingAddress", ["1 Main St"]),
        ("idempotencyKey", "x" * 201),
        ("idempotencyKey", "a\x00b"),
        ("idempotencyKey", "\ud800"),
        ("idempotencyKey", 7),
    ],
)
def test_bad_arguments_cost_nothing_and_are_named(world: Any, argument: str, value: Any) -> None:
    answer = world.buy(token=world.token(), **{argument: value})
    assert argument in error_of(answer)
    assert "pydantic" not in error_of(answer)
    assert uses(answer)["purchases"] == (0, 2)
    assert (count(world), stock(world)) == (0, 100)


@pytest.mark.parametrize("absent", ["company", "mailingAddress", "tshirtSize"])
def test_a_missing_argument_is_named(world: Any, absent: str) -> None:
    arguments = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}
    del arguments[absent]
    assert absent in error_of(world.call("buyMcpShopItem", arguments, token=world.token()))
    assert count(world) == 0


def test_an_address_in_lines_is_kept_in_one(world: Any) -> None:
    order_of(world.buy(token=world.token(), mailingAddress="ACME Inc,\r\n1 Main St\nSpringfield"))
    orders = world.call("listMcpShopOrders", token=world.token()).json()["result"]["structuredContent"]["orders"]
    assert orders[0]["mailingAddress"] == "ACME Inc, 1 Main St, Springfield"


def test_a_human_sees_their_own_orders_and_nobody_elses(world: Any) -> None:
    order_of(world.buy(token=world.token()))
    order_of(world.buy(token=None, path="/open/mcp"))
    grace = world.token(sub="user_grace", act={"sub": "agent_grace"}, consent_id="consent_g")
    assert world.call("listMcpShopOrders", token=grace).json()["result"]["structuredContent"] == {"orders": []}
    other_agent = world.token(act={"sub": "agent_2"}, consent_id="consent_2")
    mine = world.call("listMcpShopOrders", token=other_agent).json()["result"]["structuredContent"]["orders"]
    assert [order["user"] for order in mine] == ["user_alice"]


def test_the_ledger_holds_where_the_gates_are_broken(
    world: Any, limit_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "check_quota", lambda case, usage: None)
    monkeypatch.setattr(policy, "check_spending", lambda case, usage: None)
    for _ in range(2):
        order_of(world.buy(token=world.token()))
    answer = world.buy(token=world.token())
    assert "used up" in error_of(answer)
    decision = answer.json()["result"]["_meta"]["demo/decision"]
    assert (decision["verdict"], decision["rule"]) == ("deny", "limits.quota")
    assert world.audit(world.token())[-1]["rule"] == "limits.quota"
    poor = world.token(consent_id="poor", authorization_details=[limit_of(1, f"{world.base}/mcp")])
    assert "limit" in error_of(world.buy(token=poor))
    assert "consented to no" in error_of(world.buy(token=world.token(consent_id="x", authorization_details=None)))
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


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_a_real_client_of_any_revision_buys(world: Any, mode: str) -> None:
    arguments = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "XL"}
    result = world.with_client("buyMcpShopItem", arguments, token=world.token(), mode=mode)
    assert result.is_error is False
    assert result.structured_content["order"]["size"] == "XL"
    assert result.meta["demo/decision"]["order_id"] == result.structured_content["order"]["id"]
