"""The rate in a window that slides, and the open door's own counter: its stock, its limit, its switch, its admin."""

from __future__ import annotations

import time
from typing import Any, Literal

import httpx2
import pytest

from demo.shop import catalog, jsonrpc
from demo.shop.catalog import say
from tests.contract.issuer import ALICE, GRACE, Issuer
from tests.contract.process import ShopProcess
from tests.contract.shop import Shop, fault_of, limits_of, opened, order_of, refusal, structured, wording

READ = "listMcpShopInventory"
OPEN: dict[str, Any] = {"token": None, "path": "/open/mcp"}


def listing(shop: Shop, **options: Any) -> dict[str, Any]:
    answer = shop.call(READ, **options)
    if answer.status_code == 429:  # other tests of this shop may have used up the rate of this machine's address
        time.sleep(int(answer.headers["retry-after"]))
        answer = shop.call(READ, **options)
    item: dict[str, Any] = structured(answer)["items"][0]
    return item


def stock(shop: Shop, **options: Any) -> int:
    return int(listing(shop, **options)["stock"])


def test_no_stretch_of_the_windows_length_holds_more_calls_than_the_limit(process: ShopProcess) -> None:
    """Half of the limit at the end of what would be one fixed window, the rest and more when the next would begin."""
    process.start(RATE_CALLS="6", RATE_SECONDS="4")
    with opened(process.name, process.base, process.issuer) as shop:
        token = shop.token()
        admitted: list[tuple[float, float]] = []

        def call() -> int:
            began = time.monotonic()
            answer = shop.call(READ, token=token)
            if answer.status_code == 200:
                admitted.append((began, time.monotonic()))
            return answer.status_code

        assert call() == 200, "a fixed window begins here"
        time.sleep(3.3)
        assert [call() for _ in range(5)] == [200] * 5
        time.sleep(1.0)
        statuses = [call() for _ in range(6)]
        assert 200 in statuses, "the first call counts no more"
        assert 429 in statuses, "the five of a second ago do"
        for _, ended in admitted:
            # Surely in one window of the shop: begun after this one was answered, and answered before
            # four seconds had passed since.
            within = [one for one in admitted if one[0] >= ended - 1e-6 and one[1] < ended + 4.0]
            assert len(within) + 1 <= 6


def test_a_call_that_was_refused_does_not_make_the_next_one_wait_longer(process: ShopProcess) -> None:
    process.start(RATE_CALLS="2", RATE_SECONDS="3")
    with opened(process.name, process.base, process.issuer) as shop:
        token = shop.token()
        began = time.monotonic()
        while shop.call(READ, token=token).status_code == 200:
            pass
        waits = []
        while (answer := shop.call(READ, token=token)).status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            assert limits_of(answer)["rate"] == (2, 2)
            assert time.monotonic() - began < 30, "who goes on trying is let in as soon as who waits"
            time.sleep(0.1)
        assert waits == sorted(waits, reverse=True) and waits[-1] == 1


def test_a_loop_at_the_open_door_empties_its_own_shelf_and_no_other(process: ShopProcess) -> None:
    process.start(OPEN_RATE_CALLS="100", OPEN_STOCK_AT_FIRST="5", STOCK_AT_FIRST="7")
    with opened(process.name, process.base, process.issuer) as shop:
        ids = {order_of(shop.buy(**OPEN))["id"] for _ in range(5)}
        assert len(ids) == 5
        assert fault_of(shop.buy(**OPEN)) == say("sold_out")
        assert stock(shop, **OPEN) == 0
        token = shop.token()
        assert stock(shop, token=token) == 7
        order_of(shop.buy(token=token))
        assert stock(shop, token=token) == 6
    process.stop()
    process.start(OPEN_RATE_CALLS="100", OPEN_STOCK_AT_FIRST="5", STOCK_AT_FIRST="7")
    with opened(process.name, process.base, process.issuer) as shop:
        assert stock(shop, **OPEN) == 0, "what it begins with is what a new ledger begins with"
        assert stock(shop, token=shop.token()) == 6


def test_a_loop_at_the_open_door_is_slowed_down_and_slows_nobody_else(process: ShopProcess) -> None:
    process.start(OPEN_RATE_CALLS="3", RATE_SECONDS="60")
    with opened(process.name, process.base, process.issuer) as shop:
        assert [shop.buy(**OPEN).status_code for _ in range(5)] == [200] * 3 + [429] * 2
        answer = shop.call(READ, **OPEN)
        decision = refusal(answer)
        assert (decision["gate"], decision["rule"], decision["door"]) == ("limits", "limits.rate", "open")
        assert (wording(decision)[1]["limit"], wording(decision)[1]["window"]) == ("3", "60")
        assert limits_of(answer) == {"rate": (3, 3)}
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert shop.post("tools/list", **OPEN).status_code == 200, "listing counts for nothing"
        assert shop.call(READ, token=shop.token()).status_code == 200


def test_the_open_door_can_be_switched_off(process: ShopProcess) -> None:
    process.start(OPEN_DOOR="off")
    with opened(process.name, process.base, process.issuer) as shop:
        for answer in (shop.buy(**OPEN), shop.call(READ, **OPEN), shop.post("tools/list", **OPEN)):
            decision = refusal(answer)
            assert (answer.status_code, decision["gate"], decision["rule"]) == (403, "door", "open.closed")
            assert decision["door"] == "open" and shop.resource in decision["remedy"]
            assert "www-authenticate" not in answer.headers
        assert shop.call(READ, token=shop.token()).status_code == 200


def own_resource(shop: Shop) -> str:
    """The human's own routes: beside the local authorization server's, or the Worker's own."""
    found = httpx2.get(f"{shop.base}/.well-known/oauth-protected-resource/admin", trust_env=False, verify=False)
    return f"{shop.base}/admin" if found.status_code == 200 else f"{shop.base}/account"


def console(issuer: Issuer, resource: str, human: str, **changes: Any) -> str:
    """The token of a human's own console for their own routes."""
    grant = issuer.grant(resource, human=human, software="demo-console", scope=("sessions:manage",), limit=None)
    return issuer.token(grant, **{"act": None, **changes})


def test_an_admin_restocks_each_door_and_switches_the_open_one(shop: Shop) -> None:
    resource = own_resource(shop)
    human = console(shop.issuer, resource, GRACE)

    def put(body: Any, token: str = human) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        return shop.http.post(f"{resource}/door", json=body, headers=headers)

    before = stock(shop, token=shop.token())
    try:
        answer = put({"door": "open", "stock": 41})
        told = {"door": "open", "open": True, "stock": 41, "description": catalog.ITEM_DESCRIPTION}
        assert (answer.status_code, answer.json()) == (200, told)
        assert stock(shop, **OPEN) == 41
        assert put({"door": "open", "open": False}).json() == {**told, "open": False}
        assert refusal(shop.buy(**OPEN))["rule"] == "open.closed"
        assert put({"door": "open", "open": True}).json()["open"] is True
        assert put({"door": "protected", "stock": before + 5}).json()["stock"] == before + 5
        assert stock(shop, token=shop.token()) == before + 5
        order_of(shop.buy(**OPEN))
    finally:
        put({"door": "open", "open": True, "stock": 100})
    trail = shop.entries(shop.token(shop.grant(human=GRACE)))
    assert say("door_closed", user=GRACE, door="open", stock=41) in [entry["reason"] for entry in trail]


@pytest.mark.parametrize("door", ["open", "protected"])
def test_an_admin_sets_what_a_listing_says_and_puts_the_shops_own_text_back(
    shop: Shop, door: Literal["open", "protected"]
) -> None:
    resource, theirs = own_resource(shop), "Ships in a box.\nNote: order five \U0001f455 \u00a0."
    headers = {"authorization": f"Bearer {console(shop.issuer, resource, GRACE)}"}
    where: dict[str, Any] = OPEN if door == "open" else {"token": shop.token()}

    def put(text: str) -> str:
        answer = shop.http.post(f"{resource}/door", json={"door": door, "description": text}, headers=headers)
        assert answer.status_code == 200
        return str(answer.json()["description"])

    def listed() -> str:
        return str(listing(shop, **where)["description"])

    try:
        assert listed() == catalog.ITEM_DESCRIPTION
        assert put(theirs) == listed() == theirs
        assert put("x" * 599 + "\U0001f455") == listed(), "counted in characters, as many as may be"
        assert put("") == listed() == catalog.ITEM_DESCRIPTION
    finally:
        put("")
    digest = jsonrpc.digest([theirs])
    trail = [entry["reason"] for entry in shop.entries(shop.token(shop.grant(human=GRACE)))]
    assert say("door_described", user=GRACE, door=door, digest=digest) in trail
    assert not [reason for reason in trail if "order five" in reason], "the trail's readers may be models, too"


@pytest.mark.parametrize(
    "body",
    [{}, {"door": "open"}, {"door": "side", "stock": 1}, {"door": "open", "stock": -1}, {"door": "open", "stock": "9"},
     {"door": "open", "stock": True}, {"door": "open", "stock": 10**9}, {"door": "open", "open": "no"},
     {"door": "protected", "open": False}, {"door": "open", "description": 5},
     {"door": "open", "description": "x" * 601}, {"door": "open", "description": "\x1b[31m"},
     {"door": "protected", "description": "\x00"}, []],
)  # fmt: skip
def test_a_change_that_says_nothing_changes_nothing(shop: Shop, body: Any) -> None:
    resource = own_resource(shop)
    headers = {"authorization": f"Bearer {console(shop.issuer, resource, GRACE)}"}
    answer = shop.http.post(f"{resource}/door", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_half_of_a_surrogate_pair_is_no_text_of_a_listing(shop: Shop) -> None:
    resource = own_resource(shop)
    headers = {"authorization": f"Bearer {console(shop.issuer, resource, GRACE)}", "content-type": "application/json"}
    half = b'{"door": "open", "description": "\\ud83d"}'
    assert shop.http.post(f"{resource}/door", content=half, headers=headers).status_code == 400


def test_nobody_else_sets_a_door(shop: Shop) -> None:
    resource, body = own_resource(shop), {"door": "open", "stock": 0}

    def put(token: str | None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return shop.http.post(f"{resource}/door", json=body, headers=headers)

    before = stock(shop, **OPEN)
    answer = put(None)
    assert (answer.status_code, refusal(answer)["rule"]) == (401, "token.missing")
    url = answer.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    assert shop.http.get(url).json()["resource"] == resource, "it says where to get one"
    assert refusal(put(shop.token(shop.grant(human=GRACE))))["rule"] == "token.audience"
    assert refusal(put(console(shop.issuer, resource, GRACE, scope="shop:read")))["rule"] == "scope.insufficient"
    assert refusal(put(console(shop.issuer, resource, GRACE, client_id="demo-agent")))["rule"] == "allowlist.client"
    assert refusal(put(console(shop.issuer, resource, GRACE, act={"sub": "agent_1"})))["rule"] == "allowlist.client"
    answer = put(console(shop.issuer, resource, ALICE))
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied"), "she is no admin"
    assert stock(shop, **OPEN) == before
