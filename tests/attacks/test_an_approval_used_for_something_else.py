"""An approval of one purchase buys that purchase, once: not another one, not again, not by another agent, not later.

RFC 9396 section 2 has an authorization detail say exactly what is authorized; draft-klrc-aiagent-auth section 10.7
(Human in the Loop) has the human confirm what is done, and not that something is done. The shop is a real one on a
socket; its authorization server is the tests', and signs whatever it is told to.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from demo.shop import approval, ledger, policy
from tests.unit.shop.conftest import (
    FakeAuthServer,
    World,
    auth_server_running,
    open_world,
    refusal,
    spending,
)

__all__ = ["FakeAuthServer", "auth_server_running", "open_world"]


@pytest.fixture
def shop(open_world: Callable[..., World]) -> World:
    return open_world(approve_above=2000)


def detail(shop: World, **changes: Any) -> dict[str, Any]:
    """The approval of what `World.buy` buys."""
    given = {
        "type": "shop_purchase",
        "actions": ["buy"],
        "locations": [f"{shop.base}/mcp"],
        "session": "session_1",
        "agent": "agent_alice",
        "item": "Conference T-shirt",
        "size": "M",
        "company": "ACME",
        "mailingAddress": "1 Main St",
        "price": {"amount": 2500, "currency": "USD"},
        "approval": "approval_1",
        "until": time.time() + 60,
    }
    return given | changes


def token(shop: World, *details: dict[str, Any], limit: int = 10_000, **claims: Any) -> str:
    return shop.token(authorization_details=[spending(limit, f"{shop.base}/mcp"), *details], **claims)


def orders(shop: World) -> int:
    with closing(sqlite3.connect(shop.database)) as connection:
        return int(connection.execute("SELECT count(*) FROM shop_orders").fetchone()[0])


def test_without_an_approval_nothing_is_bought_and_the_refusal_names_what_to_ask_for(shop: World) -> None:
    answer = shop.buy(token=token(shop))
    assert (answer.status_code, refusal(answer)["rule"], orders(shop)) == (403, "limits.approval", 0)
    (asked,) = answer.json()["error"]["data"]["authorization_details"]
    assert {name: value for name, value in detail(shop).items() if name not in ("approval", "until")} == asked


def test_what_was_approved_is_bought_once(shop: World) -> None:
    yes = token(shop, detail(shop))
    assert shop.buy(token=yes).json()["result"]["isError"] is False
    again = shop.buy(token=yes)
    assert (again.status_code, refusal(again)["rule"], orders(shop)) == (403, "limits.approval", 1)


def test_the_same_approval_in_another_token_is_the_same(shop: World) -> None:
    shop.buy(token=token(shop, detail(shop)))
    assert shop.buy(token=token(shop, detail(shop, until=time.time() + 90))).status_code == 403
    assert orders(shop) == 1


def test_the_same_call_again_is_the_same_order_and_takes_no_second_approval(shop: World) -> None:
    yes = token(shop, detail(shop))
    first, second = (shop.buy(token=yes, key="once").json()["result"]["structuredContent"]["order"] for _ in range(2))
    assert (first["id"], second["replayed"], orders(shop)) == (second["id"], True, 1)


SUBSTITUTED: dict[str, dict[str, Any]] = {
    "another size": {"size": "XL"},
    "another address": {"mailingAddress": "2 Side Alley"},
    "another company": {"company": "Somebody Else"},
    "a lower price": {"price": {"amount": 100, "currency": "USD"}},
    "a higher price": {"price": {"amount": 9900, "currency": "USD"}},
    "another currency": {"price": {"amount": 2500, "currency": "JPY"}},
    "another item": {"item": "Sticker"},
    "another agent": {"agent": "agent_rival"},
    "another shop": {"locations": ["https://elsewhere.example/mcp"]},
    "too old": {"until": 1.0},
    "no end": {"until": None},
    "no id": {"approval": None},
    "nobody's": {"agent": None},
    "not to buy": {"actions": ["look"]},
    "a price that is true": {"price": {"amount": True, "currency": "USD"}},
}


@pytest.mark.parametrize("changes", SUBSTITUTED.values(), ids=SUBSTITUTED)
def test_an_approval_of_something_else_buys_nothing(shop: World, changes: dict[str, Any]) -> None:
    answer = shop.buy(token=token(shop, detail(shop, **changes)))
    assert (answer.status_code, refusal(answer)["rule"], orders(shop)) == (403, "limits.approval", 0)


def test_two_approvals_in_one_token_are_none(shop: World) -> None:
    two = token(shop, detail(shop), detail(shop, approval="approval_2"))
    assert (shop.buy(token=two).status_code, orders(shop)) == (403, 0)


def test_a_token_for_one_purchase_is_for_nothing_else_where_no_approval_is_needed_either(
    open_world: Callable[..., World],
) -> None:
    """Else who had a human approve one purchase would hold a token for all that the consent allows."""
    shop = open_world()
    assert shop.buy(token=token(shop, detail(shop, size="XL"))).status_code == 403
    assert shop.buy(token=token(shop)).status_code == 200


def test_the_consents_own_limits_hold_all_the_same(shop: World) -> None:
    poor = shop.buy(token=token(shop, detail(shop), limit=2000))
    none = shop.buy(token=shop.token(authorization_details=[detail(shop)]))
    no_scope = shop.buy(token=token(shop, detail(shop), scope="shop:read"))
    rules = [refusal(answer)["rule"] for answer in (poor, none, no_scope)]
    assert (rules, orders(shop)) == (["limits.spending", "limits.consent", "scope.insufficient"], 0)


def test_an_order_that_is_undone_gives_its_approval_back(tmp_path: Any) -> None:
    from demo.shop.database import Database

    database = Database(tmp_path / "shop.sqlite3")
    wanted = ledger.Purchase(
        audit_id="a", account="consent:c", caller="agent:a", size="M", company="A", address="B", arguments="d",
        price=policy.Money(2500), at=1.0, quota=2, spending_limits=((None, policy.Money(6000)),), to_be_approved=True,
        approval="approval_1",
    )  # fmt: skip
    with database.transaction() as connection:
        ledger.restock(connection, 5)
        order = ledger.place(connection, wanted)
        with pytest.raises(ledger.PurchaseRefused):
            ledger.place(connection, wanted)
        ledger.void(connection, order.id)
        assert ledger.place(connection, wanted).replayed is False
    database.close()


def remember_nothing(patch: pytest.MonkeyPatch) -> None:
    honest = ledger.place
    patch.setattr(ledger, "used_approvals", lambda connection, ids: frozenset())
    patch.setattr(ledger, "place", lambda connection, wanted: honest(connection, replace(wanted, to_be_approved=False)))


def compare_no_agent(patch: pytest.MonkeyPatch) -> None:
    def any_agent(approvals: Any, wanted: Any, agent: Any, shop: Any) -> Any:
        return approval.fitting(approvals, wanted, next((one.agent for one in approvals), None), shop)

    patch.setattr(policy, "fitting", any_agent)


WEAKENED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "does not compare": lambda patch: patch.setattr(policy, "fitting", lambda approvals, *_: tuple(approvals)),
    "compares no agent": compare_no_agent,
    "looks at no clock": lambda patch: patch.setattr(policy, "approval_of", lambda case, usage: case.token.approval),
    "remembers nothing": remember_nothing,
}


@pytest.mark.parametrize(
    ("weakness", "changes", "times"),
    [
        ("does not compare", {"mailingAddress": "2 Side Alley"}, 1),
        ("compares no agent", {"agent": "agent_rival"}, 1),
        ("looks at no clock", {"until": 1.0}, 1),
        ("remembers nothing", {}, 2),
    ],
)
def test_a_shop_that_checks_less_is_found_out(
    shop: World, monkeypatch: pytest.MonkeyPatch, weakness: str, changes: dict[str, Any], times: int
) -> None:
    """What the tests above would see there: the check is what makes the difference."""
    WEAKENED[weakness](monkeypatch)
    yes = token(shop, detail(shop, **changes))
    assert [shop.buy(token=yes).status_code for _ in range(times)] == [200] * times
