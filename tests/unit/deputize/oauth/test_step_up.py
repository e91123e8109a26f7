"""What follows a refusal: a renewal, a login, one scope more; and that it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent
from deputize import OAuthRefused, StoredToken
from deputize.oauth.browser_flow import BROWSER
from tests.unit.client.fakes import Reply, agent_at, granted, log_in
from tests.unit.deputize.oauth.conftest import AuthServer
from tests.unit.deputize.oauth.conftest import log_in as log_in_by_browser


class Human:
    """Obtains tokens, and remembers for which scopes it was asked."""

    def __init__(self, agent: Agent, scope: str | None = None) -> None:
        self.agent, self.asked, self.scope = agent, list[tuple[str, ...]](), scope

    def __call__(self, scopes: tuple[str, ...]) -> StoredToken:
        self.asked.append(scopes)
        return log_in(self.agent, scopes=scopes)[1]


def test_without_a_token_the_servers_own_challenge_says_what_to_ask(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    human = Human(agent)
    assert agent.call("listMcpShopInventory", {}, obtain=human).allowed
    assert len(human.asked) == 1 and "shop:read" in human.asked[0]
    assert agent.call("listMcpShopInventory", {}, obtain=human).allowed
    assert len(human.asked) == 1


def test_one_thing_more_is_asked_for_with_what_it_had(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    log_in(agent, scopes=("openid", "shop:read"))
    human = Human(agent)
    outcome = agent.call("getUserInfo", {}, obtain=human)
    assert outcome.allowed
    assert [set(scopes) for scopes in human.asked] == [{"openid", "shop:read", "user:read"}]


def test_without_obtain_the_refusal_is_the_answer(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    log_in(agent, scopes=("openid", "shop:read"))
    assert agent.call("getUserInfo", {}).status == 403


def test_a_no_ends_it(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    log_in(agent, scopes=("openid", "shop:read"))

    def no(scopes: tuple[str, ...]) -> StoredToken:
        raise OAuthRefused("the human said no", oauth_error="access_denied")

    with pytest.raises(OAuthRefused, match="said no"):
        agent.call("getUserInfo", {}, obtain=no)
    assert agent.call("listMcpShopInventory", {}).allowed, "the old token still stands"


def test_a_refusal_that_more_scope_would_not_change_asks_nobody(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    log_in(agent, account="mallory@example.org", scopes=("openid", "shop:read"))
    human = Human(agent)
    outcome = agent.call("listMcpShopInventory", {}, obtain=human)
    assert outcome.decision is not None and outcome.decision.rule == "allowlist.user"
    assert human.asked == []


def test_a_server_that_is_never_content_asks_the_human_three_times_at_most(
    agent: Agent, auth_server: AuthServer
) -> None:
    wanted = iter(f"scope-{number}" for number in range(100))

    def more(_: object) -> Reply:
        challenge = f'Bearer error="insufficient_scope", scope="{next(wanted)}"'
        return Reply(403, headers=(("www-authenticate", challenge),))

    log_in_by_browser(agent)
    auth_server.shop.fake.on["/mcp"] = more
    asked: list[tuple[str, ...]] = []

    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        asked.append(scopes)
        token = agent.stored()
        assert token is not None
        return replace(token, scope=scopes)

    assert agent.call("x", {}, obtain=obtain).status == 403
    assert len(asked) == 3
    assert set(asked[0]) < set(asked[1]) < set(asked[2]), "what was granted before is asked for again with the rest"


def test_a_scope_that_is_there_already_is_not_asked_for_again(agent: Agent, auth_server: AuthServer) -> None:
    auth_server.shop.polls(granted(scope="shop:read admin"))
    log_in_by_browser(agent)
    challenge = 'Bearer error="insufficient_scope", scope="admin"'
    auth_server.shop.fake.on["/mcp"] = Reply(403, headers=(("www-authenticate", challenge),))
    asked: list[tuple[str, ...]] = []

    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        asked.append(scopes)
        raise AssertionError

    assert agent.call("x", {}, obtain=obtain).status == 403
    assert asked == []


def test_an_expired_token_after_a_restart_is_renewed_and_nobody_is_asked(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    _, token, _ = log_in(agent)
    agent.authorizer.credentials.keep(replace(token, expires_at=0.0))
    again = agent_at(server, tmp_path)
    human = Human(again)
    assert again.call("listMcpShopInventory", {}, obtain=human).allowed
    assert human.asked == []
    renewed = again.stored()
    assert renewed is not None and renewed.access_token != token.access_token


def test_step_up_goes_by_the_challenge_of_the_refusal(auth_server: AuthServer, tmp_path: Path) -> None:
    """Where everybody may list the tools, only the refused call says where to go."""
    agent = agent_at(auth_server.base, tmp_path, client_id=None)
    auth_server.shop.metadata["scopes_supported"] = ["a", "b", "offline_access"]
    auth_server.shop.polls(granted(scope="a"))  # nothing of offline_access in it, and a refresh token all the same
    log_in_by_browser(agent)
    hint = f'resource_metadata="{auth_server.base}/.well-known/oauth-protected-resource/mcp"'
    challenge = f'Bearer error="insufficient_scope", scope="b", {hint}'
    auth_server.shop.fake.on["/mcp"] = lambda request: (
        Reply(403, headers=(("www-authenticate", challenge),))
        if b"tools/call" in request.body
        else Reply(200, json={"jsonrpc": "2.0", "id": request.json["id"], "result": {"tools": []}})
    )
    again = agent_at(auth_server.base, tmp_path, client_id=None)
    asked: list[tuple[str, ...]] = []

    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        asked.append(scopes)
        again.start_login(scopes, BROWSER).close()
        raise OAuthRefused("enough", oauth_error="given_up")

    with pytest.raises(OAuthRefused, match="enough"):
        again.call("x", {}, obtain=obtain)
    assert set(asked[0]) == {"a", "b", "offline_access"}


def test_a_revoked_login_is_begun_afresh(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    _, token, _ = log_in(agent)
    assert agent.revoke(token) is None
    human = Human(agent)
    assert agent.call("listMcpShopInventory", {}, obtain=human).allowed
    assert len(human.asked) == 1
