"""A further resource: tokens are issued for it as for the local shop, once it was added, and not before."""

from __future__ import annotations

import json
import stat
import urllib.request
from pathlib import Path

import pytest

from demo.client.agent import Agent
from demo.client.human.sample_human import SampleHuman
from demo.client.workos.environment import Environment
from demo.client.workos.tenant import Tenant, WorkOSRefused
from demo.local_server import local, resources, world
from deputize.errors import AuthorizationRefused, UsageError
from deputize.evidence import Money
from deputize.tokens.claims import take_apart
from deputize.tokens.store import TokenStore
from tests.conftest import HANGS, Command

WORKER = "http://127.0.0.1:8787/mcp"
ELSEWHERE = "https://shop.example/mcp"
SCOPES = ("openid", "shop:read", "shop:buy")


def agent_of(base_url: str, folder: Path) -> Agent:
    return Agent(base_url, store=TokenStore.open(folder, server=base_url))


def test_a_token_for_it_is_issued_from_the_moment_it_was_added_and_the_shop_here_refuses_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server, _ = local.ensure(state, port=0)
    try:
        agent = agent_of(server.base_url, tmp_path)
        with pytest.raises(AuthorizationRefused) as refused:
            agent.start_login(SCOPES, resources=(WORKER,), spending=Money(5000))
        assert getattr(refused.value, "oauth_error", None) == "invalid_target"
        resources.add(state, WORKER)
        login = agent.start_login(SCOPES, resources=(WORKER,), spending=Money(5000))
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
        token = agent.finish_login(login)
        jwt = take_apart(token.access_token)
        assert jwt is not None
        assert jwt.claims["aud"] == WORKER
        assert jwt.claims["authorization_details"][0]["locations"] == [WORKER]
        outcome = agent.tools()
        assert outcome.status == 401
        assert outcome.decision is not None
        assert outcome.decision.rule == "token.audience"
        assert published(server.base_url) == [f"{server.base_url}/mcp", f"{server.base_url}/account", WORKER]
    finally:
        local.stop(state)


def test_one_that_was_added_and_one_that_workos_made_are_both_listed_published_and_made_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server, _ = local.ensure(state, port=0)
    try:
        tenant = Tenant(Environment.of_local(server.base_url, state))
        own = [f"{server.base_url}/mcp", f"{server.base_url}/account"]
        assert sorted(listed(tenant)) == sorted(own)
        resources.add(state, WORKER)
        make(tenant, ELSEWHERE)
        assert sorted(listed(tenant)) == sorted([*own, WORKER, ELSEWHERE])
        assert published(server.base_url) == [*own, WORKER, ELSEWHERE]
        for uri in (WORKER, ELSEWHERE):
            with pytest.raises(WorkOSRefused) as twice:
                make(tenant, uri)
            assert (twice.value.status, "already exists" in twice.value.why) == (422, True)
        resources.add(state, ELSEWHERE)
        assert sorted(listed(tenant)) == sorted([*own, WORKER, ELSEWHERE]), "once, though both say it"
        assert published(server.base_url) == [*own, WORKER, ELSEWHERE]
    finally:
        local.stop(state)


def listed(tenant: Tenant) -> dict[str, str]:
    """The resources that the WorkOS API lists: URIs, each with its id."""
    found = tenant.every("no", lambda sdk: sdk.user_management.list_authkit_oauth_resources())
    assert len({one.uri for one in found}) == len(found)
    return {one.uri: one.id for one in found}


def make(tenant: Tenant, uri: str) -> None:
    tenant.ask("no", lambda sdk: sdk.user_management.create_authkit_oauth_resource(uri=uri))


def published(base_url: str) -> list[str]:
    """The resources that the authorization server's metadata names (RFC 9728 section 4)."""
    with urllib.request.urlopen(f"{base_url}/.well-known/oauth-authorization-server", timeout=HANGS) as answer:
        named: list[str] = json.load(answer)["protected_resources"]
    # Its own userinfo endpoint is one, too, and is no further one.
    return [one for one in named if not one.endswith("/oauth2/userinfo")]


def test_a_reset_forgets_it(tmp_path: Path) -> None:
    resources.add(tmp_path, WORKER)
    assert resources.read(tmp_path) == (WORKER,)
    local.forget(tmp_path)
    assert resources.read(tmp_path) == ()


def test_serve_takes_it_as_an_option_and_refuses_what_is_none(demo: Command) -> None:
    refused = demo("serve", "--port", "0", "--resource", "http://shop.example/mcp")
    assert refused.returncode == 2
    assert "plain http" in refused.stderr
    assert "Traceback" not in refused.stderr
    process = demo.start("serve", "--port", "0", "--json", "--resource", WORKER)
    try:
        assert process.stdout is not None
        while '"server"' not in (line := process.stdout.readline()):
            assert line, "it ended without saying where it is"
        assert resources.read(demo.state) == (WORKER,)
    finally:
        process.terminate()
        process.wait(HANGS)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no absolute"),
        ("mcp", "no absolute"),
        ("ftp://shop.example/mcp", "no absolute"),
        ("http://shop.example/mcp", "plain http"),
        ("http://127.0.0.1.shop.example/mcp", "plain http"),
        ("http://a.localhost/mcp", "plain http"),
        ("http://localhost./mcp", "plain http"),
        ("http://127.0.0.2/mcp", "plain http"),
        ("http://[::ffff:127.0.0.1]/mcp", "plain http"),
        ("https://shop.example/mcp#part", "fragment"),
        ("https://shop.example/mcp?x=1", "query"),
        ("https://alice@shop.example/mcp", "user"),
        ("https://*.example/mcp", "wildcard"),
        ("https://shop.example:port/mcp", "no URL"),
        ("https://shop.example/mcp\nhttps://other.example", "no URL"),
        ("https://shöp.example/mcp", "no URL"),
        (f"https://shop.example/{'m' * 600}", "no URL"),
    ],
)
def test_what_cannot_be_a_resource_is_refused_and_believed_from_no_file(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        resources.add(tmp_path, url)
    assert why in refused.value.why
    (tmp_path / resources.FILE).write_text(f"{url}\n", "utf-8")
    assert not set(resources.read(tmp_path)) - {"https://shop.example/mcp", "https://other.example"}


def test_it_is_kept_once_and_there_is_an_end(tmp_path: Path) -> None:
    for _ in range(2):
        resources.add(tmp_path, WORKER)
    for number in range(resources.MOST - 1):
        resources.add(tmp_path, f"https://{number}.example/mcp")
    assert len(resources.read(tmp_path)) == resources.MOST
    with pytest.raises(UsageError):
        resources.add(tmp_path, "https://more.example/mcp")


def test_what_another_shop_needs_to_ask_about_a_token_is_there_once_it_ran(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert world.credentials(state) is None
    server, _ = local.ensure(state, port=0)
    try:
        found = world.credentials(state)
        assert found is not None
        assert found[0] == "shop"
        assert len(found[1]) > 30
        assert not stat.S_IMODE((state / "server.sqlite3").stat().st_mode) & 0o077
        assert server.base_url
    finally:
        local.stop(state)
