"""The authorization server's clock and the shop's differ: what still passes, and what the refusal says to fix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client.agent import Agent
from demo.client.human.sample_human import SampleHuman
from deputize.tokens.store import TokenStore
from tests.contract.shop import Shop, order_of, refusal, wording

READ = "listMcpShopInventory"


@pytest.fixture(autouse=True)
def _heard(apart: Shop) -> Iterator[None]:
    """Before and after each test the shop has heard the authorization server's true clock."""
    assert apart.call(READ, token=apart.token()).status_code == 200
    yield
    assert apart.call(READ, token=apart.token()).status_code == 200


@pytest.mark.parametrize("ahead", [-280, -30, 30, 300])
def test_a_young_token_passes_whatever_clock_the_auth_server_has(apart: Shop, ahead: float) -> None:
    with apart.issuer.clock_ahead(ahead):
        assert order_of(apart.buy(token=apart.token(), key="k"))["replayed"] is False


def test_behind_by_a_tokens_life_every_token_has_expired_on_arrival_and_the_words_say_why(apart: Shop) -> None:
    with apart.issuer.clock_ahead(-310):
        # This token lives long enough for the shop to ask, and so to hear the clock.
        assert apart.call(READ, token=apart.token(exp=int(time.time()) + 60)).status_code == 200
        answer = apart.call(READ, token=apart.token())
    decision = refusal(answer)
    variant, told = wording(decision)
    assert (answer.status_code, decision["rule"], variant) == (401, "token.expired", "behind")
    assert 9 <= int(told["seconds"]) <= 20 and 309 <= int(told["skew"]) <= 311


def test_ahead_a_token_that_has_expired_there_and_not_here_is_refused_as_expired(apart: Shop) -> None:
    with apart.issuer.clock_ahead(300):
        answer = apart.call(READ, token=apart.token(exp=int(time.time()) + 290))
    decision = refusal(answer)
    variant, told = wording(decision)
    assert (answer.status_code, decision["rule"], variant) == (401, "token.expired", "ahead")
    assert 299 <= int(told["skew"]) <= 301


def test_a_revocation_is_told_as_one_whatever_the_clocks_say(apart: Shop) -> None:
    with apart.issuer.clock_ahead(300):
        grant = apart.grant()
        token = apart.token(grant)
        apart.issuer.revoke("session", grant.session.id)
        assert refusal(apart.call(READ, token=token))["rule"] == "standing.session"


@pytest.mark.parametrize("ahead", [-120, 300])
def test_the_agent_renews_by_how_long_a_token_lives_and_not_by_when_it_says_it_ends(
    apart: Shop, tmp_path: Path, ahead: float
) -> None:
    with apart.issuer.clock_ahead(ahead):
        agent = Agent(apart.base, store=TokenStore.open(tmp_path, server=apart.base), client_id=None)
        login = agent.start_login(("openid", "shop:read", "offline_access"))
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
        first = agent.finish_login(login)
        assert abs(first.expires_at - time.time() - 300) < 5, "expires_in, by our own clock"
        assert agent.call(READ, {}).status == 200
        assert agent.token().access_token == first.access_token, "nothing is renewed before it is due"
        short = agent.refresh(requested_expires_in=2)
        time.sleep(2.1)
        assert agent.call(READ, {}).status == 200
        held = agent.stored()
        assert held is not None and held.access_token not in (first.access_token, short.access_token)


def test_an_agent_that_cannot_get_a_token_in_time_gives_up_and_says_which_clock(apart: Shop, tmp_path: Path) -> None:
    with apart.issuer.clock_ahead(-310):
        agent = Agent(apart.base, store=TokenStore.open(tmp_path, server=apart.base), client_id=None)
        login = agent.start_login(("openid", "shop:read", "offline_access"))
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
        agent.finish_login(login)
        apart.call(READ, token=apart.token(exp=int(time.time()) + 60))
        outcome = agent.call(READ, {})
        assert outcome.status == 401
        assert outcome.decision is not None
        assert wording(outcome.decision.to_dict())[0] == "behind"
        assert len(outcome.exchanges) <= 4, "it does not renew for ever"
