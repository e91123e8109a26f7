"""The Worker behind tokens as AuthKit issues them, with WorkOS's API as the local authority answers it.

Only the Worker has this: the local shop's authority grants the shop's own scopes, so it asks nobody for a role.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from demo import resources
from demo.client.workos.environment import LOCAL_FILE
from demo.deploy import workerd
from demo.deploy.tools import Tools
from tests.contract.issuer import ALICE, MALLORY, Issuer
from tests.contract.shop import Shop, challenge_of, opened, order_of, refusal

pytestmark = pytest.mark.worker
SCOPES = "openid profile email offline_access"


@pytest.fixture(scope="module")
def edge(issuer: Issuer, installed: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The Worker with a key for WorkOS and none for introspection."""
    port = workerd.a_port()
    key = json.loads((issuer.state / LOCAL_FILE).read_text("utf-8"))["api_key"]
    base = f"http://127.0.0.1:{port}"
    resources.add(issuer.state, f"{base}/mcp")
    variables = {
        "SCOPES_FROM": "role",
        "ORGANIZATION": "org_conference_shop",
        "WORKOS_API": issuer.url,
        "DEFAULT_SPENDING_LIMIT": "6000",
        "ALLOWLIST": f"{ALICE},{MALLORY}",
    }
    with (
        workerd.running(
            installed,
            port=port,
            state=tmp_path_factory.mktemp("edge"),
            variables=workerd.local_variables(issuer.url) | variables,
            secrets={"WORKOS_API_KEY": key},
        ) as worker,
        opened("worker", worker.base_url, issuer) as shop,
    ):
        yield shop


def authkit_token(shop: Shop, human: str = ALICE, **changes: Any) -> str:
    """A token with the claims that WorkOS documents for agents: no agent, no scope of the shop, no email address."""
    grant = shop.grant(human=human)
    claims: dict[str, Any] = {
        "act": None,
        "consent_id": None,
        "authorization_details": None,
        "auth_time": None,
        "scope": SCOPES,
        "sid": grant.session.consent_id,
        "org_id": "org_conference_shop",
    }
    return shop.token(replace(grant), **(claims | changes))


def test_an_agent_buys_by_its_humans_role_and_is_on_record_by_name(edge: Shop) -> None:
    token = authkit_token(edge)
    bought = edge.buy(token=token, key="role-1")
    assert order_of(bought)["user"] == "user_alice"
    decision = bought.json()["result"]["_meta"]["demo/decision"]
    assert (decision["username"], decision["agent"]) == (ALICE, None)
    assert decision["client"] is not None, "the client stands for the agent"


def test_what_the_role_does_not_permit_is_refused_without_a_scope_to_ask_for(edge: Shop) -> None:
    refused = edge.call("setDemoMode", {"mode": "banned"}, token=authkit_token(edge, MALLORY))
    assert refused.status_code == 403
    assert refusal(refused)["rule"] == "scope.insufficient"
    assert "role member does not permit demo:mode" in refusal(refused)["reason"]
    told = challenge_of(refused)
    assert told is not None and told["error"] == "insufficient_scope" and "scope" not in told


def test_a_token_from_another_organization_permits_nothing(edge: Shop) -> None:
    refused = edge.call("listMcpShopInventory", token=authkit_token(edge, org_id="org_another"))
    assert refusal(refused)["rule"] == "scope.insufficient"


def test_a_stranger_is_sent_to_the_authority_for_scopes_that_it_grants(edge: Shop) -> None:
    refused = edge.call("listMcpShopInventory", token=None)
    told = challenge_of(refused)
    assert told is not None and "scope" not in told
    assert edge.http.get(told["resource_metadata"]).json()["scopes_supported"] == SCOPES.split()
