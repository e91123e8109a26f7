"""Users and sessions by WorkOS's SDK: the authorization server's own, and their end is the shop's."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client.workos.environment import Environment
from demo.client.workos.people import People
from demo.client.workos.preparing import role_permissions
from demo.client.workos.tenant import Tenant, WorkOSRefused
from demo.local_server import local
from deputize.errors import EnvironmentNotReady, UsageError
from tests.conftest import serving
from tests.unit.workos.conftest import World, claim


def test_the_accounts_are_users(tenant: Tenant) -> None:
    people = People(tenant)
    users = tenant.ask("no", lambda sdk: sdk.user_management.list_users()).data
    assert {user.email for user in users} == {"alice@example.com", "grace@example.com", "mallory@example.org"}
    alice = people.find("alice@example.com")
    assert (alice.id, alice.name, alice.last_sign_in_at) == ("user_alice", "Alice Ito", None)
    assert people.get("user_alice") == alice


def test_a_humans_role_is_that_of_their_membership(tenant: Tenant) -> None:
    people = People(tenant)
    roles = {id: people.role(id) for id in ("user_alice", "user_grace", "user_mallory")}
    assert roles == {"user_alice": "customer", "user_grace": "admin", "user_mallory": "member"}
    assert people.role("user_nobody") is None
    granted = {role: role_permissions(tenant, role) for role in ("customer", "member")}
    assert "demo:mode" in granted["customer"] - granted["member"]
    assert "openid" not in granted["customer"], "it permits nothing"
    with pytest.raises(WorkOSRefused) as refused:
        tenant.ask("no", lambda sdk: sdk.organization_membership.list_organization_memberships())
    assert refused.value.status == 422


def test_a_login_is_a_session_with_the_sid_of_its_token(world: World, tenant: Tenant) -> None:
    agent, people = world.agent(), People(tenant)
    (session,) = people.sessions("user_alice")
    assert session.id == claim(agent, "sid")
    assert (session.user_id, session.status, session.auth_method) == ("user_alice", "active", "unknown")
    assert session.created_at < world.clock() < session.expires_at
    assert people.get("user_alice").last_sign_in_at is not None
    assert people.sessions("user_grace") == ()


def test_a_revoked_session_is_refused_by_the_shop_at_once(world: World, tenant: Tenant) -> None:
    agent, people = world.agent(), People(tenant)
    world.buy(agent)
    (session,) = people.sessions("user_alice")
    people.revoke(session.id)
    refused = agent.call("listMcpShopInventory", {}, refresh=False)
    assert refused.decision is not None
    assert (refused.status, refused.decision.rule) == (401, "standing.session")
    assert people.sessions("user_alice") == ()
    people.revoke(session.id)  # as WorkOS: saying it twice is no error


def test_what_a_human_granted_is_revoked_for_good(world: World, tenant: Tenant) -> None:
    agent, people = world.agent(), People(tenant)
    world.console()
    (grant,) = people.grants("user_alice")
    assert (grant.client_id, grant.name, grant.resource) == ("demo-agent", "Shirt Agent", world.shop)
    assert grant.consent == claim(agent, "consent_id") and "shop:buy" in grant.scopes
    people.revoke_grant("user_alice", "demo-agent")
    refused = agent.call("listMcpShopInventory", {}, refresh=False)
    assert refused.decision is not None and refused.decision.rule == "standing.session"
    assert people.grants("user_alice") == ()
    for question in (lambda: people.revoke_grant("user_alice", "demo-agent"), lambda: people.grants("user_nobody")):
        with pytest.raises(WorkOSRefused) as unknown:
            question()
        assert unknown.value.status == 404


def test_a_grant_to_software_that_is_named_by_a_url_is_revoked_as_well(world: World, tenant: Tenant) -> None:
    agent, people = world.agent(client_id=None), People(tenant)
    (grant,) = people.grants("user_alice")
    assert grant.client_id == f"{world.base}/client.json" == claim(agent, "client_id")
    people.revoke_grant("user_alice", grant.client_id)
    assert people.grants("user_alice") == ()


def test_a_session_that_nobody_renews_is_not_active_any_more(world: World, tenant: Tenant) -> None:
    world.agent()
    world.clock.ahead = 31 * 24 * 3600
    assert People(tenant).sessions("user_alice") == ()


def test_what_is_unknown_is_a_404_in_workos_words(tenant: Tenant) -> None:
    people = People(tenant)
    for question in (people.get, people.sessions, people.revoke):
        with pytest.raises(WorkOSRefused) as refused:
            question("user_nobody")
        assert (refused.value.status, refused.value.code) == (404, "entity_not_found")
        assert "user_nobody" in refused.value.why
    with pytest.raises(UsageError):
        people.find("nobody@example.com")


def test_an_address_that_is_none_is_a_422(tenant: Tenant) -> None:
    with pytest.raises(WorkOSRefused) as refused:
        People(tenant).find("alice")
    assert refused.value.status == 422


@pytest.mark.parametrize("key", ["sk_local_wrong", "Bearer", "ü" * 20])
def test_another_key_opens_nothing(world: World, key: str) -> None:
    tenant = world.tenant(api_key=key)
    with pytest.raises(Exception) as refused:
        People(tenant).get("user_alice")
    if key.isascii():
        assert isinstance(refused.value, WorkOSRefused)
        assert (refused.value.status, refused.value.code) == (401, "unauthorized")
        assert "WORKOS_API_KEY" in refused.value.do


def test_the_key_is_for_its_owner_alone_and_never_on_screen(world: World, tenant: Tenant) -> None:
    assert (world.state / "workos.json").stat().st_mode & 0o777 == 0o600
    People(tenant).get("user_alice")
    key = tenant.environment.api_key
    assert key.startswith("sk_local_") and len(key) > 40
    (exchange,) = tenant.recorder.take()
    assert key not in repr(exchange)
    assert exchange.status == 200 and exchange.url.startswith(f"{world.base}/user_management/users")
    assert key not in repr(tenant.environment)


def test_the_key_goes_with_the_data_that_it_opens(tmp_path: Path) -> None:
    with serving(tmp_path / "server.sqlite3") as base:
        key = Environment.of_local(base, tmp_path).api_key
    with serving(tmp_path / "server.sqlite3") as base:
        assert Environment.of_local(base, tmp_path).api_key == key, "a restart keeps it"
    local.forget(tmp_path)
    with pytest.raises(EnvironmentNotReady):
        Environment.of_local(base, tmp_path)
    with serving(tmp_path / "server.sqlite3") as base:
        assert Environment.of_local(base, tmp_path).api_key != key
