"""What belongs to one issuer goes to no other, whatever the server says today; and issuers of other habits."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent
from deputize import OAuthRefused
from deputize.errors import ServerUnreachable
from deputize.oauth.browser_flow import BROWSER
from tests.conftest import HANGS
from tests.unit.client.fakes import Fake, Reply, agent_at, faking, granted, oauth
from tests.unit.deputize.oauth.conftest import AuthServer, log_in


def moved(auth_server: AuthServer, to: Fake) -> None:
    """The server names another authorization server from now on, which has every endpoint."""
    auth_server.shop.resource["authorization_servers"] = [to.base]
    metadata = {"issuer": to.base, "code_challenge_methods_supported": ["S256"]}
    for name in ("token", "authorization", "registration", "revocation", "introspection", "userinfo"):
        metadata[f"{name}_endpoint"] = f"{to.base}/{name}"
        to.on[f"/{name}"] = Reply(json={"active": True, "client_id": "elsewhere"})
    to.on["/.well-known/oauth-authorization-server"] = Reply(json=metadata)


@pytest.mark.parametrize("gone", [True, False])
def test_a_token_is_given_back_to_its_own_issuer_or_to_nobody(
    auth_server: AuthServer, agent: Agent, tmp_path: Path, gone: bool
) -> None:
    auth_server.shop.metadata["revocation_endpoint"] = f"{auth_server.base}/revoke"
    auth_server.shop.fake.on["/revoke"] = Reply(200)
    log_in(agent)
    with faking() as other:
        moved(auth_server, other)
        if gone:
            for place in ("oauth-authorization-server", "openid-configuration"):
                auth_server.shop.fake.on[f"/.well-known/{place}"] = Reply(404)
        again = agent_at(auth_server.base, tmp_path, client_id=None)
        token = again.stored()
        assert token is not None
        challenged = again.tools(token="none").challenge
        assert challenged is not None
        again.discover(challenged)
        why = again.logout()
        assert (why is not None) is gone
        assert len(auth_server.shop.fake.to("/revoke")) == (0 if gone else 1)
        assert all(b"r-012345" not in one.body and b"access-0" not in one.body for one in other.requests)


def test_an_opaque_token_is_shown_to_its_own_issuer_alone(
    auth_server: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    token = log_in(agent)
    with faking() as other:
        moved(auth_server, other)
        again = agent_at(auth_server.base, tmp_path, client_id=None)
        challenged = again.tools(token="none").challenge
        assert challenged is not None
        again.discover(challenged)
        assert again.view(token).told_by is None
        assert [one for one in other.requests if one.method == "POST" or "authorization" in one.headers] == []


def test_a_login_goes_by_what_the_server_says_today(auth_server: AuthServer, agent: Agent, tmp_path: Path) -> None:
    token = log_in(agent)
    with faking() as other:
        moved(auth_server, other)
        again = agent_at(auth_server.base, tmp_path, client_id=None)
        again.view(token)
        login = again.start_login(("shop:read",), BROWSER)
        login.close()
        assert login.asked.metadata.issuer == other.base


def test_a_token_without_an_end_and_without_a_refresh_token_is_used_until_it_is_refused(
    auth_server: AuthServer, agent: Agent
) -> None:
    auth_server.shop.polls(Reply(json={"access_token": "gho_0123456789", "token_type": "bearer", "scope": "repo,gist"}))
    token = log_in(agent)
    assert token.expires_at > time.time() + 86400
    assert token.scope == ("repo", "gist")
    agent.call("x", {})
    assert auth_server.shop.fake.to("/mcp")[-1].headers["authorization"] == "Bearer gho_0123456789"


def test_errors_that_come_with_http_200_are_errors(auth_server: AuthServer, agent: Agent) -> None:
    pending = Reply(200, json={"error": "authorization_pending"})
    auth_server.shop.polls(pending, pending, granted())
    login = agent.start_login(("shop:read",))
    assert agent.finish_login(login, timeout=HANGS).access_token
    auth_server.shop.polls(Reply(200, json={"error": "bad_verification_code"}))
    with pytest.raises(OAuthRefused) as refused:
        log_in(agent)
    assert refused.value.oauth_error == "bad_verification_code"


def test_a_busy_authorization_server_sends_nobody_to_log_in(auth_server: AuthServer, agent: Agent) -> None:
    log_in(agent)
    for status, error in ((429, "too_many_requests"), (503, "temporarily_unavailable")):
        auth_server.shop.polls(oauth(error, status))
        with pytest.raises(ServerUnreachable, match="cannot answer now"):
            agent.refresh()
    assert agent.stored() is not None


def test_a_401_that_does_not_say_why_is_answered_with_one_renewal(auth_server: AuthServer, agent: Agent) -> None:
    log_in(agent)
    auth_server.shop.polls(granted(access_token="access-9876543210"))
    refusal = (("www-authenticate", 'Bearer error="invalid_token", error_description="Authentication required"'),)
    auth_server.shop.fake.on["/mcp"] = lambda request: (
        Reply(401, headers=refusal)
        if request.headers.get("authorization") == "Bearer access-0123456789"
        else Reply(
            200,
            json={"jsonrpc": "2.0", "id": request.json["id"], "result": {"content": [], "resultType": "complete"}},
        )
    )
    assert agent.call("x", {}).status == 200
    assert auth_server.forms[-1]["grant_type"] == ["refresh_token"]


def test_a_renewal_under_way_does_not_undo_a_login_or_a_logout(
    auth_server: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    token = log_in(agent)
    for after in ("login", "logout"):
        agent.authorizer.credentials.keep(token)
        other = agent_at(auth_server.base, tmp_path, client_id=None)
        auth_server.shop.fake.on["/token"] = replace(granted(access_token="renewed-0123456789"), wait=1.0)
        renewing = threading.Thread(target=other.refresh, daemon=True)
        renewing.start()
        time.sleep(0.4)
        if after == "login":
            agent.authorizer.credentials.keep(replace(token, access_token="fresh-login-0123", scope=("more",)))
        else:
            agent.authorizer.credentials.forget()
        renewing.join(60)
        held = agent.stored()
        assert (held.access_token if held else None) == ("fresh-login-0123" if after == "login" else None)


def test_trouble_at_one_place_and_nothing_at_another_is_trouble(auth_server: AuthServer, agent: Agent) -> None:
    auth_server.shop.fake.on["/.well-known/oauth-authorization-server"] = Reply(502)
    auth_server.shop.fake.on["/.well-known/openid-configuration"] = Reply(404)
    with pytest.raises(ServerUnreachable, match="cannot answer now"):
        agent.start_login(("shop:read",), BROWSER)


def test_a_lifetime_in_quotes_is_understood(auth_server: AuthServer, agent: Agent) -> None:
    auth_server.shop.device["expires_in"] = "900"
    assert agent.start_login(("shop:read",)).code.expires_at > time.time() + 800
