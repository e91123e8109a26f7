"""Staying signed in: tokens renewed before they end, by one process at a time, and never at the cost of a login."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent
from demo.errors import REFUSED, UNREACHABLE
from deputize import OAuthRefused, StoredToken
from deputize.errors import AuthorizationRefused, ExplainedError, Remedy, ServerUnreachable
from tests.conftest import HANGS, ROOT
from tests.unit.client.fakes import Reply, Shop, agent_at, granted, log_in, oauth, store_in


@pytest.fixture
def agent(server: str, tmp_path: Path) -> Agent:
    """An agent that is logged in."""
    one = agent_at(server, tmp_path)
    log_in(one)
    one.recorder.take()
    return one


def expire(agent: Agent) -> StoredToken:
    """Make the stored token end a minute ago, by the store's own account."""
    token = agent.stored()
    assert token is not None
    ended = replace(token, expires_at=time.time() - 60)
    agent.store.put(agent.slot, ended)
    return ended


def asked(agent: Agent, path: str) -> int:
    return sum(1 for exchange in agent.recorder.exchanges if exchange.url.partition("?")[0].endswith(path))


def test_an_expired_token_is_renewed_and_never_leads_to_a_new_login(agent: Agent) -> None:
    before = expire(agent)
    outcome = agent.call("listMcpShopInventory", {})
    assert outcome.status == 200
    assert (asked(agent, "/oauth2/token"), asked(agent, "/oauth2/device_authorization")) == (1, 0)
    after = agent.stored()
    assert after is not None
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert after.expires_at > time.time() + 200
    assert (after.resource, after.scope) == (before.resource, before.scope)


def test_a_token_that_is_good_for_longer_is_used_as_it_is(agent: Agent) -> None:
    before = agent.stored()
    assert agent.token() == before
    assert agent.recorder.exchanges == []


def test_a_token_within_the_margin_is_renewed(agent: Agent) -> None:
    before = agent.stored()
    assert agent.token(margin=301) != before


def test_two_processes_that_renew_at_once_both_end_logged_in(agent: Agent, server: str, tmp_path: Path) -> None:
    before = expire(agent)
    start = time.time() + 1.0
    command = [sys.executable, "tests/unit/client/racing.py", server, str(tmp_path), str(start)]
    racers = [
        subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) for _ in range(2)
    ]
    said = [racer.communicate(timeout=HANGS)[0].decode().split() for racer in racers]
    assert [status for status, _ in said] == ["200", "200"]
    assert said[0][1] == said[1][1], "the second one renewed again what the first had just renewed"
    after = agent.stored()
    assert after is not None
    assert after.access_token.endswith(said[0][1])
    assert after.refresh_token != before.refresh_token
    assert agent.refresh().access_token  # and the login still stands


def test_a_rotated_refresh_token_is_kept_with_the_old_access_token_where_asked(agent: Agent) -> None:
    before = agent.stored()
    assert before is not None
    fresh = agent.refresh(keep=False)
    after = agent.stored()
    assert after == replace(before, refresh_token=fresh.refresh_token)
    assert fresh.refresh_token != before.refresh_token


def test_a_shorter_life_is_had_for_the_asking(agent: Agent) -> None:
    short = agent.refresh(requested_expires_in=20, keep=False)
    assert short.expires_at - time.time() == pytest.approx(20, abs=2)
    assert agent.token().expires_at > time.time() + 200


def test_a_longer_life_is_not(agent: Agent) -> None:
    assert agent.refresh(requested_expires_in=10**6, keep=False).expires_at < time.time() + 301


def test_a_token_for_another_resource_says_so_and_does_not_open_the_shop(agent: Agent, server: str) -> None:
    other = agent.refresh(resource=f"{server}/oauth2/userinfo", keep=False)
    assert other.resource == f"{server}/oauth2/userinfo"
    assert agent.view(other).claim("aud") == f"{server}/oauth2/userinfo"
    refused = agent.call("listMcpShopInventory", {}, token=other)
    assert refused.status == 401
    assert refused.decision is not None and refused.decision.rule == "token.audience"
    assert agent.token().resource == f"{server}/mcp"


def test_a_resource_that_was_not_granted_is_refused_and_the_login_stands(agent: Agent) -> None:
    with pytest.raises(OAuthRefused) as refused:
        agent.refresh(resource="https://elsewhere.example/mcp")
    assert (refused.value.oauth_error, refused.value.exit_code) == ("invalid_target", REFUSED)
    assert agent.refresh().access_token


def test_another_clients_refresh_token_is_no_use(agent: Agent) -> None:
    token = agent.stored()
    assert token is not None
    assert agent.redeem(token, client_id="demo-rival") == (400, "invalid_grant")
    assert agent.refresh().access_token


def test_userinfo_asks_for_a_token_of_its_own_and_names_the_human(agent: Agent) -> None:
    before = agent.stored()
    assert before is not None
    assert agent.userinfo(before)["email"] == "alice@example.com"
    after = agent.stored()
    assert after is not None
    assert after.access_token == before.access_token


def test_logging_out_ends_the_login_at_the_authorization_server_and_here(agent: Agent) -> None:
    token = agent.stored()
    assert token is not None
    assert agent.logout() is None
    assert agent.stored() is None
    assert agent.redeem(token, client_id=token.client_id)[1] == "invalid_grant"
    with pytest.raises(AuthorizationRefused) as refused:
        agent.call("listMcpShopInventory", {})
    assert refused.value.remedy == Remedy("log_in")
    assert agent.logout() is not None


def test_a_logout_that_the_server_does_not_hear_still_forgets(shop: Shop, tmp_path: Path) -> None:
    shop.polls(granted())
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))
    assert agent.logout() is not None
    assert agent.stored() is None


def logged_in_at(shop: Shop, folder: Path, *later: Reply) -> Agent:
    """An agent at a fake whose token has ended; `later` is what its authorization server answers from now on."""
    shop.polls(granted(expires_in=0), *later)
    agent = agent_at(shop.fake.base, folder)
    agent.finish_login(agent.start_login(["shop:read"]))
    return agent


def test_a_refusal_to_renew_asks_for_a_login_and_keeps_what_is_stored(shop: Shop, tmp_path: Path) -> None:
    agent = logged_in_at(shop, tmp_path, oauth("invalid_grant"))
    with pytest.raises(OAuthRefused) as refused:
        agent.token()
    assert (refused.value.oauth_error, refused.value.remedy) == ("invalid_grant", Remedy("log_in"))
    assert agent.stored() is not None  # its agent may be reinstated


@pytest.mark.parametrize("trouble", [Reply(503), Reply(429), Reply(502, body=b"<html>bad gateway")])
def test_an_authorization_server_in_trouble_has_refused_nothing(shop: Shop, tmp_path: Path, trouble: Reply) -> None:
    agent = logged_in_at(shop, tmp_path, trouble, granted())
    with pytest.raises(ServerUnreachable) as failed:
        agent.token()
    assert failed.value.exit_code == UNREACHABLE
    assert agent.token().access_token  # and the next try finds the login as it was


def test_an_answer_without_a_new_refresh_token_leaves_the_old_one(shop: Shop, tmp_path: Path) -> None:
    agent = logged_in_at(
        shop, tmp_path, Reply(json={"access_token": "second-0123", "token_type": "bearer", "expires_in": 99})
    )
    token = agent.token()
    assert (token.access_token, token.refresh_token, token.scope) == ("second-0123", "r-012345", ("shop:read",))


def test_without_a_refresh_token_the_end_is_the_end(shop: Shop, tmp_path: Path) -> None:
    shop.polls(granted(expires_in=0, refresh_token=None))
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))
    with pytest.raises(ExplainedError) as refused:
        agent.token()
    assert refused.value.exit_code == REFUSED
    assert "offline_access" in refused.value.why


def test_a_lost_answer_loses_no_login(agent: Agent, server: str, tmp_path: Path) -> None:
    before = agent.stored()
    assert before is not None
    agent.refresh()
    store_in(tmp_path, server).put("agent", before)  # as if the answer had never come
    assert agent.refresh().access_token
