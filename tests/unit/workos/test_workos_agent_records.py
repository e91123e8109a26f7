"""Blueprints, instances, sessions and registrations as WorkOS keeps them, and what is refused about them."""

from __future__ import annotations

from typing import Any

import pytest

from demo.client.workos import AgentIdentity, AuditLog, Tenant, WorkOSRefused
from tests.unit.workos.conftest import World, claim, refused_with, why


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
    refused_with("instance_type_not_invocable", 403, admins.act_alone)


def test_a_blueprint_is_found_again_and_its_ceiling_follows(tenant: Tenant, identity: AgentIdentity) -> None:
    same = AgentIdentity.ensure(tenant, name="Shirt Agent", permissions=("shop:read",))
    assert same.blueprint == identity.blueprint
    assert same.act_alone().permissions == ("shop:read",)


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


def test_a_deleted_instance_leaves_nothing_that_works(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    tenant.ask("no", lambda sdk: sdk.agents.delete_instance(held.instance))
    assert why(identity, held) == "invalid_agent_access_token"
    assert identity.sessions() == ()
    refused_with("entity_not_found", 404, identity.revoke, held.session)
    again = identity.act_alone()
    tenant.ask("no", lambda sdk: sdk.agents.delete_blueprint(identity.blueprint))
    refused_with("entity_not_found", 404, identity.validate, again.access_token)
    told = [one.event for one in AuditLog(tenant, where="here").happenings(["agent.instance.session.revoked"])]
    assert len(told) == 2, "what was live is told to have ended"


def test_the_record_tells_an_agents_whole_life(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    identity.revoke(held.session)
    told = [(one.event, one.about) for one in AuditLog(tenant, where="here").happenings()]
    assert told[0] == ("agent.blueprint.created", identity.blueprint)
    assert told[1][0] == "session.created"
    assert told[2:] == [
        ("agent.instance.created", held.instance),
        ("agent.instance.session.created", held.session),
        ("agent.instance.session.revoked", held.session),
    ]


def test_instances_and_sessions_by_the_sdks_own_models(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    alone = identity.act_alone()
    listed = tenant.every("no", lambda sdk: sdk.agents.list_instances(agent_blueprint_id=identity.blueprint))
    assert [(one.id, one.type.value) for one in listed] == [
        (alone.instance, "autonomous"),
        (held.instance, "delegated"),
    ]
    assert listed[0].organization_membership_id is None and listed[1].organization_membership_id
    one = tenant.ask("no", lambda sdk: sdk.agents.get_instance(held.instance))
    assert one == listed[1]
    session = tenant.ask("no", lambda sdk: sdk.agents.get_session(held.session))
    assert (session.agent_instance_id, session.status.value) == (held.instance, "active")
    few = tenant.every("no", lambda sdk: sdk.agents.list_sessions(agent_instance_id=held.instance))
    assert [one.id for one in few] == [held.session]
    assert tenant.every("no", lambda sdk: sdk.agents.list_sessions(organization_id="org_other")) == []


def test_a_registered_agents_token_is_validated_live(world: World, tenant: Tenant) -> None:
    from demo.client.workos.registered_agents import RegisteredAgents

    agent, registered = world.agent(), RegisteredAgents(tenant)
    token, id = agent.token().access_token, claim(agent, "act.sub")
    assert registered.holds(token) == registered.holds(token, audience=world.shop) == id
    assert registered.holds(token, audience="https://elsewhere.example/mcp") is None
    assert registered.holds("rubbish") is None
    assert registered.holds(world.console().access_token) is None, "a human's own token is no agent's"
    before = registered.get(id)
    assert (before.status, before.user, before.revoked_at) == ("verified", "user_alice", None)
    after = registered.revoke(id)
    assert after.status == "revoked" and after.revoked_at is not None
    assert registered.revoke(id).revoked_at == after.revoked_at
    assert registered.holds(token) is None
    refused = agent.call("listMcpShopInventory", {}, refresh=False)
    assert refused.decision is not None and refused.decision.rule == "standing.agent"
    refused_with("entity_not_found", 404, registered.get, "agent_none")
