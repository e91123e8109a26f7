"""An agent with an identity of its own: blueprint, instance, session, token, live validation, and the end."""

from __future__ import annotations

from demo.client import Secret
from demo.client.tokens.claims import take_apart
from demo.client.tokens.convention import parties
from demo.client.workos import AgentIdentity, People, Tenant
from demo.client.workos.agent_pass import AgentPass
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
    assert told.valid and told.human == "user_alice" and told.until is not None
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
    alone = identity.chain(identity.act_alone(), human="alice@example.com", agent="Shirt Agent")
    assert (alone.human, alone.human_id) == ("", "")


def test_an_agent_may_no_more_than_its_human_whatever_its_blueprint_says(world: World, tenant: Tenant) -> None:
    wide = AgentIdentity.ensure(tenant, name="Wide", permissions=("audit:read", "shop:read"))
    assert wide.deputize(world.console("grace@example.com").access_token).permissions == ("audit:read", "shop:read")
    assert wide.deputize(world.console("mallory@example.org").access_token).permissions == ("shop:read",)
    assert wide.act_alone().permissions == ("audit:read", "shop:read")


def test_one_instance_for_a_human_and_one_for_itself(world: World, identity: AgentIdentity) -> None:
    token = world.console().access_token
    first, second, alone = identity.deputize(token), identity.deputize(token), identity.act_alone()
    assert (first.new_instance, second.new_instance, alone.new_instance) == (True, False, True)
    assert first.instance == second.instance != alone.instance
    assert first.session != second.session
    jwt = take_apart(alone.access_token)
    assert jwt is not None and "act" not in jwt.claims
    who = parties(jwt.claims)
    assert (who.human, who.agent) == ("", alone.instance)
    assert identity.validate(alone.access_token).human is None


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
    refused_with("session_revoked", 400, identity.renew, held)
    assert dict(identity.sessions()) == {held.session: "revoked", other.session: "active"}


def test_the_end_of_the_humans_session_is_the_end_of_the_agents(
    world: World, tenant: Tenant, identity: AgentIdentity
) -> None:
    console = world.console()
    held = identity.deputize(console.access_token)
    (session,) = People(tenant).sessions("user_alice")
    People(tenant).revoke(session.id)
    assert why(identity, held) == "user_session_ended"
    refused_with("user_session_ended", 400, identity.renew, held)
    refused_with("user_session_ended", 400, identity.deputize, console.access_token)


def test_a_refresh_token_works_once(world: World, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token, intent="buy a shirt")
    world.clock.ahead = 10
    renewed = identity.renew(held)
    assert renewed.session == held.session and renewed.access_token != held.access_token
    jwt = take_apart(renewed.access_token)
    assert jwt is not None and jwt.claims["intent"] == {"text": "buy a shirt"}
    refused_with("invalid_refresh_token", 400, identity.renew, held)


def test_a_token_ends_and_a_session_ends_later(world: World, identity: AgentIdentity) -> None:
    held = identity.act_alone()
    world.clock.ahead = held.expires_in + 1
    assert why(identity, held) == "invalid_agent_access_token"
    renewed = identity.renew(held)
    assert why(identity, renewed) == ""
    world.clock.ahead = 3601
    refused_with("session_expired", 400, identity.renew, renewed)
    assert dict(identity.sessions()) == {held.session: "expired"}
    assert identity.revoke(held.session) is None, "what has expired is not revoked any more"


def test_an_agents_token_deputizes_nobody(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    agent = world.agent()
    refused_with("invalid_user_access_token", 400, identity.deputize, agent.token().access_token)
    refused_with("invalid_user_access_token", 400, identity.deputize, identity.act_alone().access_token)
    refused_with("invalid_user_access_token", 400, identity.deputize, "rubbish")


def test_a_token_of_another_blueprint_is_not_valid_here(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    other = AgentIdentity.ensure(tenant, name="Another", permissions=CEILING)
    held = identity.act_alone()
    assert why(other, held) == "invalid_agent_access_token"
    refused_with("invalid_refresh_token", 400, other.renew, held)
    refused_with("entity_not_found", 404, AgentIdentity(tenant, "agent_blueprint_none").act_alone)


def test_an_agent_token_is_none_of_the_shops(world: World, identity: AgentIdentity) -> None:
    held = identity.deputize(world.console().access_token)
    refused = world.agent().call("listMcpShopInventory", {}, token=Secret(held.access_token))
    assert refused.decision is not None
    assert (refused.status, refused.decision.rule) == (401, "token.audience")


def test_a_chain_ends_with_any_link_before_it(world: World, tenant: Tenant, identity: AgentIdentity) -> None:
    first = identity.deputize(world.console().access_token)

    def chained(held: AgentPass) -> AgentPass:
        return identity._minted(
            tenant.ask(
                "no",
                lambda sdk: sdk.agents.create_blueprint_token(
                    identity.blueprint, type="agent_delegated", agent_access_token=held.access_token
                ),
            )
        )

    second = chained(first)
    third = chained(second)
    assert first.instance == third.instance and identity.validate(third.access_token).human == "user_alice"
    identity.revoke(second.session)
    assert [why(identity, held) for held in (first, second, third)] == ["", "session_revoked", "session_revoked"]
    refused_with("invalid_agent_access_token", 400, chained, third)


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
    held = identity.renew(identity.deputize(console.access_token))
    identity.validate(held.access_token)
    shown = repr(tenant.recorder.take()) + repr(held)
    assert "/tokens/validate" in shown
    for secret in (held.access_token, held.refresh_token, console.access_token, tenant.environment.api_key):
        assert secret not in shown
