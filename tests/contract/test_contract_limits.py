"""The limits: exact to the call, the order and the cent, however many ask at once."""

from __future__ import annotations

import time

from tests.contract.shop import Shop, at_once, challenge_of, limits_of, order_of, refusal, structured, wording

READ = "listMcpShopInventory"


def test_the_eleventh_call_in_ten_seconds_waits_as_long_as_it_is_told_and_is_served_again(shop: Shop) -> None:
    grant = shop.grant()
    token = shop.token(grant)
    for number in range(10):
        answer = shop.call(READ, token=token)
        assert answer.status_code == 200
        assert limits_of(answer)["rate"] == (number + 1, 10)
    answer = shop.call(READ, token=token)
    decision = refusal(answer)
    assert (answer.status_code, decision["gate"], decision["rule"]) == (429, "limits", "limits.rate")
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 10
    assert wording(decision) == ("main", {"limit": "10", "window": "10", "seconds": str(wait)})
    assert challenge_of(answer) is None
    rate = answer.json()["error"]["data"]["limits"][0]
    assert (rate["name"], rate["used"], rate["limit"], rate["unit"], rate["window"]) == ("rate", 10, 10, "calls", 10)
    assert abs(rate["resets_at"] - time.time() - wait) <= 1.5
    assert shop.post("tools/list", token=token).status_code == 200, "listing counts for nothing"
    again = shop.issuer.grant(shop.resource, software=grant.session.client_id)
    assert again.agent == grant.agent
    assert refusal(shop.call(READ, token=shop.token(again)))["rule"] == "limits.rate", "a new session, the same agent"
    assert shop.call(READ, token=shop.token()).status_code == 200, "another agent of the same human"
    time.sleep(wait + 0.2)
    answer = shop.call(READ, token=token)
    assert answer.status_code == 200
    used, _ = limits_of(answer)["rate"]
    assert 1 <= used <= 10, "the oldest call counts no more; the others may"


def test_many_calls_at_once_are_counted_exactly(shop: Shop) -> None:
    token = shop.token()
    answers = at_once(30, lambda _: shop.call(READ, token=token))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 20
    assert {refusal(answer)["rule"] for answer in answers if answer.status_code == 429} == {"limits.rate"}
    assert sorted(limits_of(answer)["rate"][0] for answer in answers if answer.status_code == 200)[-1] == 10


def test_what_an_earlier_gate_refused_does_not_count(shop: Shop) -> None:
    grant = shop.grant(scope=("shop:read",))
    for _ in range(12):
        assert shop.buy(token=shop.token(grant)).status_code == 403
    answer = shop.call(READ, token=shop.token(grant))
    assert limits_of(answer)["rate"] == (1, 10)


def test_a_consent_is_good_for_two_purchases_and_a_new_one_for_two_more(shop: Shop) -> None:
    grant = shop.grant()
    token = shop.token(grant)
    first = shop.buy(token=token)
    assert limits_of(first) == {"rate": (1, 10), "purchases": (1, 2), "spending": (2500, 10_000)}
    assert order_of(first)["balance"] == {"amount": 7500, "currency": "USD"}
    assert order_of(shop.buy(token=token))["balance"] == {"amount": 5000, "currency": "USD"}
    answer = shop.buy(token=token)
    decision = refusal(answer)
    assert (answer.status_code, challenge_of(answer), decision["rule"]) == (403, None, "limits.quota")
    assert wording(decision) == ("main", {"used": "2", "limit": "2"})
    assert limits_of(answer) == {"rate": (3, 10), "purchases": (2, 2), "spending": (5000, 10_000)}
    assert shop.call(READ, token=token).status_code == 200, "the quota is of purchases"
    renewed = shop.issuer.grant(shop.resource, software=grant.session.client_id)
    assert order_of(shop.buy(token=shop.token(renewed)))["agent"] == grant.agent


def test_the_humans_limit_holds_to_the_cent(shop: Shop) -> None:
    answer = shop.buy(token=shop.token(shop.grant(limit=2499)))
    decision = refusal(answer)
    assert (answer.status_code, challenge_of(answer), decision["rule"]) == (403, None, "limits.spending")
    assert wording(decision) == ("main", {"left": "24.99 USD", "price": "25.00 USD"})
    exact = shop.token(shop.grant(limit=2500))
    assert order_of(shop.buy(token=exact))["balance"] == {"amount": 0, "currency": "USD"}
    assert wording(refusal(shop.buy(token=exact)))[1]["left"] == "0.00 USD"


def test_of_several_limits_the_smallest_holds(shop: Shop) -> None:
    grant = shop.grant()
    (detail,) = grant.session.authorization_details
    smaller = {**detail, "limit": {"amount": 2000, "currency": "USD"}}
    token = shop.token(grant, authorization_details=[detail, smaller])
    assert refusal(shop.buy(token=token))["rule"] == "limits.spending"


def test_many_at_once_buy_exactly_the_quota(shop: Shop) -> None:
    token = shop.token()
    answers = at_once(9, lambda _: shop.buy(token=token))
    bought = [order_of(answer) for answer in answers if answer.status_code == 200]
    assert sorted(order["balance"]["amount"] for order in bought) == [5000, 7500]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {(answer.status_code, refusal(answer)["rule"]) for answer in refused} == {(403, "limits.quota")}
    ids = {order["id"] for order in structured(shop.call("listMcpShopOrders", token=token))["orders"]}
    assert {order["id"] for order in bought} <= ids


def test_many_at_once_never_spend_more_than_the_limit(shop: Shop) -> None:
    token = shop.token(shop.grant(limit=4999))
    answers = at_once(9, lambda _: shop.buy(token=token))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 8
    assert {refusal(answer)["rule"] for answer in answers if answer.status_code == 403} == {"limits.spending"}


def test_many_agents_of_one_human_at_once_have_their_own_limits_and_one_stock(shop: Shop) -> None:
    tokens = [shop.token() for _ in range(6)]
    (before,) = structured(shop.call(READ, token=shop.token()))["items"]
    answers = at_once(6, lambda number: shop.buy(token=tokens[number]))
    assert len({order_of(answer)["id"] for answer in answers}) == 6
    (after,) = structured(shop.call(READ, token=shop.token()))["items"]
    assert after["stock"] == before["stock"] - 6


def test_many_humans_at_once_share_the_one_stock_exactly_and_nobody_takes_of_it(shop: Shop) -> None:
    """Humans are kept apart, perhaps in objects of their own; what there is to sell them is one."""
    tokens = [shop.token(shop.grant(human=human)) for human in ("alice@example.com", "grace@example.com") * 3]
    (before,) = structured(shop.call(READ, token=shop.token()))["items"]
    answers = at_once(8, lambda number: shop.buy(token=tokens[number]) if number < 6 else _anonymous(shop))
    assert len({order_of(answer)["id"] for answer in answers}) == 8
    (after,) = structured(shop.call(READ, token=shop.token()))["items"]
    assert after["stock"] == before["stock"] - 6


def _anonymous(shop: Shop):  # type: ignore[no-untyped-def]  # httpx2.Response
    return shop.buy(token=None, path="/open/mcp")
