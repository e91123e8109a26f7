"""An agent hands on less than it has (RFC 8693): the sub-agent's own slot and key, its chain, its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent
from deputize import OAuthRefused, TokenStore
from deputize.errors import Remedy
from deputize.evidence import Money
from deputize.oauth.dpop import ProofKey
from tests.conftest import serving
from tests.unit.client.fakes import SHIRT, agent_at, log_in

READ = "listMcpShopInventory"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with serving(tmp_path / "server.sqlite3") as url:
        agent = agent_at(url, tmp_path / "agent")
        log_in(agent, spending=Money(6000))
        yield agent


def test_a_sub_agent_has_a_key_a_slot_and_a_chain_of_its_own(agent: Agent) -> None:
    scout = agent.hand_on("Scout", scopes=("shop:read",))
    above, token = agent.token(), scout.token()
    assert token.scope == ("shop:read",) and token.refresh_token is None and token.spending_limit is None
    assert token.dpop_key is not None and token.dpop_key != above.dpop_key
    chain, seen = scout.chain(token), scout.view(token)
    assert chain.handed_on_by == (agent.chain(above).agent,) and chain.agent != agent.chain(above).agent
    assert seen.claim("act.act.sub") == agent.chain(above).agent and not seen.problems
    assert scout.call(READ, {}).allowed
    refused = scout.call("buyMcpShopItem", SHIRT)
    assert refused.decision is not None and refused.decision.rule == "scope.insufficient"
    assert refused.decision.handed_on_by == agent.chain(above).agent


def test_a_budget_is_spent_once_and_the_agents_own_is_not(agent: Agent) -> None:
    buyer = agent.hand_on("Buyer", scopes=("shop:buy",), spending=Money(3000))
    bought = buyer.call("buyMcpShopItem", SHIRT)
    assert bought.order is not None and bought.order.balance == Money(500)
    again = buyer.call("buyMcpShopItem", SHIRT)
    assert again.decision is not None and again.decision.rule == "limits.spending"
    own = agent.call("buyMcpShopItem", SHIRT)
    assert own.order is not None and own.order.balance == Money(1000)


def test_what_has_ended_is_handed_on_again_to_the_same_sub_agent(agent: Agent) -> None:
    scout = agent.hand_on("Scout", scopes=("shop:read",))
    before = scout.token()
    agent.store.put(scout.slot, replace(before, expires_at=0.0))
    after = scout.token()
    assert after.access_token != before.access_token and after.dpop_key == before.dpop_key
    assert scout.chain(after).agent == scout.chain(before).agent
    assert agent.hand_on("Scout", scopes=("shop:read",)).token().dpop_key == before.dpop_key


def test_without_the_agent_above_it_has_nothing_any_more(agent: Agent) -> None:
    scout = agent.hand_on("Scout", scopes=("shop:read",))
    agent.store.put(scout.slot, replace(scout.token(), expires_at=0.0))
    agent.logout()
    with pytest.raises(OAuthRefused) as refused:
        scout.token()
    assert refused.value.oauth_error == "not_logged_in"
    assert refused.value.remedy == Remedy("log_in")


def test_where_the_agent_above_was_revoked_the_help_is_its_login_and_not_less(agent: Agent) -> None:
    scout = agent.hand_on("Scout", scopes=("shop:read",))
    above = agent.token()
    assert agent.revoke(above) is None
    agent.store.put(scout.slot, replace(scout.token(), expires_at=0.0))
    asked = [scout.token, lambda: agent.hand_on("Other", scopes=("shop:read",))]
    # Its access token, which is not over by its own time, is exchanged in vain; then it cannot even be renewed.
    for error in ("invalid_request", "invalid_grant"):
        said = []
        for ask in asked:
            with pytest.raises(OAuthRefused) as refused:
                ask()
            assert (refused.value.oauth_error, refused.value.remedy) == (error, Remedy("log_in"))
            said.append(refused.value.do)
        assert said[0] != said[1], "who is below is not told to log in itself"
        agent.store.put(agent.slot, replace(above, expires_at=0.0))


@pytest.mark.parametrize(
    ("scopes", "spending", "error"),
    [
        (("user:read",), None, "invalid_scope"),
        (("shop:buy",), Money(6001), "invalid_authorization_details"),
        (("shop:buy",), None, "invalid_authorization_details"),
    ],
)
def test_more_than_it_has_is_refused_in_the_standards_words(
    agent: Agent, scopes: tuple[str, ...], spending: Money | None, error: str
) -> None:
    with pytest.raises(OAuthRefused) as refused:
        agent.hand_on("Greedy", scopes=scopes, spending=spending)
    assert (refused.value.oauth_error, refused.value.remedy) == (error, None)
    assert agent.store.get("agent/Greedy") is None


def test_secrets_of_a_sub_agent_are_in_no_recording(agent: Agent) -> None:
    scout = agent.hand_on("Scout", scopes=("shop:read",))
    token = scout.token()
    assert token.dpop_key is not None
    recorded = repr(agent.recorder.take())
    for secret in (token.access_token, agent.token().access_token, token.dpop_key):
        assert secret not in recorded
    assert ProofKey.from_json(token.dpop_key).thumbprint and isinstance(agent.store, TokenStore)
