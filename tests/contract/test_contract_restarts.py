"""The shop is killed in mid-purchase, or deployed between two beats: nothing is lost, and nothing is bought twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from demo.shop.catalog import say
from tests.contract.issuer import ALICE, GRACE, MALLORY
from tests.contract.process import ShopProcess
from tests.contract.shop import Shop, limits_of, opened, order_of, refusal, structured

READ = "listMcpShopInventory"
PURCHASES = 40
GENEROUS = {"RATE_CALLS": "100000", "PURCHASES_PER_CONSENT": "1000", "STOCK_AT_FIRST": "1000"}


def stock(shop: Shop, token: str) -> int:
    return int(structured(shop.call(READ, token=token))["items"][0]["stock"])


def orders(shop: Shop, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = structured(shop.call("listMcpShopOrders", token=token))["orders"]
    return found


def test_a_shop_killed_in_mid_purchase_has_each_order_once_with_its_key_and_its_entry(process: ShopProcess) -> None:
    process.start(**GENEROUS)
    with opened(process.name, process.base, process.issuer) as shop:
        tokens = [shop.token(shop.grant(human=human, limit=10**9)) for human in (ALICE, GRACE)]
        told: dict[int, str] = {}
        enough = threading.Event()

        def buy(number: int) -> None:
            try:
                told[number] = order_of(shop.buy(token=tokens[number % 2], key=f"k{number}"))["id"]
            except (httpx2.HTTPError, ValueError):
                return  # Killed before, while or after it bought: the ledger knows, this client does not.
            if len(told) >= PURCHASES // 5:
                enough.set()

        with ThreadPoolExecutor(8) as pool:
            attempts = [pool.submit(buy, number) for number in range(PURCHASES)]
            assert enough.wait(60)
            process.kill()
            for attempt in attempts:
                attempt.result(timeout=60)
        before = dict(told)
        assert PURCHASES // 5 <= len(before) < PURCHASES, "it was killed in the middle"

        process.start(**GENEROUS)
        for number in range(PURCHASES):
            order = order_of(shop.buy(token=tokens[number % 2], key=f"k{number}"))
            assert order["id"] == before.get(number, order["id"]), "its key finds the very order"
            assert order["replayed"] is True or number not in before
        for token in tokens:
            mine = {order["id"] for order in orders(shop, token)}
            assert len(mine) == PURCHASES // 2
            answer = shop.call(READ, token=token)
            assert limits_of(answer)["purchases"] == (PURCHASES // 2, 1000)
            assert limits_of(answer)["spending"] == (2500 * PURCHASES // 2, 10**9)
        assert stock(shop, tokens[0]) == 1000 - PURCHASES
        everything = {order["id"] for token in tokens for order in orders(shop, token)}
        trail = shop.entries(tokens[1], limit=1000)
        assert {entry["order_id"] for entry in trail if entry["order_id"]} == everything
        assert {entry["verdict"] for entry in trail if entry["order_id"]} == {"allow"}


def test_what_was_decided_before_a_kill_holds_after_it(process: ShopProcess) -> None:
    """A ban, a quota, a rate window and the trail: each from before, each still there."""
    settings = {"RATE_SECONDS": "600"}  # by the kill and the start a window of ten seconds would be over
    process.start(**settings)
    with opened(process.name, process.base, process.issuer) as shop:
        alice, grace = shop.token(shop.grant()), shop.token(shop.grant(human=GRACE))
        first = order_of(shop.buy(token=alice, key="one"))
        order_of(shop.buy(token=alice, key="two"))
        structured(shop.call("setDemoMode", {"mode": "banned"}, token=grace))
        before = shop.entries(alice, limit=1000)
        process.kill()
        process.start(**settings)
        assert shop.entries(alice, limit=1000)[: len(before)] == before
        assert refusal(shop.buy(token=alice, key="three"))["rule"] == "limits.quota"
        again = order_of(shop.buy(token=alice, key="one"))
        assert (again["id"], again["replayed"]) == (first["id"], True)
        assert refusal(shop.call(READ, token=grace))["rule"] == "standing.banned"
        assert structured(shop.call("prettyPlease", token=grace))["message"] == say("welcome_back")
        assert limits_of(shop.call(READ, token=alice))["rate"] == (5, 10)


def test_after_a_deployment_with_other_settings_the_next_call_goes_on_with_the_same_token(process: ShopProcess) -> None:
    process.start()
    with opened(process.name, process.base, process.issuer) as shop:
        alice, mallory = shop.token(shop.grant()), shop.token(shop.grant(human=MALLORY))
        order = order_of(shop.buy(token=alice, key="k"))
        left = stock(shop, alice)
        before = shop.entries(alice, limit=1000)
        assert refusal(shop.call(READ, token=mallory))["rule"] == "allowlist.user"
        process.stop()
        process.start(ALLOWLIST=f"{ALICE},{MALLORY}", PURCHASES_PER_CONSENT="3", STOCK_AT_FIRST="5")
        again = order_of(shop.buy(token=alice, key="k"))
        assert (again["id"], again["replayed"]) == (order["id"], True)
        assert [one["id"] for one in orders(shop, alice)] == [order["id"]]
        assert stock(shop, alice) == left, "stock is what it was, not what it begins with"
        assert shop.entries(alice, limit=1000)[: len(before)] == before
        assert shop.call(READ, token=mallory).status_code == 200, "the new allowlist counts at once"
        assert limits_of(shop.call(READ, token=alice))["purchases"] == (1, 3), "the new quota, what was used before"
        process.stop()
        process.start(ALLOWLIST=MALLORY)
        assert refusal(shop.call(READ, token=alice))["rule"] == "allowlist.user"


@pytest.mark.long
def test_calls_that_come_while_the_shop_is_away_are_lost_and_the_next_one_is_not(process: ShopProcess) -> None:
    """A key makes it safe to ask again, however often, until the shop is back."""
    process.start()
    with opened(process.name, process.base, process.issuer) as shop:
        token = shop.token()
        process.stop()
        with pytest.raises(httpx2.HTTPError):
            shop.buy(token=token, key="k")
        coming = threading.Thread(target=process.start)
        coming.start()
        deadline = time.monotonic() + 90
        while True:
            try:
                answer = shop.buy(token=token, key="k")
                if answer.status_code == 200:
                    break
                assert answer.status_code in (502, 503), answer.text
            except httpx2.HTTPError:
                assert time.monotonic() < deadline
            time.sleep(0.1)
        coming.join(90)
        assert order_of(shop.buy(token=token, key="k"))["replayed"] is True
        assert len(orders(shop, token)) == 1
