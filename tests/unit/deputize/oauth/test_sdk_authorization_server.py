"""Logins at an authorization server that nobody here wrote: the one in MCP's Python SDK, with its own authenticator."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent
from deputize import ClientIdentity, StoredToken
from deputize.net import free_port
from deputize.oauth.browser_flow import BROWSER
from deputize.tokens.identity import AuthMethod
from tests.conftest import HANGS
from tests.unit.client.conftest import listening
from tests.unit.client.fakes import agent_at
from tests.unit.deputize.oauth.conftest import come_back


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with listening("sdk_auth_server.py") as base:
        yield base


def log_in(agent: Agent) -> StoredToken:
    """In a browser that approves at once: the redirects lead it back."""
    login = agent.start_login(agent.wanted_scopes(), BROWSER)
    threading.Thread(target=come_back, args=(login.url,), daemon=True).start()
    return agent.finish_login(login, timeout=HANGS)


def by_hand(base: str, method: AuthMethod) -> ClientIdentity:
    """A client that somebody registered there for this method, and for one port of this machine."""
    redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
    asked = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": method, "scope": "read"}
    asked |= {"grant_types": ["authorization_code", "refresh_token"]}
    request = urllib.request.Request(
        f"{base}/register", json.dumps(asked).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=HANGS) as answer:
        given = json.load(answer)
    return ClientIdentity(
        given["client_id"],
        secret=given.get("client_secret"),
        method=method,
        issuer=base,
        redirect_uri=redirect_uri,
    )


def used_and_given_back(agent: Agent) -> None:
    token = log_in(agent)
    assert agent.call("add", {"a": 1, "b": 2}).text == "3"
    assert agent.refresh().access_token != token.access_token
    assert agent.call("add", {"a": 2, "b": 2}).text == "4"
    assert agent.logout() is None, "its revocation endpoint confirmed"


def test_the_agent_registers_logs_in_calls_renews_and_gives_back(guarded: str, tmp_path: Path) -> None:
    agent = agent_at(f"{guarded}/mcp", tmp_path, client_id=None)
    way = agent.choose_flow()
    assert way.flow.name == "browser"
    used_and_given_back(agent)


def test_a_method_that_nobody_named_is_found_out_once(guarded: str, tmp_path: Path) -> None:
    # [client] in demo.toml has an id and a secret; for which method that is, only the authorization server knows.
    identity = replace(by_hand(guarded, "client_secret_post"), method="client_secret_basic")
    agent = agent_at(f"{guarded}/mcp", tmp_path, client_id=None, identity=identity)
    token = log_in(agent)
    assert token.client.method == "client_secret_post"
    agent.recorder.take()
    agent.refresh()
    (renewal,) = agent.recorder.take()
    assert renewal.status == 200
    assert agent.logout() is None


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_a_client_registered_by_hand_is_authenticated_by_its_method(
    guarded: str, tmp_path: Path, method: AuthMethod
) -> None:
    identity = by_hand(guarded, method)
    used_and_given_back(agent_at(f"{guarded}/mcp", tmp_path, client_id=None, identity=identity))
