"""The registry of login flows: each registers for what it uses, and is chosen where it is offered."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from deputize import OAuthRefused
from deputize.evidence import AuthorizationServerMetadata
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.device_flow import DEVICE
from deputize.oauth.flows import FLOWS, HUMAN_FLOWS, choose, human_flow, other
from deputize.oauth.login_flow import HumanFlow, LoginFlow
from deputize.oauth.machine_flow import ASSERTION, CLIENT_CREDENTIALS, TokenRequest
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Request, granted
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back

SECRET = "s3cret-0123456789"
ISSUER = "https://auth.example"
BOTH = AuthorizationServerMetadata(
    "",
    ISSUER,
    f"{ISSUER}/token",
    device_authorization_endpoint=f"{ISSUER}/device",
    authorization_endpoint=f"{ISSUER}/authorize",
    code_challenge_methods_supported=("S256",),
)


@dataclass
class Strict:
    """An authorization server that holds each client to its registration, and each registration to the standards."""

    auth_server: AuthServer
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fake = self.auth_server.shop.fake
        self.auth_server.shop.metadata |= {
            "grant_types_supported": sorted({grant for flow in FLOWS for grant in flow.grant_types}),
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
        }
        fake.on["/register"] = self.register
        fake.on["/device_authorization"] = self.device
        fake.on["/token"] = self.token

    def register(self, request: Request) -> Reply:
        asked = request.json
        grants, public = asked["grant_types"], asked["token_endpoint_auth_method"] == "none"
        by_code = "authorization_code" in grants
        wrong = (
            ("client_credentials" in grants and public)  # RFC 6749 section 4.4
            or ("client_credentials" not in grants and not public)  # RFC 8252 section 8.4
            or ("code" in asked["response_types"]) is not by_code  # RFC 7591 section 2.1
            or ("redirect_uris" in asked) is not by_code
            or not set(grants) <= set(self.auth_server.shop.metadata["grant_types_supported"])
        )
        if wrong:
            return Reply(400, json={"error": "invalid_client_metadata"})
        name = f"client-{len(self.clients) + 1}"
        self.clients[name] = asked
        return Reply(201, json=asked | {"client_id": name} | ({} if public else {"client_secret": SECRET}))

    def device(self, request: Request) -> Reply:
        refused = self._refused(request, DEVICE.grant_types[0])
        return refused or Reply(json=self.auth_server.shop.device)

    def token(self, request: Request) -> Reply:
        grant = request.form["grant_type"][0]
        refused = self._refused(request, grant)
        self.used.setdefault(request.form["client_id"][0], set()).add(grant)
        return refused or granted()

    def _refused(self, request: Request, grant: str) -> Reply | None:
        client = self.clients.get(request.form["client_id"][0])
        if client is None:
            return Reply(401, json={"error": "invalid_client"})
        if grant not in client["grant_types"]:
            return Reply(400, json={"error": "unauthorized_client"})
        shown = request.form.get("client_secret", [None])[0]
        if client["token_endpoint_auth_method"] != "none" and shown != SECRET:
            return Reply(401, json={"error": "invalid_client"})
        return None


def log_in(agent: Agent, flow: LoginFlow) -> None:
    if flow is CLIENT_CREDENTIALS:
        agent.authorizer.by_machine(TokenRequest(), ("shop:read",))
    elif flow is ASSERTION:
        agent.authorizer.by_machine(TokenRequest(assertion="signed.by.platform"), ("shop:read",))
    elif flow is DEVICE:
        agent.finish_login(agent.start_login(("shop:read",), DEVICE), timeout=HANGS)
    else:
        login = agent.start_login(("shop:read",), BROWSER)
        threading.Thread(target=come_back, args=(answered(login.url),), daemon=True).start()
        agent.finish_login(login, timeout=HANGS)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_flow_registers_for_the_grants_that_it_uses_and_authenticates_as_it_registered(
    agent: Agent, auth_server: AuthServer, flow: LoginFlow
) -> None:
    strict = Strict(auth_server)
    log_in(agent, flow)
    if isinstance(flow, HumanFlow):
        agent.refresh()
    (registered,) = strict.clients.values()
    assert strict.used["client-1"] == set(registered["grant_types"]) == set(flow.grant_types)
    assert (registered["token_endpoint_auth_method"] != "none") is flow.confidential


def test_each_flow_is_a_client_of_its_own_and_all_are_forgotten_at_a_logout(
    agent: Agent, auth_server: AuthServer, tmp_path: Path
) -> None:
    strict = Strict(auth_server)
    for _ in range(2):
        for flow in FLOWS:
            log_in(agent, flow)
    assert len(strict.clients) == len(FLOWS)
    agent.logout()
    for flow in FLOWS:
        log_in(agent, flow)
    assert len(strict.clients) == 2 * len(FLOWS)


def test_names_and_grants_tell_the_flows_apart() -> None:
    assert len({flow.name for flow in FLOWS}) == len({flow.grant_types[0] for flow in FLOWS}) == len(FLOWS)
    assert [human_flow(flow.name) for flow in HUMAN_FLOWS] == list(HUMAN_FLOWS)


def test_the_first_flow_is_chosen_that_nothing_speaks_against() -> None:
    assert choose(BOTH, lambda flow: None).flow is DEVICE
    refused = choose(BOTH, lambda flow: "no" if flow is DEVICE else None)
    assert refused.flow is BROWSER and "no" in refused.why
    assert choose(BOTH, lambda flow: "no").flow is DEVICE, "what was refused everywhere is tried again"
    with pytest.raises(OAuthRefused) as none:
        choose(AuthorizationServerMetadata("", ISSUER, f"{ISSUER}/token"), lambda flow: None)
    assert none.value.oauth_error == "unsupported"


def test_another_flow_is_one_that_was_not_refused_either() -> None:
    assert other(DEVICE, BOTH, lambda flow: None) is BROWSER
    assert other(BROWSER, BOTH, lambda flow: "no") is None


def test_a_flow_whose_tokens_will_not_do_is_chosen_for_no_refusal_of_another() -> None:
    """AuthKit's device flow gives no tokens for an MCP server."""
    authkit = replace(BOTH, issuer="https://name.authkit.app")
    assert choose(authkit, lambda flow: "no" if flow is BROWSER else None).flow is BROWSER
    assert choose(replace(authkit, authorization_endpoint=None), lambda flow: None).flow is DEVICE
