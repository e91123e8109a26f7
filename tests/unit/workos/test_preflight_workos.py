"""`demo doctor --profile workos`: what is wrong between a server and the WorkOS environment behind it, and the fix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from demo.cli.workos import tenant_for
from demo.client.agent import Agent
from demo.client.capabilities import survey
from demo.client.workos.environment import keep_key
from demo.client.workos.preparing import prepare
from demo.client.workos.tenant import Tenant
from demo.preflight import Finding
from demo.preflight.workos import examine_workos
from demo.settings import Settings, settle
from demo.settings.workos import WorkOSSettings
from deputize import Secret
from deputize.errors import EnvironmentNotReady, UsageError
from deputize.tokens.store import TokenStore
from tests.unit.workos.conftest import World, claim

ELSEWHERE = "https://shop.example/mcp"


@pytest.fixture
def settings(world: World, tmp_path: Path) -> Settings:
    """A profile as for a deployed server, whose authorization server and API are the local ones."""
    workos = WorkOSSettings(authkit=world.base, base_url=world.base)
    return Settings(server=world.shop, state=tmp_path / "state", workos=workos)


@pytest.fixture
def environ(tenant: Tenant) -> dict[str, str]:
    return {"WORKOS_API_KEY": tenant.environment.api_key}


def found(settings: Settings, environ: dict[str, str]) -> dict[str, Finding]:
    seen = None
    if settings.server is not None:
        agent = Agent(settings.server, store=TokenStore.open(settings.state, server=settings.server))
        seen = survey(agent, revisions=False)
    return {finding.name: finding for finding in examine_workos(settings, environ, seen)}


def test_without_the_table_nothing_is_looked_at() -> None:
    assert examine_workos(Settings(), {}, None) == []


def test_all_is_well_once_it_is_prepared(
    world: World, tenant: Tenant, settings: Settings, environ: dict[str, str]
) -> None:
    before = found(settings, environ)
    assert (before["WorkOS API"].mark, before["WorkOS API"].fix) == ("warn", "demo workos prepare")
    assert "audit log schema" in before["WorkOS API"].detail
    prepare(tenant, world.shop)
    after = found(settings, environ)
    assert {name: finding.mark for name, finding in after.items()} == {
        "AuthKit": "ok",
        "scopes": "ok",
        "audience": "ok",
        "WorkOS API": "ok",
        "token": "skip",
        "console": "skip",
    }
    assert world.shop in after["audience"].detail


def test_a_shop_that_asks_for_what_authkit_cannot_grant_is_told_to_go_by_roles(
    settings: Settings, environ: dict[str, str]
) -> None:
    assert settings.server is not None
    seen = survey(
        Agent(settings.server, store=TokenStore.open(settings.state, server=settings.server)), revisions=False
    )
    assert seen.challenge is not None and seen.challenge.authorization_server is not None
    authkit = replace(
        seen.challenge.authorization_server, scopes_supported=("email", "offline_access", "openid", "profile")
    )
    told = examine_workos(
        settings, environ, replace(seen, challenge=replace(seen.challenge, authorization_server=authkit))
    )
    (scopes,) = [finding for finding in told if finding.name == "scopes"]
    assert scopes.mark == "bad" and "asks for shop:read" in scopes.detail
    assert scopes.fix.endswith("--scopes-from role")


def test_a_server_that_authkit_does_not_know_is_named_with_the_mend(
    tenant: Tenant, settings: Settings, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.client.workos.preparing.resources", lambda _: (ELSEWHERE,))
    told = found(settings, environ)["audience"]
    assert told.mark == "bad" and "not put into aud" in told.detail
    assert "demo workos prepare" in told.fix and "MCP resource indicators" in told.fix


def test_a_token_for_another_audience_is_refused_and_the_doctor_says_why(
    world: World, tenant: Tenant, settings: Settings, environ: dict[str, str]
) -> None:
    prepare(tenant, ELSEWHERE)
    agent = world.agent(resource=ELSEWHERE)
    token = agent.token()
    refused = world.agent().call("listMcpShopInventory", {}, token=Secret(token.access_token))
    assert refused.decision is not None and refused.decision.rule == "token.audience"
    TokenStore.open(settings.state, server=world.shop).put("agent", token)
    told = found(settings, environ)["token"]
    assert told.mark == "bad" and ELSEWHERE in told.detail and world.shop in told.detail
    assert "prepare" in told.fix and "demo login" in told.fix
    TokenStore.open(settings.state, server=world.shop).put("agent", world.agent().token())
    assert found(settings, environ)["token"].mark == "ok"
    assert claim(agent, "aud") == ELSEWHERE


def test_another_issuer_than_the_file_says_is_a_fault(settings: Settings, environ: dict[str, str]) -> None:
    other = replace(settings, workos=replace(settings.workos, authkit="https://shop.authkit.app"))
    told = found(other, environ)["AuthKit"]
    assert told.mark == "bad" and "https://shop.authkit.app" in told.detail


def test_a_missing_or_a_wrong_key_is_a_fault(settings: Settings, environ: dict[str, str]) -> None:
    missing = found(settings, {})["WorkOS API"]
    assert missing.mark == "bad" and "WORKOS_API_KEY" in missing.fix
    wrong = found(settings, {"WORKOS_API_KEY": "sk_test_wrong"})["WorkOS API"]
    assert wrong.mark == "bad" and "401" in wrong.detail and "sk_test_wrong" not in repr(wrong)


def test_a_key_from_the_keyring_opens_it_too(
    world: World, settings: Settings, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKOS_API_KEY", raising=False)
    with pytest.raises(EnvironmentNotReady):
        tenant_for(settings)
    store = TokenStore.open(settings.state, server=world.shop)
    keep_key(store, environ["WORKOS_API_KEY"], base_url=world.base)
    assert found(settings, {})["audience"].mark == "ok"
    assert tenant_for(settings).organization_id == "org_conference_shop"


def test_without_a_server_or_with_one_that_is_silent_it_says_so(settings: Settings, environ: dict[str, str]) -> None:
    assert found(replace(settings, server=None), environ)["WorkOS"].mark == "bad"
    silent = found(replace(settings, server="http://127.0.0.1:9/mcp"), environ)
    assert silent["AuthKit"].mark == "bad" and "cannot be reached" in silent["AuthKit"].detail


def test_a_named_server_without_the_table_is_not_taken_for_workos(settings: Settings) -> None:
    with pytest.raises(UsageError):
        tenant_for(replace(settings, workos=WorkOSSettings()))


def test_the_profile_is_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(
        '[profiles.workos]\nserver = "https://shop.example/mcp"\n'
        'workos.authkit = "https://shop.authkit.app/"\nworkos.client_id = "client_1"\n'
    )
    settings = settle({"profile": "workos"}, {}, file)
    assert settings.workos == WorkOSSettings(authkit="https://shop.authkit.app", client_id="client_1")
    assert settings.workos.used and not settle({}, {}, file).workos.used


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('api_key = "sk_live_0123456789"', "api_key"),
        ('authkit = "shop.authkit.app"', "authkit"),
        ('authkit = "http://shop.authkit.app"', "authkit"),
        ('authkit = "https://shop.authkit.app/oauth2"', "authkit"),
        ('authkit = "https://me@shop.authkit.app"', "authkit"),
        ("authkit = 7", "authkit"),
        ('authkit = "https://[::"', "authkit"),
        ('client_id = "client_1"', "without authkit"),
        ('authkit = "https://a.example"\napi_key_env = "sk_live_0123456789 "', "api_key_env"),
        ('authkit = "https://a.example"\ncolour = "red"', "colour"),
    ],
)
def test_a_table_that_is_wrong_is_named_and_no_key_is_repeated(tmp_path: Path, table: str, named: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(f"[workos]\n{table}\n")
    with pytest.raises(UsageError) as refused:
        settle({}, {}, file)
    assert named in refused.value.what and "demo.toml" in refused.value.what
    assert "sk_live" not in f"{refused.value.what} {refused.value.why} {refused.value.do}"
