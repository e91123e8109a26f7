"""An agent with an identity of its own: blueprint, instance, session, token, live validation, and the end."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from demo.client.workos.agents import AgentIdentity
from demo.client.workos.audit import AuditLog
from demo.client.workos.people import People
from demo.client.workos.tenant import Tenant, WorkOSRefused
from deputize import Secret
from deputize.tokens.claim_meanings import parties
from deputize.tokens.claims import take_apart
from tests.unit.workos.conftest import CEILING, World, refused_with, why


def test_a_pass_names_the_agent_in_sub_and_the_human_in_act(
    world: World, tenant: Tenant, identity: AgentIdentity
) -> None:
    held = identity.deputize(world.console().access_token, intent="buy a shirt")
    jwt = take_apart(held.access_token)
    assert jwt is not None and jwt.header["typ"] == "at+jwt"
    who = parties(jwt.claims)
    assert (who.human, who.agent) == ("user_alice", held.instance)
    assert (who.human_claim, who.agent_claim) == ("act.sub", "sub")
    assert "WorkOS" in who.convention
    assert (jwt.claims["sid"], jwt.claims["aud"]) == (held.session, "client_local")
    told = identity.validate(held.access_token)
    assert told.valid and told.human == "user_alice"
    assert told.permissions == held.permissions == CEILING


def test_the_chain_is_read_by_workos_convention_and_verified(world: World, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    seen = identity.view(held)
    assert seen.problems == () and "/sso/jwks/client_local" in str(seen.signature)
    human = next(claim for claim in seen.claims if claim.name == "act.sub")
    assert human.verified and human.value == "user_alice" and "the human" in human.meaning
    chain = identity.chain(held, human="alice@example.com", agent="Shirt Agent")
    assert (chain.human, chain.human_id) == ("alice@example.com", "user_alice")
    assert (chain.agent, chain.session, chain.scopes) == (held.instance, held.session, CEILING)
    assert "WorkOS" in chain.convention and "verified against" in chain.source


def test_an_agent_may_no_more_than_its_human_whatever_its_blueprint_says(world: World, tenant: Tenant) -> None:
    wide = AgentIdentity.ensure(tenant, name="Wide", permissions=("audit:read", "shop:read"))
    assert wide.deputize(world.console("grace@example.com").access_token).permissions == ("audit:read", "shop:read")
    assert wide.deputize(world.console("mallory@example.org").access_token).permissions == ("shop:read",)


def test_one_instance_for_each_human(world: World, identity: AgentIdentity) -> None:
    token, other = world.console().access_token, world.console("grace@example.com").access_token
    first, second, third = identity.deputize(token), identity.deputize(token), identity.deputize(other)
    assert (first.new_instance, second.new_instance, third.new_instance) == (True, False, True)
    assert first.instance == second.instance != third.instance
    assert first.session != second.session


def test_revocation_is_seen_by_asking_and_not_by_the_keys(
    world: World, tenant: Tenant, identity: AgentIdentity
) -> None:
    held = identity.deputize(world.console().access_token)
    other = identity.deputize(world.console("grace@example.com").access_token)
    at = identity.revoke(held.session)
    seen = identity.view(held)
    assert seen.signature is not None and seen.problems == (), "by the keys the token is as good as ever"
    assert why(identity, held) == "session_revoked"
    assert why(identity, other) == ""
    assert identity.revoke(held.session) == at, "said twice it is no later"


def test_the_end_of_the_humans_session_is_the_end_of_the_agents(
    world: World, tenant: Tenant, identity: AgentIdentity
) -> None:
    console = world.console()
    held = identity.deputize(console.access_token)
    (session,) = People(tenant).sessions("user_alice")
    People(tenant).revoke(session.id)
    assert why(identity, held) == "user_session_ended"
    refused_with("user_session_ended", 400, identity.deputize, console.access_token)


def test_a_token_ends_and_a_session_ends_later(world: World, identity: AgentIdentity) -> None:
    console = world.console()
    held, other = identity.deputize(console.access_token), identity.deputize(console.access_token)
    world.clock.ahead = held.expires_in + 1
    assert why(identity, held) == "invalid_agent_access_token"
    assert identity.revoke(held.session) is not None
    world.clock.ahead = 3601
    assert identity.revoke(other.session) is None, "what has expired is not revoked any more"


def test_an_agents_token_deputizes_nobody(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    agent = world.agent()
    refused_with("invalid_user_access_token", 400, identity.deputize, agent.token().access_token)
    held = identity.deputize(world.console().access_token)
    refused_with("invalid_user_access_token", 400, identity.deputize, held.access_token)
    refused_with("invalid_user_access_token", 400, identity.deputize, "rubbish")


def test_a_token_of_another_blueprint_is_not_valid_here(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    other = AgentIdentity.ensure(tenant, name="Another", permissions=CEILING)
    token = world.console().access_token
    assert why(other, identity.deputize(token)) == "invalid_agent_access_token"
    refused_with("entity_not_found", 404, AgentIdentity(tenant, "agent_blueprint_none").deputize, token)


@pytest.mark.parametrize("body", [{}, {"agent_access_token": ""}, {"agent_access_token": 7}])
def test_a_validation_without_a_token_is_malformed_even_for_no_blueprint(tenant: Tenant, body: dict[str, Any]) -> None:
    path = ("agents", "blueprints", "agent_blueprint_none", "tokens", "validate")
    refused_with("invalid_request", 400, tenant.ask, "no", lambda sdk: sdk.request("post", path, body=body))


def test_an_agent_token_is_none_of_the_shops(world: World, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    refused = world.agent().call("listMcpShopInventory", {}, token=Secret(held.access_token))
    assert refused.decision is not None
    assert (refused.status, refused.decision.rule) == (401, "token.audience")


def test_an_agent_token_is_none_that_a_client_was_granted(world: World, identity: AgentIdentity) -> None:
    """It names no client (`client_id`, RFC 9068 section 2.2), and no endpoint breaks on that."""
    held = identity.deputize(world.console().access_token).access_token
    redirects = {"redirect_uris": ["http://127.0.0.1:1/callback"]}
    told = httpx2.post(f"{world.base}/oauth2/register", json=redirects).json()
    basic = (told["client_id"], told["client_secret"])
    introspected = httpx2.post(f"{world.base}/oauth2/introspect", data={"token": held}, auth=basic)
    assert (introspected.status_code, introspected.json()) == (200, {"active": False})  # RFC 7662 section 2.2
    exchange = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": held,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    exchanged = httpx2.post(f"{world.base}/oauth2/token", data=exchange | {"client_id": "demo-agent"})
    assert exchanged.status_code == 400
    revoked = httpx2.post(f"{world.base}/oauth2/revoke", data={"token": held, "client_id": "demo-agent"})
    assert revoked.status_code == 200  # RFC 7009 section 2.2
    assert identity.validate(held).valid, "and it is none to revoke there"


def test_who_signed_in_too_long_ago_signs_in_again(world: World, tenant: Tenant) -> None:
    from workos.agents.models import AgentBlueprintsCreateRequestSessionSetting as Settings

    made = tenant.ask(
        "no",
        lambda sdk: sdk.agents.create_blueprint(
            name="Brief",
            permissions=["shop:read"],
            session_settings=Settings(max_age_seconds=60, access_token_ttl_seconds=30, refresh_token_ttl_seconds=60),
        ),
    )
    brief, console = AgentIdentity(tenant, made.id), world.console()
    assert brief.deputize(console.access_token).expires_in == 30
    world.clock.ahead = 61
    refused_with("max_age_exceeded", 400, brief.deputize, console.access_token)


def test_no_secret_of_the_agents_reaches_the_record(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    console = world.console()
    held = identity.deputize(console.access_token)
    identity.validate(held.access_token)
    shown = repr(tenant.recorder.take()) + repr(held)
    assert "/tokens/validate" in shown
    for secret in (held.access_token, console.access_token, tenant.environment.api_key):
        assert secret not in shown


def test_only_certain_roles_and_kinds_where_the_blueprint_says_so(world: World, tenant: Tenant) -> None:
    from workos.agents.models import AgentBlueprintsCreateRequestInvocableAs as As
    from workos.agents.models import AgentBlueprintsCreateRequestInvocableBy as By
    from workos.common.models import AgentBlueprintsCreateRequestInvocableAsInstanceTypes as Types

    made = tenant.ask(
        "no",
        lambda sdk: sdk.agents.create_blueprint(
            name="For admins",
            invocable_by=By(role_slugs=["admin"]),
            invocable_as=As(instance_types=[Types("delegated")]),
        ),
    )
    admins = AgentIdentity(tenant, made.id)
    assert admins.deputize(world.console("grace@example.com").access_token).new_instance
    refused_with("role_not_invocable", 403, admins.deputize, world.console().access_token)


def test_a_blueprint_is_found_again_and_its_ceiling_follows(
    world: World, tenant: Tenant, identity: AgentIdentity
) -> None:
    same = AgentIdentity.ensure(tenant, name="Shirt Agent", permissions=("shop:read",))
    assert same.blueprint == identity.blueprint
    assert same.deputize(world.console().access_token).permissions == ("shop:read",)


@pytest.mark.parametrize("kind", ["autonomous", "agent_delegated", "refresh", ""])
def test_the_types_of_a_mint_that_nobody_needs_here_are_refused(
    tenant: Tenant, identity: AgentIdentity, kind: str
) -> None:
    path = ("agents", "blueprints", identity.blueprint, "tokens")
    refused_with("invalid_request", 400, tenant.ask, "no", lambda sdk: sdk.request("post", path, body={"type": kind}))


def test_a_blueprint_of_autonomous_agents_acts_for_no_human(world: World, tenant: Tenant) -> None:
    from workos.agents.models import AgentBlueprintsCreateRequestInvocableAs as As
    from workos.common.models import AgentBlueprintsCreateRequestInvocableAsInstanceTypes as Types

    alone = As(instance_types=[Types("autonomous")])
    made = tenant.ask("no", lambda sdk: sdk.agents.create_blueprint(name="Alone", invocable_as=alone))
    deputize = AgentIdentity(tenant, made.id).deputize
    refused_with("instance_type_not_invocable", 403, deputize, world.console().access_token)


def test_bad_blueprints_are_told_all_that_is_wrong(tenant: Tenant, identity: AgentIdentity) -> None:
    def make(**body: Any) -> Any:
        return tenant.ask("no", lambda sdk: sdk.request("post", ("agents", "blueprints"), body=body))

    refused_with("name_already_in_use", 409, make, name="Shirt Agent")
    refused_with("permission_not_found", 422, make, name="x", permissions=["shop:own"])
    refused_with("role_not_found", 422, make, name="x", invocable_by={"role_slugs": ["king"]})
    refused_with("organization_not_found", 422, make, name="x", invocable_by={"organization_ids": ["org_x"]})
    with pytest.raises(WorkOSRefused) as refused:
        make(name="", permissions="all", session_settings={"max_age_seconds": 0})
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    for field in ("name", "permissions", "session_settings.max_age_seconds"):
        assert field in refused.value.why


def test_the_record_tells_an_agents_whole_life(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    identity.revoke(held.session)
    told = [(one.event, one.about) for one in AuditLog(tenant, where="here").events()]
    assert told[0] == ("agent.blueprint.created", identity.blueprint)
    assert told[1][0] == "session.created"
    assert told[2:] == [
        ("agent.instance.created", held.instance),
        ("agent.instance.session.created", held.session),
        ("agent.instance.session.revoked", held.session),
    ]
