"""Sub-agents (RFC 8693 section 4.1, `act` in `act`): who acts is on record with who is above, each limit holds, and
what ends an agent ends those below it. Tokens are as the authorization server makes them by exchange (docs/wire.md)."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from demo.auth_server.state.sub_agents import hand_on
from tests.contract.issuer import spending
from tests.contract.shop import Shop, at_once, limits_of, order_of, refusal, structured, wording

READ = "listMcpShopInventory"


class Tree:
    """An agent that a human consented to, and sub-agents below it."""

    def __init__(self, shop: Shop, *, limit: int = 10_000) -> None:
        self.shop, self.grant = shop, shop.grant(limit=limit)
        self.limit = spending(limit, shop.resource)
        self.agent = self.grant.agent

    def sub_agent(self, *above: str) -> str:
        """A new one below these, the nearest first; else below the agent."""
        context, session = self.shop.issuer.context, self.grant.session
        with context.store.transaction() as connection:
            return hand_on(
                connection,
                session,
                parent=above[0] if above else self.agent,
                key=secrets.token_urlsafe(32)[:43],
                name="Sub-agent",
                scope=("shop:read",),
                spending_limit=None,
                expires_at=context.now() + 300,
                now=context.now(),
            )

    def token(self, *through: str, limits: dict[str, int] | None = None, **changes: Any) -> str:
        """A token of who stands first in `through`; each has no limit of its own but those in `limits`."""
        act: dict[str, Any] = {"sub": self.agent}
        for agent in reversed(through):
            act = {"sub": agent, "act": act}
        own = [spending(amount, self.shop.resource, spent_by=agent) for agent, amount in (limits or {}).items()]
        return self.shop.token(self.grant, **{"act": act, "authorization_details": [*own, self.limit], **changes})


def test_who_acts_and_who_is_above_are_on_record(shop: Shop) -> None:
    tree = Tree(shop)
    child = tree.sub_agent()
    below = tree.sub_agent(child)
    answer = shop.buy(token=tree.token(below, child))
    decision = structured(answer)["order"]
    assert (decision["agent"], decision["consent"]) == (below, tree.grant.session.consent_id)
    found = shop.entries(shop.token(tree.grant))[-1]
    assert (found["agent"], found["handed_on_by"]) == (below, f"{child} {tree.agent}")
    assert structured(shop.call("getUserInfo", token=tree.token(child)))["agent"] == child
    shop.call(READ, token=shop.token(tree.grant))
    found = shop.entries(shop.token(tree.grant))[-1]
    assert (found["agent"], found["handed_on_by"]) == (tree.agent, None)


def test_each_limit_counts_what_it_is_of_and_all_of_them_hold(shop: Shop) -> None:
    tree = Tree(shop, limit=6000)
    child, other = tree.sub_agent(), tree.sub_agent()
    below = tree.sub_agent(child)
    answer = shop.buy(token=tree.token(below, child, limits={below: 2500, child: 3000}))
    assert order_of(answer)["balance"] == {"amount": 0, "currency": "USD"}
    assert order_of(answer)["spendingLimit"] == {"amount": 2500, "currency": "USD"}
    # What was below is spent above as well, and not beside.
    refused = shop.buy(token=tree.token(child, limits={child: 3000}))
    assert wording(refusal(refused)) == ("handed_on", {"left": "5.00 USD", "price": "25.00 USD"})
    assert limits_of(refused)["spending"] == (2500, 3000)
    refused = shop.buy(token=tree.token(below, child, limits={below: 5000, child: 3000}))
    assert wording(refusal(refused))[0] == "above", "and what is left above is less than its own"
    assert limits_of(refused)["spending"] == (2500, 3000)
    assert order_of(shop.buy(token=tree.token(other, limits={other: 2500})))["agent"] == other
    spent = [refusal(shop.buy(token=one)) for one in (tree.token(), tree.token(tree.sub_agent()))]
    assert [one["rule"] for one in spent] == ["limits.quota"] * 2, "the consent's purchases, whoever's"
    assert [wording(one)[0] for one in spent] == ["main", "handed_on"]


def test_a_consent_that_is_spent_leaves_a_sub_agent_nothing(shop: Shop) -> None:
    tree = Tree(shop, limit=4000)
    child = tree.sub_agent()
    order_of(shop.buy(token=tree.token()))
    refused = shop.buy(token=tree.token(child, limits={child: 3000}))
    assert wording(refusal(refused)) == ("above", {"left": "15.00 USD", "price": "25.00 USD"})
    assert limits_of(refused)["spending"] == (2500, 4000)


def test_sub_agents_that_buy_at_once_stay_within_their_own_limit_and_within_the_consents(shop: Shop) -> None:
    tree = Tree(shop, limit=10_000)
    child = tree.sub_agent()
    token = tree.token(child, limits={child: 2500})
    answers = at_once(8, lambda _: shop.buy(token=token))
    assert sorted(one.status_code for one in answers) == [200] + [403] * 7
    tree = Tree(shop, limit=2500)
    tokens = [tree.token(one, limits={one: 2500}) for one in (tree.sub_agent(), tree.sub_agent())]
    answers = at_once(8, lambda number: shop.buy(token=tokens[number % 2]))
    assert sorted(one.status_code for one in answers) == [200] + [403] * 7


def test_who_hands_on_is_not_the_faster_for_it(shop: Shop) -> None:
    tree = Tree(shop)
    tokens = [tree.token(), tree.token(tree.sub_agent()), tree.token(tree.sub_agent())]
    answers = [shop.call(READ, token=tokens[number % 3]) for number in range(12)]
    assert [one.status_code for one in answers] == [200] * 10 + [429] * 2
    assert limits_of(answers[9])["rate"] == (10, 10)


@pytest.mark.parametrize("kind", ["session", "agent", "user"])
def test_what_ends_the_agent_ends_those_below_it(shop: Shop, kind: str) -> None:
    tree = Tree(shop)
    child = tree.sub_agent()
    tokens = [tree.token(child), tree.token(tree.sub_agent(child), child)]
    for token in tokens:
        assert shop.call(READ, token=token).status_code == 200, "it is known by now, and kept"
    session = tree.grant.session
    id = {"session": session.id, "agent": tree.agent, "user": session.sub}[kind]
    shop.issuer.revoke(kind, id)
    try:
        refused = [refusal(shop.call(READ, token=one)) for one in tokens]
        assert [one["rule"] for one in refused] == [f"standing.{kind}"] * 2
        # It cannot log in: only who is above it can, and hands on again.
        assert {wording(one)[0] for one in refused} == {"main" if kind == "user" else "handed_on"}
        assert wording(refusal(shop.call(READ, token=tree.token())))[0] == "main"
    finally:
        if kind != "session":
            shop.issuer.reinstate(kind, id)
    if kind != "session":
        assert [shop.call(READ, token=one).status_code for one in tokens] == [200, 200]


def test_a_sub_agent_ends_alone_with_those_below_it(shop: Shop) -> None:
    tree = Tree(shop)
    child, sibling = tree.sub_agent(), tree.sub_agent()
    below = tree.sub_agent(child)
    ending, going_on = [tree.token(child), tree.token(below, child)], [tree.token(), tree.token(sibling)]
    for token in (*ending, *going_on):
        assert shop.call(READ, token=token).status_code == 200
    shop.issuer.revoke("agent", child)
    assert [refusal(shop.call(READ, token=one))["rule"] for one in ending] == ["standing.agent"] * 2
    assert [shop.call(READ, token=one).status_code for one in going_on] == [200, 200]
    entry = next(one for one in shop.entries(shop.token(tree.grant))[::-1] if one["rule"] == "revoked.agent")
    assert entry["agent"] == child


def test_a_ban_of_the_agent_is_no_way_around_for_a_sub_agent(shop: Shop) -> None:
    tree = Tree(shop)
    child = tree.sub_agent()
    shop.call("setDemoMode", {"mode": "banned"}, token=tree.token())
    banned = refusal(shop.call(READ, token=tree.token(child)))
    assert (banned["rule"], wording(banned)[0]) == ("standing.banned", "handed_on")
    shop.call("prettyPlease", token=tree.token())
    shop.call("setDemoMode", {"mode": "banned"}, token=tree.token(child))
    assert shop.call(READ, token=tree.token()).status_code == 200, "a sub-agent shuts nobody else out"


@pytest.mark.parametrize(
    "act",
    [
        {"sub": "agent_x", "act": {"name": "nobody"}},
        {"sub": "agent_x", "act": "agent_y"},
        {"sub": "agent_x", "act": {"sub": "agent_x"}},
        {"sub": "agent_x", "act": {"sub": ""}},
    ],
    ids=str,
)
def test_a_chain_that_cannot_be_read_is_no_chain_that_ends_early(shop: Shop, act: dict[str, Any]) -> None:
    assert refusal(shop.call(READ, token=shop.token(shop.grant(), act=act)))["rule"] == "token.malformed"


def test_a_chain_without_end_is_refused(shop: Shop) -> None:
    tree = Tree(shop)
    token = tree.token(*(f"agent_{number}" for number in range(8)))
    assert refusal(shop.call(READ, token=token))["rule"] == "token.malformed"


@pytest.mark.parametrize("by", ["somebody else", "the agent", 7])
def test_a_limit_of_who_is_no_sub_agent_here_grants_nothing(shop: Shop, by: Any) -> None:
    tree = Tree(shop)
    child = tree.sub_agent()
    details = [spending(3000, shop.resource, spent_by=tree.agent if by == "the agent" else by), tree.limit]
    token = tree.token(child, authorization_details=details)
    assert refusal(shop.buy(token=token))["rule"] == "limits.consent"


def test_a_sub_agent_is_sent_to_the_agent_above_and_to_no_human(shop: Shop) -> None:
    tree = Tree(shop)
    token = tree.token(tree.sub_agent(), scope="shop:read")
    assert wording(refusal(shop.buy(token=token)))[0] == "handed_on"
    assert wording(refusal(shop.buy(token=tree.token(scope="shop:read"))))[0] == "main"
    child = tree.sub_agent()
    over = [refusal(shop.call(READ, token=tree.token(*through, exp=1))) for through in ((child,), ())]
    assert [(one["rule"], wording(one)[0]) for one in over] == [
        ("token.expired", "handed_on"),
        ("token.expired", "main"),
    ]
    refused = refusal(shop.buy(token=tree.token(child, authorization_details=None)))
    assert (refused["rule"], wording(refused)[0]) == ("limits.consent", "handed_on")
