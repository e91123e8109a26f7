"""Opaque tokens: what their authorization server says of them, and what stays unknown; and giving tokens back."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client import Agent
from deputize import OAuthRefused
from tests.unit.client.fakes import Reply, agent_at, granted, oauth
from tests.unit.deputize.oauth.conftest import AuthServer, log_in


@pytest.fixture
def asked(auth_server: AuthServer) -> AuthServer:
    auth_server.shop.metadata |= {
        "introspection_endpoint": f"{auth_server.base}/introspect",
        "userinfo_endpoint": f"{auth_server.base}/userinfo",
    }
    return auth_server


def test_introspection_is_asked_first_and_its_word_is_marked_as_its_own(asked: AuthServer, agent: Agent) -> None:
    asked.shop.fake.on["/introspect"] = Reply(
        json={"active": True, "sub": "user-7", "scope": "shop:read", "username": "alice\x1b[2J"}
    )
    view = agent.view(log_in(agent))
    assert view.kind == "opaque" and view.active is True
    assert view.told_by == f"introspection, {asked.base}/introspect"
    assert view.claim("sub") == "user-7"
    assert "\x1b" not in (view.claim("username") or "")
    assert view.signature is None
    assert view.scopes == ("shop:read",)
    (form,) = (request.form for request in asked.shop.fake.to("/introspect"))
    assert form["token"] == ["access-0123456789"] and form["client_id"] == ["client-1"]
    assert "access-0123456789" not in repr(agent.recorder.exchanges)


def test_an_inactive_token_is_told_as_one(asked: AuthServer, agent: Agent) -> None:
    asked.shop.fake.on["/introspect"] = Reply(json={"active": False})
    view = agent.view(log_in(agent))
    assert view.active is False
    assert any("not active" in problem for problem in view.problems)


@pytest.mark.parametrize(
    "answer", [oauth("invalid_client", 401), Reply(403), Reply(json={}), Reply(json={"active": "yes"}), Reply(500)]
)
def test_where_introspection_is_not_for_us_userinfo_tells_who(asked: AuthServer, agent: Agent, answer: Reply) -> None:
    asked.shop.fake.on["/introspect"] = answer
    asked.shop.fake.on["/userinfo"] = Reply(json={"sub": "user-7", "email": "alice@example.com"})
    asked.shop.polls(granted(scope="openid shop:read"))
    view = agent.view(log_in(agent))
    assert view.told_by == f"userinfo, {asked.base}/userinfo"
    assert view.active is None, "userinfo does not say whether it stands"
    assert view.claim("email") == "alice@example.com"


def test_a_server_that_refuses_a_token_without_a_reason_has_its_authorization_server_asked(
    asked: AuthServer, agent: Agent
) -> None:
    token = log_in(agent)
    asked.shop.fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", 'Bearer error="invalid_token"'),))
    asked.shop.fake.on["/introspect"] = [Reply(403), Reply(json={"active": False})]
    unknown, told = agent.standing(token), agent.standing(token)
    assert (unknown.stands, unknown.revoked) == (False, False)
    assert (told.stands, told.revoked) == (False, True)


def test_a_server_that_has_gone_settles_nothing(auth_server: AuthServer, agent: Agent, tmp_path: Path) -> None:
    token = log_in(agent)
    assert agent_at("http://127.0.0.1:1", tmp_path).standing(token).stands is None


def test_where_nobody_tells_it_is_said_that_nobody_did(auth_server: AuthServer, agent: Agent) -> None:
    view = agent.view(log_in(agent))
    assert view.told_by is None and view.active is None
    assert view.claim("sub") is None
    assert view.claim("exp") is not None, "the token response told it"


@pytest.mark.parametrize("told", [300, None])
def test_an_end_that_nobody_told_is_not_shown(
    auth_server: AuthServer, agent: Agent, tmp_path: Path, told: int | None
) -> None:
    auth_server.shop.polls(granted(expires_in=told))
    log_in(agent)
    again = agent_at(auth_server.base, tmp_path, client_id=None)
    view = again.view(again.token())
    assert (view.claim("exp") is not None, view.expires_at is not None) == (told is not None, told is not None)


def test_the_chain_of_an_opaque_token_is_not_made_up(auth_server: AuthServer, agent: Agent) -> None:
    with pytest.raises(OAuthRefused, match="says nothing about who"):
        agent.chain(log_in(agent))


def test_a_logout_says_why_it_is_not_confirmed_and_forgets_all_the_same(
    auth_server: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    log_in(agent)
    assert "no revocation endpoint (RFC 7009)" in (agent.logout() or "")
    assert agent.stored() is None
    auth_server.shop.metadata["revocation_endpoint"] = f"{auth_server.base}/revoke"
    unsupported = {"error": "unsupported_token_type", "error_description": "Structured tokens cannot be revoked"}
    auth_server.shop.fake.on["/revoke"] = [Reply(503), Reply(400, unsupported), Reply(200)]
    again = agent_at(auth_server.base, tmp_path, client_id=None)
    log_in(again)
    assert "HTTP 503" in (again.logout() or "")
    log_in(again)
    # RFC 7009 section 2.2.1: the answer names what could not be revoked.
    assert "HTTP 400 (unsupported_token_type: Structured tokens cannot be revoked)" in (again.logout() or "")
    log_in(again)
    assert again.logout() is None
    form = auth_server.shop.fake.to("/revoke")[-1].form
    assert form["token"] == ["r-012345"] and form["token_type_hint"] == ["refresh_token"]


def test_what_is_at_hand_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    from tests.unit.client.fakes import log_in as log_in_by_code

    agent = agent_at(server, tmp_path)
    token = log_in_by_code(agent)[1]
    view, person = agent.view(token), agent.userinfo(token)
    agent.recorder.take()
    chain = agent.chain(token, seen=view, person=person)
    assert chain.human == "alice@example.com"
    assert agent.recorder.take() == ()
