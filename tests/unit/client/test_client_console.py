"""The human in control: sees what agents hold, takes it back, and reads the trail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent, Console, SampleHuman
from demo.shop import catalog
from deputize import OAuthRefused, StoredToken
from deputize.errors import AuthorizationRefused, ServerUnreachable
from deputize.evidence import Money
from tests.conftest import console_at
from tests.unit.client.fakes import ALICE, Fake, Reply, Shop, agent_at, log_in, store_in

GRACE = "grace@example.com"
TOOL = "listMcpShopInventory"


@pytest.fixture
def agent(base_url: str, tmp_path: Path) -> Agent:
    agent = agent_at(base_url, tmp_path / "agent")
    log_in(agent, spending=Money(6000))
    return agent


def console(base_url: str, folder: Path, account: str = ALICE) -> Console:
    one = console_at(base_url, store_in(folder / account, base_url))
    one.sign_in(SampleHuman(account))
    return one


def test_the_human_sees_the_session_and_takes_it_back_at_once(agent: Agent, base_url: str, tmp_path: Path) -> None:
    human = console(base_url, tmp_path)
    assert human.signed_in()
    (session,) = [one for one in human.sessions() if one.agent]
    assert session.id == agent.view(agent.token()).claim("sid")
    assert (session.client_name, session.spending_limit, session.revoked_at) == ("Shirt Agent", Money(6000), None)
    assert agent.call(TOOL, {}).allowed
    human.revoke("session", session.id)
    refused = agent.call(TOOL, {})
    assert refused.status == 401
    assert refused.decision is not None and refused.decision.rule == "standing.session"
    assert human.sessions()[0].revoked_at is not None


def test_an_agents_standing_can_be_given_back(agent: Agent, base_url: str, tmp_path: Path) -> None:
    human = console(base_url, tmp_path)
    name = human.sessions()[0].agent
    human.revoke("agent", name)
    assert agent.call(TOOL, {}).status == 401
    human.reinstate("agent", name)
    assert agent.call(TOOL, {}).status == 200


def test_the_trail_is_ones_own_and_an_admin_sees_it_all(agent: Agent, base_url: str, tmp_path: Path) -> None:
    outcome = agent.call(TOOL, {})
    assert outcome.decision is not None
    trail = console(base_url, tmp_path).audit()
    assert outcome.decision in trail
    assert [entry.at for entry in trail] == sorted(entry.at for entry in trail)
    after = console(base_url, tmp_path).audit(after=outcome.decision.audit_id)
    assert outcome.decision not in after
    assert outcome.decision in console(base_url, tmp_path, GRACE).audit()


def test_what_is_not_there_is_refused_in_words(base_url: str, tmp_path: Path) -> None:
    human = console(base_url, tmp_path)
    with pytest.raises(OAuthRefused) as caught:
        human.revoke("session", "session_nobody")
    assert caught.value.why and caught.value.do


def test_nobody_is_signed_in_before_signing_in(base_url: str, tmp_path: Path) -> None:
    human = console_at(base_url, store_in(tmp_path, base_url))
    assert not human.signed_in()
    with pytest.raises(AuthorizationRefused):
        human.sessions()


def test_the_humans_own_token_acts_for_nobody(base_url: str, tmp_path: Path) -> None:
    human = console(base_url, tmp_path)
    seen = human.agent.view(human.agent.token())
    assert seen.problems == ()
    assert seen.claim("act.sub") is None


@pytest.mark.parametrize(
    "answer", [{}, {"sessions": 7, "entries": "x"}, {"sessions": [1, {"id": [2]}], "entries": [{}]}]
)
def test_an_odd_account_api_breaks_nothing(answer: dict[str, Any], shop: Shop, tmp_path: Path) -> None:
    fake: Fake = shop.fake
    human = Console(fake.base, store=store_in(tmp_path, fake.base), timeout=2.0)
    end = time.time() + 60
    token = StoredToken("a-token-1", "r-token-1", end, (), fake.base, f"{fake.base}/token", "demo-console")
    human.agent.store.put("console", token)
    shop.polls(Reply(json={"access_token": "b-token-2", "token_type": "Bearer", "expires_in": 60}))
    fake.on["/account/sessions"] = fake.on["/audit"] = Reply(json=answer)
    assert all(session.created_at == 0.0 for session in human.sessions())
    assert human.audit() == ()
    fake.on["/account/sessions"] = Reply(503)
    with pytest.raises(ServerUnreachable):
        human.sessions()


def test_an_admin_restocks_the_open_door_and_switches_it(base_url: str, tmp_path: Path) -> None:
    admin = console(base_url, tmp_path, GRACE)
    before = admin.set_door("open", open=True)["stock"]
    try:
        closed = admin.set_door("open", stock=7, open=False)
        assert (closed["open"], closed["stock"], closed["description"]) == (False, 7, catalog.ITEM_DESCRIPTION)
        nobody = agent_at(base_url, tmp_path / "nobody")
        refused = nobody.call(TOOL, {}, door="open", token="none")
        assert (refused.status, refused.decision and refused.decision.rule) == (403, "open.closed")
    finally:
        assert admin.set_door("open", stock=before, open=True)["open"] is True
    with pytest.raises(AuthorizationRefused) as told:
        console(base_url, tmp_path).set_door("open", stock=0)
    assert "only an admin" in told.value.why


@pytest.mark.parametrize("told", [{}, {"door": "open", "open": "yes", "stock": 1}, {"open": True}])
def test_a_shop_that_does_not_say_what_it_did_is_not_believed(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    human = console(base_url, tmp_path, GRACE)
    monkeypatch.setattr(human, "_call", lambda *_: type("Told", (), {"json": told})())
    with pytest.raises(ServerUnreachable, match="does not say"):
        human.set_door("open", stock=1)
