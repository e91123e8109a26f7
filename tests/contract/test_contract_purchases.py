"""Buying: a key makes it safe to ask twice, and an order leads back to the consent that allowed it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from demo.shop.catalog import say
from tests.contract.shop import Shop, at_once, fault_of, limits_of, order_of, refusal, result, structured

OPEN: dict[str, Any] = {"token": None, "path": "/open/mcp"}


def test_an_order_tells_who_bought_what_through_whom_under_which_consent(shop: Shop) -> None:
    grant = shop.grant()
    before = time.time()
    answer = shop.buy(token=shop.token(grant), company="Žluťoučký 株式会社 🐎")
    order = order_of(answer)
    assert order.pop("id").startswith("order_")
    assert before - 1 <= order.pop("at") <= time.time() + 1
    assert order == {
        "item": "Conference T-shirt",
        "size": "M",
        "company": "Žluťoučký 株式会社 🐎",
        "price": {"amount": 2500, "currency": "USD"},
        "user": "user_alice",
        "agent": grant.agent,
        "consent": grant.session.consent_id,
        "replayed": False,
        "cancelled": False,
        "balance": {"amount": 7500, "currency": "USD"},
        "spendingLimit": {"amount": 10_000, "currency": "USD"},
    }
    assert result(answer)["_meta"]["demo/decision"]["order_id"] == order_of(answer)["id"]


def test_a_known_key_finds_the_same_order_and_takes_nothing(shop: Shop) -> None:
    token = shop.token()
    first = order_of(shop.buy(token=token, key="one"))
    order_of(shop.buy(token=token, key="two"))
    assert refusal(shop.buy(token=token, key="three"))["rule"] == "limits.quota"
    answer = shop.buy(token=token, key="one")
    assert order_of(answer) == {**first, "replayed": True, "balance": {"amount": 5000, "currency": "USD"}}
    assert limits_of(answer) == {"rate": (4, 10), "purchases": (2, 2), "spending": (5000, 10_000)}


def test_a_known_key_with_other_arguments_buys_nothing(shop: Shop) -> None:
    token = shop.token()
    order_of(shop.buy(token=token, key="k"))
    answer = shop.buy(token=token, key="k", tshirtSize="L")
    assert fault_of(answer) == say("key_reused")
    assert limits_of(answer)["purchases"] == (1, 2)


def test_a_key_is_the_agents_over_all_its_consents_and_nobody_elses(shop: Shop) -> None:
    grant = shop.grant()
    first = order_of(shop.buy(token=shop.token(grant), key="k"))
    renewed = shop.grant(software=grant.session.client_id)
    assert renewed.session.consent_id != grant.session.consent_id
    later = order_of(shop.buy(token=shop.token(renewed), key="k"))
    assert (later["id"], later["replayed"]) == (first["id"], True)
    other = order_of(shop.buy(token=shop.token(), key="k"))
    assert (other["id"] != first["id"], other["replayed"]) == (True, False)


def test_many_at_once_with_one_key_are_one_order(shop: Shop) -> None:
    token = shop.token()
    orders = [order_of(answer) for answer in at_once(9, lambda _: shop.buy(token=token, key="k"))]
    assert len({order["id"] for order in orders}) == 1
    assert [order["replayed"] for order in orders].count(False) == 1
    assert {order["balance"]["amount"] for order in orders} == {7500}


@pytest.mark.parametrize("key", ["", "日本語 🗝", "a'; DROP TABLE orders; --", "k" * 200, "null", "[1]"])
def test_any_text_is_a_key(shop: Shop, key: str) -> None:
    token = shop.token()
    first, second = (order_of(shop.buy(token=token, key=key)) for _ in range(2))
    assert (first["id"], first["replayed"], second["replayed"]) == (second["id"], False, True)


def test_without_a_key_asking_twice_buys_twice(shop: Shop) -> None:
    token = shop.token()
    first, second = (order_of(shop.buy(token=token)) for _ in range(2))
    assert first["id"] != second["id"]


def test_at_the_open_door_anybody_buys_and_nobody_can_say_who(shop: Shop) -> None:
    answer = shop.buy(**OPEN, mailingAddress="221B Baker Street")
    sample = order_of(shop.buy(**OPEN, mailingAddress="1 Edge Row, Lisbon"))
    order = order_of(answer)
    assert [order[name] for name in ("user", "agent", "consent", "balance", "spendingLimit")] == [None] * 5
    meta = result(answer)["_meta"]
    assert meta["demo/limits"] == []
    decision = meta["demo/decision"]
    assert (decision["gate"], decision["rule"], decision["door"]) == ("door", "open.anonymous", "open")
    assert [decision[name] for name in ("user", "username", "agent", "client", "consent")] == [None] * 5
    assert decision["order_id"] == order["id"]
    listed = structured(shop.call("listMcpShopOrders", **OPEN))["orders"]
    addresses = {one["id"]: one["mailingAddress"] for one in listed}
    assert addresses[sample["id"]] == "1 Edge Row, Lisbon", "the talk's own: nobody lives there"
    assert addresses[order["id"]] == say("withheld"), "that one may be somebody's home"
    assert {one["user"] for one in listed} == {None}
    mine = structured(shop.call("listMcpShopOrders", token=shop.token()))["orders"]
    assert order["id"] not in {one["id"] for one in mine}


def test_at_the_open_door_a_key_is_everybodys(shop: Shop) -> None:
    key = f"open {time.time()}"
    first, second = (order_of(shop.buy(**OPEN, key=key)) for _ in range(2))
    assert (first["id"], first["replayed"], second["replayed"]) == (second["id"], False, True)
    assert order_of(shop.buy(token=shop.token(), key=key))["id"] != first["id"]


def test_at_the_open_door_there_is_no_user(shop: Shop) -> None:
    assert structured(shop.call("getUserInfo", token=shop.token(), path="/open/mcp")) == {
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
    assert fault_of(shop.call("setDemoMode", {"mode": "banned"}, **OPEN)) == say("nobody_to_ban")
    assert structured(shop.call("clearDemoMode", **OPEN)) == {"user": None, "mode": "normal"}
    pardon = structured(shop.call("prettyPlease", **OPEN))
    assert pardon["message"] == say("nobody_banned")
