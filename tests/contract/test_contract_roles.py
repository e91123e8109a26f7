"""Both shops behind AuthKit as WorkOS documents it: its tokens, its introspection, and WorkOS's API as the local
authorization server answers it.

What a role permits only the Worker asks: the local shop's authorization server grants the shop's own scopes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.client.workos.environment import LOCAL_FILE
from demo.deploy import workerd
from demo.deploy.tools import Tools
from deputize.net import free_port
from deputize.tokens.claims import view
from tests.conftest import Command
from tests.contract.authkit import ENVIRONMENT, FIRST_PARTY, SCOPES, AuthKit, authkit
from tests.contract.issuer import ALICE, Issuer
from tests.contract.process import LocalShop
from tests.contract.shop import Shop, challenge_of, opened, order_of, refusal, wording

ROLE = {"SCOPES_FROM": "role", "ORGANIZATION": "org_conference_shop", "DEFAULT_SPENDING_LIMIT": "6000"}
PEOPLE = {"alice": "user_alice", "mallory": "user_mallory", "grace": "user_grace"}


@pytest.fixture(scope="module")
def workos() -> Iterator[AuthKit]:
    """The authorization server of these shops."""
    with authkit() as running:
        yield running


@contextmanager
def worker(
    workos: AuthKit, issuer: Issuer, installed: Tools, state: Path, *, introspection: bool = False, **variables: str
) -> Iterator[Shop]:
    """The Worker behind AuthKit, with a key for WorkOS."""
    secrets = {"WORKOS_API_KEY": json.loads((issuer.state / LOCAL_FILE).read_text("utf-8"))["api_key"]}
    if introspection:
        secrets |= workerd.local_secrets(FIRST_PARTY)
    told = workerd.local_variables(workos.url) | {"WORKOS_API": issuer.url, **ROLE, **variables}
    with (
        workerd.running(installed, port=free_port(), state=state, variables=told, secrets=secrets) as running,
        opened("worker", running.base_url, issuer) as shop,
    ):
        yield shop


@pytest.fixture(scope="module")
def edge(workos: AuthKit, issuer: Issuer, installed: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for the tests that change nothing of its settings; who is let in is said by role."""
    with worker(
        workos, issuer, installed, tmp_path_factory.mktemp("edge"), ALLOWLIST="role:member,role:customer"
    ) as shop:
        yield shop


def token(workos: AuthKit, shop: Shop, human: str = "alice", **changes: Any) -> str:
    return workos.access_token(shop.resource, sub=PEOPLE[human], **changes)


@pytest.mark.worker
def test_a_token_of_the_documented_shape_buys_by_its_humans_role_and_is_on_record_by_name(
    edge: Shop, workos: AuthKit
) -> None:
    held = token(workos, edge)
    bought = edge.buy(token=held, key="role-1")
    assert order_of(bought)["user"] == "user_alice"
    decision = bought.json()["result"]["_meta"]["demo/decision"]
    assert (decision["username"], decision["agent"]) == (ALICE, None)
    assert decision["client"] is not None, "the client stands for the agent"
    jwks = edge.http.get(f"{workos.url}/oauth2/jwks").json()
    seen = view(held, issuer=workos.url, audience=edge.resource, jwks=jwks, jwks_url=f"{workos.url}/oauth2/jwks")
    assert seen.problems == (), "the agent says of it what the shop does"
    assert [name for name, _ in seen.header] == ["alg", "kid"]


@pytest.mark.worker
@pytest.mark.parametrize(
    ("what", "rule"),
    [("id token", "token.audience"), ("id token for the shop", "token.type"), ("JWT", "token.type"), ("", "token.type"),
     ("no resource", "token.audience"), ("another issuer", "token.issuer")],
)  # fmt: skip
def test_what_is_no_access_token_for_here_is_refused_and_the_agent_says_so_too(
    edge: Shop, workos: AuthKit, what: str, rule: str
) -> None:
    made = {
        "id token": lambda: workos.id_token(sub="user_alice", email=ALICE),
        "id token for the shop": lambda: workos.id_token(sub="user_alice", email=ALICE, aud=edge.resource),
        "JWT": lambda: token(workos, edge, header={"typ": "JWT"}),
        "": lambda: token(workos, edge, header={"typ": ""}),
        "no resource": lambda: workos.access_token(None, sub="user_alice"),
        "another issuer": lambda: token(workos, edge, iss="https://another.authkit.app"),
    }[what]()
    refused = edge.call("listMcpShopInventory", token=made)
    assert (refused.status_code, refusal(refused)["rule"]) == (401, rule)
    jwks = edge.http.get(f"{workos.url}/oauth2/jwks").json()
    assert view(made, issuer=workos.url, audience=edge.resource, jwks=jwks, jwks_url="x").problems


@pytest.mark.worker
def test_what_the_role_does_not_permit_is_refused_without_a_scope_to_ask_for(edge: Shop, workos: AuthKit) -> None:
    refused = edge.call("setDemoMode", {"mode": "banned"}, token=token(workos, edge, "mallory"))
    assert refused.status_code == 403
    assert refusal(refused)["rule"] == "scope.insufficient"
    expected = ("role", {"roles": "member", "scope": "demo:mode", "tool": "setDemoMode"})
    assert wording(refusal(refused)) == expected
    told = challenge_of(refused)
    assert told is not None and told["error"] == "insufficient_scope" and "scope" not in told


@pytest.mark.worker
def test_a_token_from_another_organization_lets_nobody_in(edge: Shop, workos: AuthKit) -> None:
    refused = edge.call("listMcpShopInventory", token=token(workos, edge, org_id="org_another"))
    assert refusal(refused)["rule"] == "allowlist.user", "by role, which it has elsewhere"


@pytest.mark.worker
def test_without_a_token_the_challenge_names_the_scopes_that_are_granted(edge: Shop) -> None:
    refused = edge.call("listMcpShopInventory", token=None)
    told = challenge_of(refused)
    assert told is not None and "scope" not in told
    assert edge.http.get(told["resource_metadata"]).json()["scopes_supported"] == SCOPES.split()


@pytest.mark.worker
def test_members_are_let_in_without_a_list_and_introspection_sees_what_the_keys_cannot(
    workos: AuthKit, issuer: Issuer, installed: Tools, tmp_path: Path
) -> None:
    with worker(workos, issuer, installed, tmp_path, introspection=True, ALLOWLIST="members") as shop:
        held = token(workos, shop, "mallory", sid="app_consent_01TAKEN")
        assert shop.call("listMcpShopInventory", token=held).status_code == 200
        assert "/oauth2/introspection" in workos.asked
        elsewhere = token(workos, shop, "mallory", org_id="org_another")
        assert refusal(shop.call("listMcpShopInventory", token=elsewhere))["rule"] == "allowlist.user"
        workos.taken.add("app_consent_01TAKEN")
        refused = shop.call("listMcpShopInventory", token=held)
        assert (refused.status_code, refusal(refused)["rule"]) == (401, "standing.token")


@pytest.mark.worker
def test_an_extra_audience_is_off_by_default_and_the_doctor_calls_it_a_weakening(
    workos: AuthKit, issuer: Issuer, installed: Tools, tmp_path: Path, demo: Command
) -> None:
    by_device = workos.access_token(None, sub="user_alice")  # the device flow documents no `resource`
    with worker(workos, issuer, installed, tmp_path, ALLOWLIST="@example.com", EXTRA_AUDIENCES=ENVIRONMENT) as shop:
        assert shop.call("listMcpShopInventory", token=by_device).status_code == 200
        login = workos.id_token(sub="user_alice", email=ALICE, aud=ENVIRONMENT)
        assert refusal(shop.call("listMcpShopInventory", token=login))["rule"] == "token.type"
        admin = shop.http.post(f"{shop.base}/admin/door", headers={"authorization": f"Bearer {by_device}"}, json={})
        assert refusal(admin)["rule"] == "token.audience", "it weakens no other door"
        other = token(workos, shop, "mallory")
        assert refusal(shop.call("listMcpShopInventory", token=other))["rule"] == "allowlist.user", "example.org"
        told = json.loads(demo("doctor", "--server", shop.resource, "--json").stdout)["findings"]
    (found,) = (finding for finding in told if finding["name"] == "weakened")
    assert found["mark"] == "warn" and ENVIRONMENT in found["detail"]


def test_the_local_shop_takes_the_same_tokens(workos: AuthKit, issuer: Issuer, tmp_path: Path) -> None:
    """Its own authorization server issues RFC 9068's; behind AuthKit it goes by the same policy."""
    with LocalShop(issuer, tmp_path) as process:
        id, secret = FIRST_PARTY
        given = {"INTROSPECTION_CLIENT_ID": id, "INTROSPECTION_CLIENT_SECRET": secret}
        process.start(ISSUER=workos.url, ALLOWLIST="members", ORGANIZATION="org_conference_shop", **given)
        with opened("local", process.base, issuer) as shop:
            answer = shop.post("tools/list", token=token(workos, shop))
            assert answer.status_code == 200, answer.text
            refused = shop.post("tools/list", token=workos.id_token(sub="user_alice", email=ALICE, aud=shop.resource))
            assert refusal(refused)["rule"] == "token.type"
            elsewhere = shop.post("tools/list", token=token(workos, shop, org_id="org_another"))
            assert refusal(elsewhere)["rule"] == "allowlist.user"
