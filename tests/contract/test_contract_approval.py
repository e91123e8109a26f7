"""A human approves a purchase at the moment of spending: what the shop asks for, and what it takes, at both shops.

draft-ietf-oauth-rar-metadata-remediation section 4 for the refusal, RFC 9396 for what the token then says.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

import pytest

from tests.contract.issuer import Grant, spending
from tests.contract.process import ShopProcess
from tests.contract.shop import Shop, challenge_of, limits_of, opened, order_of, refusal, result
from tests.contract.test_contract_sub_agents import Tree

ABOVE_20 = {"APPROVE_ABOVE": "2000", "RATE_CALLS": "1000"}


def asked(answer: Any) -> dict[str, Any]:
    """What a refusal asks for: the same in its challenge and in its body."""
    assert refusal(answer)["rule"] == "limits.approval"
    challenge = challenge_of(answer)
    assert challenge is not None and challenge["scope"] == "shop:buy"
    text = challenge["authorization_remediation"]
    decoded = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    details: list[dict[str, Any]] = answer.json()["error"]["data"]["authorization_details"]
    assert decoded == {"authorization_details": details} and len(details) == 1
    return details[0]


def asked_for(grant: Grant, resource: str, *, size: str = "M") -> dict[str, Any]:
    """What `Shop.buy` buys, as a shop asks for it."""
    return {
        "type": "shop_purchase", "actions": ["buy"], "locations": [resource], "session": grant.session.id,
        "agent": grant.agent, "item": "Conference T-shirt", "size": size, "company": "ACME",
        "mailingAddress": "1 Main St", "price": {"amount": 2500, "currency": "USD"},
    }  # fmt: skip


def written_down(shop: Shop, grant: Grant, *yes: dict[str, Any]) -> None:
    """Have the authorization server know these: one that it does not is withdrawn."""
    with shop.issuer.context.store.transaction() as connection:
        for one in yes:
            known = (one["approval"], grant.session.id, "shop:buy", json.dumps(one), time.time(), time.time() + 300)
            connection.execute("INSERT OR REPLACE INTO oauth_approvals VALUES (?, ?, ?, ?, ?, ?)", known)


def approved(shop: Shop, grant: Grant, detail: dict[str, Any], **changes: Any) -> str:
    """A token for what was asked for, with `changes` of what a human would have approved."""
    yes = {**detail, "approval": "approval_1", "until": int(time.time()) + 300, **changes}
    written_down(shop, grant, yes)
    return shop.token(grant, authorization_details=[*grant.session.authorization_details, yes])


def test_a_dear_purchase_is_approved_one_by_one_and_an_approval_is_used_once(process: ShopProcess) -> None:
    process.start(**ABOVE_20)
    with opened(process.name, process.base, process.issuer) as shop:
        grant = shop.grant()
        detail = asked(shop.buy(token=shop.token(grant)))
        assert (detail["type"], detail["locations"], detail["price"]) == (
            "shop_purchase",
            [shop.resource],
            {"amount": 2500, "currency": "USD"},
        )
        assert (detail["session"], detail["agent"]) == (grant.session.id, grant.session.agent_id)
        for change in (
            {"size": "XXL" if detail["size"] != "XXL" else "S"},
            {"mailingAddress": "2 Side Alley"},
            {"company": "Somebody Else"},
            {"price": {"amount": 2400, "currency": "USD"}},
            {"agent": "agent_rival"},
            {"locations": ["https://elsewhere.example/mcp"]},
            {"until": 1},
            {"item": None},
        ):
            asked(shop.buy(token=approved(shop, grant, detail, **change)))
        yes = approved(shop, grant, detail)
        bought = shop.buy(token=yes)
        assert order_of(bought)["replayed"] is False
        assert "approval_1" in result(bought)["_meta"]["demo/decision"]["reason"]
        asked(shop.buy(token=yes))
        # Used is used, also in a token that was made later, and for a shop that was killed meanwhile.
        process.kill()
        process.start(**ABOVE_20)
        asked(shop.buy(token=approved(shop, grant, detail, until=int(time.time()) + 299)))
        other = approved(shop, grant, detail, approval="approval_2")
        assert order_of(shop.buy(token=other, key="k"))["replayed"] is False
        assert order_of(shop.buy(token=shop.token(grant), key="k"))["replayed"] is True


def test_a_token_for_one_purchase_is_for_no_other_where_none_has_to_be_approved(shop: Shop) -> None:
    grant = shop.grant()
    session = grant.session
    detail = asked_for(grant, shop.resource, size="S")
    assert refusal(shop.buy(token=approved(shop, grant, detail), tshirtSize="XL"))["rule"] == "limits.approval"
    two = [{**detail, "approval": f"approval_{number}", "until": int(time.time()) + 300} for number in (1, 2)]
    written_down(shop, grant, *two)
    both = shop.token(grant, authorization_details=[*session.authorization_details, *two])
    assert refusal(shop.buy(token=both, tshirtSize="S"))["rule"] == "limits.approval"


def test_an_approval_of_a_sub_agents_purchase_is_for_nobody_else_in_its_chain(process: ShopProcess) -> None:
    process.start(**ABOVE_20)
    with opened(process.name, process.base, process.issuer) as shop:
        tree = Tree(shop)
        child, sibling = tree.sub_agent(), tree.sub_agent()
        below = tree.sub_agent(child)
        own = spending(2500, shop.resource, spent_by=child)
        detail = asked(shop.buy(token=tree.token(child, authorization_details=[own, tree.limit])))
        assert (detail["agent"], detail["session"]) == (child, tree.grant.session.id)
        yes = {**detail, "approval": "approval_1", "until": int(time.time()) + 300}
        other = {**yes, "approval": "approval_2"}
        written_down(shop, tree.grant, yes, other)
        for through in ((), (sibling,), (below, child)):
            asked(shop.buy(token=tree.token(*through, authorization_details=[tree.limit, yes])))
        order = order_of(shop.buy(token=tree.token(child, authorization_details=[own, tree.limit, yes])))
        assert (order["agent"], order["balance"]) == (child, {"amount": 0, "currency": "USD"})
        spent = shop.buy(token=tree.token(child, authorization_details=[own, tree.limit, other]))
        assert refusal(spent)["rule"] == "limits.spending", "a yes is no more money than was handed on"
        assert limits_of(shop.buy(token=tree.token()))["spending"] == (2500, 10_000), "and the consent's, too"


@pytest.mark.parametrize("arguments", [{"tshirtSize": "huge"}, {"company": ""}, {"mailingAddress": None}])
def test_what_cannot_be_bought_is_not_asked_for(process: ShopProcess, arguments: dict[str, Any]) -> None:
    process.start(**ABOVE_20)
    with opened(process.name, process.base, process.issuer) as shop:
        assert result(shop.buy(token=shop.token(), **arguments))["isError"] is True


@pytest.mark.parametrize("kind", ["agent", "user"])
def test_a_yes_to_one_purchase_does_not_come_back_with_who_is_reinstated(shop: Shop, kind: str) -> None:
    grant = shop.grant()
    session = grant.session

    def saying_yes() -> str:
        return approved(shop, grant, asked_for(grant, shop.resource), approval=secrets.token_hex(8))

    yes = saying_yes()
    id = {"agent": grant.agent, "user": session.sub}[kind]
    shop.issuer.revoke(kind, id)
    shop.issuer.reinstate(kind, id)
    assert shop.call("listMcpShopInventory", token=shop.token(grant)).status_code == 200, "what was granted does"
    assert refusal(shop.buy(token=yes))["rule"] == "standing.token"
    assert order_of(shop.buy(token=saying_yes()))["replayed"] is False
