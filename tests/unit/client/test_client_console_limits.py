"""What the console's human may not touch, and a trail read page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client import Agent, Console, SampleHuman
from demo.errors import REFUSED
from deputize import OAuthRefused
from deputize.errors import ServerUnreachable
from tests.conftest import console_at
from tests.unit.client.fakes import ALICE, Reply, Shop, agent_at, granted, log_in, store_in

MALLORY = "mallory@example.org"
TOOL = "listMcpShopInventory"


@pytest.fixture
def agent(server: str, tmp_path: Path) -> Agent:
    """An agent of Alice's."""
    one = agent_at(server, tmp_path / "agent")
    log_in(one)
    return one


def console(server: str, folder: Path, account: str) -> Console:
    one = console_at(server, store_in(folder / account, server))
    one.sign_in(SampleHuman(account))
    return one


@pytest.mark.parametrize("kind", ["session", "agent", "user"])
def test_what_is_somebody_elses_is_refused_and_stays_as_it_was(
    kind: str, agent: Agent, server: str, tmp_path: Path
) -> None:
    session = next(one for one in console(server, tmp_path, ALICE).sessions() if one.agent)
    theirs = {"session": session.id, "agent": session.agent, "user": "user_alice"}[kind]
    mallory = console(server, tmp_path, MALLORY)
    assert session.id not in [one.id for one in mallory.sessions()]
    with pytest.raises(OAuthRefused) as refused:
        mallory.revoke(kind, theirs)
    assert refused.value.exit_code == REFUSED
    with pytest.raises(OAuthRefused):
        mallory.reinstate(kind, theirs)
    # One and the same answer for what is not there: it tells nobody what exists.
    with pytest.raises(OAuthRefused) as missing:
        mallory.revoke(kind, f"{kind}_nobody")
    assert missing.value.oauth_error == refused.value.oauth_error
    assert agent.call(TOOL, {}).status == 200


def test_a_session_once_revoked_is_not_given_back(agent: Agent, server: str, tmp_path: Path) -> None:
    human = console(server, tmp_path, ALICE)
    session = next(one for one in human.sessions() if one.agent)
    human.revoke("session", session.id)
    human.revoke("session", session.id)  # said twice, it is as true as once
    with pytest.raises(OAuthRefused):
        human.reinstate("session", session.id)


def test_the_agents_own_token_opens_no_console(agent: Agent, server: str, tmp_path: Path) -> None:
    store = store_in(tmp_path / "agent", server)
    token = agent.stored()
    assert token is not None
    store.put("console", token)
    usurper = console_at(server, store)
    assert usurper.signed_in() is False
    with pytest.raises(OAuthRefused):
        usurper.sessions()
    with pytest.raises(OAuthRefused):
        usurper.audit()


def test_the_trail_is_read_page_by_page_without_gap_or_repetition(agent: Agent, server: str, tmp_path: Path) -> None:
    for _ in range(5):
        agent.call(TOOL, {})
    human = console(server, tmp_path, ALICE)
    whole = human.audit(limit=1000)
    assert len(whole) > 5
    pages = [human.audit(after=whole[0].audit_id, limit=2)]
    while pages[-1]:
        pages.append(human.audit(after=pages[-1][-1].audit_id, limit=2))
    assert [entry for page in pages for entry in page] == list(whole[1:])
    assert human.audit(limit=2) == whole[-2:]
    assert len({entry.audit_id for entry in whole}) == len(whole)


def test_entries_that_are_none_and_escapes_in_them_do_no_harm(shop: Shop, tmp_path: Path) -> None:
    shop.polls(granted())
    good = {"audit_id": "a\x1b1", "at": 1.0, "verdict": "deny", "gate": "scope", "rule": "r", "reason": "\x1b[2Jno"}
    shop.fake.on["/audit"] = Reply(json={"entries": [7, None, {}, good | {"verdict": "maybe"}, good]})
    human = Console(shop.fake.base, store=store_in(tmp_path, shop.fake.base))
    human.agent.finish_login(human.agent.start_login(["audit:read"]))
    (entry,) = human.audit()
    assert "\x1b" not in entry.reason + entry.audit_id


def test_a_server_without_a_console_is_told_as_one(shop: Shop, tmp_path: Path) -> None:
    shop.polls(granted())
    shop.fake.on["/audit"] = Reply(404, body=b"nothing here")
    human = Console(shop.fake.base, store=store_in(tmp_path, shop.fake.base))
    human.agent.finish_login(human.agent.start_login(["audit:read"]))
    with pytest.raises(ServerUnreachable, match="does not exist"):
        human.audit()
