"""The human's console where AuthKit signs people in: it acts at WorkOS for nobody whom AuthKit did not sign in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from demo.client.human.console import console_identity
from demo.client.workos.hosted_console import HostedConsole
from demo.client.workos.people import People
from demo.client.workos.tenant import Tenant
from demo.settings.workos import WorkOSSettings
from deputize.errors import AuthorizationRefused, ServerUnreachable, UsageError
from deputize.tokens.store import MemoryStore
from deputize.tokens.stored import StoredToken
from talk.cast import Cast
from talk.playing.other_server import NotHere
from tests.conftest import CONSOLE_KEYS
from tests.unit.workos.conftest import World, log_in

AUTHKIT = "https://name.authkit.example"


def console_at(world: World, tenant: Tenant, *, auth_server: str) -> HostedConsole:
    client = replace(console_identity(CONSOLE_KEYS[world.base]), issuer=auth_server)
    return HostedConsole(world.base, store=MemoryStore(), issuer=auth_server, client=client, tenant=tenant)  # type: ignore[arg-type]


def given_a_token(console: HostedConsole, world: World, human: str = "alice@example.com") -> StoredToken:
    """Whatever its authorization server, somebody has signed in."""
    return log_in(console.agent, human, ("openid", "sessions:manage", "offline_access"), f"{world.base}/account", None)


def test_at_another_issuer_than_authkit_nobody_signs_in_and_nothing_is_ended(world: World, tenant: Tenant) -> None:
    agent = world.agent()
    console = console_at(world, tenant, auth_server=AUTHKIT)
    with pytest.raises(AuthorizationRefused) as refused:
        console.resource  # noqa: B018  it is what a login asks for first
    assert AUTHKIT in str(refused.value.why)
    # A server may have had somebody sign in at an issuer of its own, and say in its token whose console it is.
    console.__dict__["resource"] = f"{world.base}/admin"
    given_a_token(console, world)
    assert not console.signed_in()
    for act in (console.sessions, lambda: console.revoke("session", "x"), lambda: console.reinstate("agent", "x")):
        with pytest.raises(AuthorizationRefused):
            act()
    assert agent.client_id in [one.client_id for one in People(tenant).grants("user_alice")], "it stands"


def test_a_token_that_the_keys_do_not_verify_names_no_human(world: World, tenant: Tenant) -> None:
    console = console_at(world, tenant, auth_server=world.base)
    console.__dict__["resource"] = f"{world.base}/account"
    token = given_a_token(console, world)
    head, body, _ = token.access_token.split(".")
    console.agent.store.put("console", replace(token, access_token=f"{head}.{body}.{'A' * 86}"))
    with pytest.raises(AuthorizationRefused, match="does not hold"):
        console.sessions()


def test_a_shop_without_an_admin_route_revokes_nothing(world: World, tenant: Tenant) -> None:
    console = console_at(world, tenant, auth_server=f"{world.base}")
    given_a_token(console, world)
    with pytest.raises(UsageError, match="no admin route"):
        console.revoke("agent", "agent_x")


def test_not_to_know_whether_there_is_one_is_no_revocation(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.client.human import console as module
    from deputize.http.fetch import Answer

    async def busy(*_: object, **__: object) -> Answer:
        return Answer(503, {}, "", None, "")

    console = console_at(world, tenant, auth_server=world.base)
    console.issuer = "http://127.0.0.1:1"
    monkeypatch.setattr(module, "fetch", busy)
    with pytest.raises(ServerUnreachable, match="503"):
        console.admin  # noqa: B018  it is found out when it is asked for


def test_workos_is_neither_told_nor_asked_of_what_goes_on_at_a_strangers(world: World, tmp_path: Path) -> None:
    told = WorkOSSettings(authkit=AUTHKIT, console="client_x")
    cast = Cast(world.shop, tmp_path / "state", is_local=False, port=0, workos=told)
    with pytest.raises(NotHere) as refused:
        cast.humans.tenant()
    assert f"workos.authkit is {AUTHKIT}" in refused.value.why
