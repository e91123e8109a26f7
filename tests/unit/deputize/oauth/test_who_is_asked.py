"""Who the human is: asked where it is granted, and never at the price of the grant."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client import Agent
from deputize import OAuthRefused
from tests.unit.client.fakes import Reply, agent_at, granted, oauth
from tests.unit.deputize.oauth.conftest import AuthServer, log_in

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTcifQ."  # {"alg": "none"}, {"sub": "user-7"}


@pytest.fixture
def asked(auth_server: AuthServer) -> AuthServer:
    """An authorization server with a userinfo endpoint that takes no token made for the shop."""
    auth_server.shop.metadata["userinfo_endpoint"] = f"{auth_server.base}/userinfo"
    auth_server.shop.fake.on["/userinfo"] = oauth("invalid_token", 401)
    return auth_server


def renewals(auth_server: AuthServer) -> list[dict[str, list[str]]]:
    return [form for form in auth_server.forms if form["grant_type"] == ["refresh_token"]]


@pytest.mark.parametrize("token", ["opaque-0123456789", JWT])
@pytest.mark.parametrize("scope", ["shop:read", "shop:read openid"])
def test_no_refresh_token_is_spent_on_who_the_human_is(
    asked: AuthServer, agent: Agent, tmp_path: Path, token: str, scope: str
) -> None:
    asked.shop.polls(granted(access_token=token, scope=scope))
    log_in(agent)
    for _ in range(2):
        again = agent_at(asked.base, tmp_path, client_id=None)
        held = again.token()
        view = again.view(held)
        if view.kind == "jwt":
            assert again.chain(held, seen=view).human == "user-7"
    assert renewals(asked) == []
    assert bool(asked.shop.fake.to("/userinfo")) is ("openid" in scope)


def test_without_openid_nobody_is_asked_and_it_is_said(asked: AuthServer, agent: Agent) -> None:
    token = log_in(agent)
    with pytest.raises(OAuthRefused) as refused:
        agent.userinfo(token)
    assert "openid" in refused.value.why and "openid" in refused.value.do
    assert not asked.shop.fake.to("/userinfo")


def test_a_token_for_userinfo_is_asked_for_where_it_is_a_resource_and_a_refusal_is_remembered(
    asked: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    asked.shop.metadata["protected_resources"] = [f"{asked.base}/mcp", f"{asked.base}/userinfo"]
    asked.shop.polls(granted(scope="openid"), oauth("invalid_target"), granted())
    log_in(agent)
    for _ in range(2):
        again = agent_at(asked.base, tmp_path, client_id=None)
        with pytest.raises(OAuthRefused):
            again.userinfo(again.token())
    (renewal,) = renewals(asked)
    assert renewal["resource"] == [f"{asked.base}/userinfo"]


def test_where_userinfo_takes_the_shops_token_it_tells(asked: AuthServer, agent: Agent) -> None:
    asked.shop.fake.on["/userinfo"] = Reply(json={"sub": "user-7", "email": "alice@example.com", "phone_number": None})
    asked.shop.polls(granted(scope="openid"))
    assert agent.userinfo(log_in(agent)) == {"sub": "user-7", "email": "alice@example.com"}
