"""Who the agent is at an authorization server, and who gets to see it."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import unquote

import pytest

from demo.client import Agent
from deputize import ClientIdentity, OAuthRefused
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.machine_flow import TokenRequest
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Request, agent_at, faking, oauth, store_in
from tests.unit.deputize.oauth.conftest import AuthServer, log_in

DOCUMENT = "https://agent.example/client.json"


def test_a_native_client_registers_with_the_grants_that_its_flow_needs(agent: Agent, auth_server: AuthServer) -> None:
    agent.start_login(("shop:read",), BROWSER).close()
    agent.start_login(("shop:read",))
    browser, device = auth_server.registered
    assert browser["application_type"] == device["application_type"] == "native"
    assert browser["grant_types"] == ["authorization_code", "refresh_token"]
    assert browser["response_types"] == ["code"]
    assert len(browser["redirect_uris"]) == 1
    assert device["grant_types"] == ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
    assert "redirect_uris" not in device
    assert browser["token_endpoint_auth_method"] == "none"


@pytest.mark.parametrize("flow", ["browser", "device"])
def test_a_server_without_refresh_tokens_registers_the_agent_all_the_same(
    agent: Agent, auth_server: AuthServer, flow: str
) -> None:
    """npm's oidc-provider refuses a registration that names a grant type it does not have."""
    device = "urn:ietf:params:oauth:grant-type:device_code"
    auth_server.shop.metadata["grant_types_supported"] = ["implicit", "authorization_code", device]
    wanted: list[list[str]] = []

    def register(request: Request) -> Reply:
        wanted.append(request.json["grant_types"])
        if "refresh_token" in wanted[-1]:
            why = "grant_types can only contain 'implicit' or 'authorization_code'"
            return Reply(400, {"error": "invalid_client_metadata", "error_description": why})
        return Reply(201, {"client_id": "client-1", "token_endpoint_auth_method": "none", "grant_types": wanted[-1]})

    auth_server.shop.fake.on["/register"] = register
    if flow == "browser":
        agent.start_login(("shop:read",), BROWSER).close()
    else:
        agent.start_login(("shop:read",))
    first = "authorization_code" if flow == "browser" else device
    assert wanted == [[first, "refresh_token"], [first]]


def test_a_registration_names_the_scopes_that_will_be_asked_for(agent: Agent, auth_server: AuthServer) -> None:
    auth_server.shop.resource["scopes_supported"] = ["shop:read", "shop:buy"]
    agent.start_login(("shop:read",))
    assert auth_server.registered[0]["scope"].split() == ["shop:read", "shop:buy"]
    agent.start_login(("shop:buy",))
    assert len(auth_server.registered) == 1
    agent.start_login(("admin",))
    assert auth_server.registered[1]["scope"].split() == ["shop:read", "shop:buy", "admin"]


def test_a_secret_that_has_run_out_is_not_used(agent: Agent, auth_server: AuthServer) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    auth_server.registration = {
        "client_secret": "s3cret-0123456789",
        "token_endpoint_auth_method": "client_secret_post",
        "client_secret_expires_at": 1,
    }
    agent.start_login(("shop:read",))
    agent.start_login(("shop:read",))
    assert len(auth_server.registered) == 2


def test_a_registration_is_kept_and_used_again(agent: Agent, auth_server: AuthServer, tmp_path: Path) -> None:
    agent.start_login(("shop:read",))
    agent_at(auth_server.base, tmp_path, client_id=None).start_login(("shop:read",))
    assert len(auth_server.registered) == 1


def test_a_registration_that_was_forgotten_there_is_made_anew_once(agent: Agent, auth_server: AuthServer) -> None:
    agent.start_login(("shop:read",))
    auth_server.shop.fake.on["/device_authorization"] = [
        oauth("invalid_client", 401),
        Reply(json=auth_server.shop.device),
    ]
    assert agent.start_login(("shop:read",)).identity.client_id == "client-2"
    auth_server.shop.fake.on["/device_authorization"] = oauth("invalid_client", 401)
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(("shop:read",))
    assert refused.value.oauth_error == "invalid_client"
    assert len(auth_server.registered) == 3


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_that_was_given_is_used_as_registered_and_never_shown(
    agent: Agent, auth_server: AuthServer, method: str
) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = [method]
    auth_server.registration = {"client_secret": "s3cret-0123456789", "token_endpoint_auth_method": method}
    log_in(agent)
    assert auth_server.registered[0]["token_endpoint_auth_method"] == method
    (request,) = auth_server.shop.fake.to("/token")
    if method == "client_secret_post":
        assert request.form["client_secret"] == ["s3cret-0123456789"]
    else:
        assert request.headers["authorization"].startswith("Basic ")
        assert "client_secret" not in request.form, "the secret goes one way only (RFC 6749 section 2.3)"
    assert "s3cret-0123456789" not in repr(agent.recorder.exchanges)


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        (["client_secret_basic", "client_secret_post"], "client_secret_post"),
        (["client_secret_basic", "private_key_jwt"], "client_secret_basic"),
        (["none", "client_secret_post"], "none"),
    ],
)
def test_a_client_registers_for_the_method_that_is_read_alike_everywhere(
    agent: Agent, auth_server: AuthServer, offered: list[str], used: str
) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = offered
    auth_server.registration = {"client_secret": "s3cret-0123456789"}
    agent.start_login(("shop:read",))
    assert auth_server.registered[0]["token_endpoint_auth_method"] == used


def test_the_form_names_the_client_at_every_endpoint_also_where_the_secret_goes_in_the_header(
    auth_server: AuthServer, tmp_path: Path
) -> None:
    # The authenticator of MCP's Python SDK (mcp.server.auth.middleware.client_auth) looks the client up by the form.
    base = auth_server.base
    auth_server.shop.metadata |= {
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "introspection_endpoint": f"{base}/introspect",
        "revocation_endpoint": f"{base}/revoke",
    }
    auth_server.shop.fake.on["/introspect"] = Reply(json={"active": True})
    auth_server.shop.fake.on["/revoke"] = Reply(200)
    identity = ClientIdentity("robot", secret="a secret: 100%", method="client_secret_basic", issuer=base)
    agent = agent_at(base, tmp_path, client_id=None, identity=identity)
    login = agent.start_login(("shop:read",))
    agent.finish_login(login, timeout=HANGS)
    log_in(agent)
    agent.view(agent.refresh())
    agent.logout()
    agent.authorizer.by_machine(TokenRequest())
    asked = {
        path: auth_server.shop.fake.to(path) for path in ("/device_authorization", "/token", "/introspect", "/revoke")
    }
    assert [len(requests) for requests in asked.values()] == [1, 4, 1, 1]
    for request in (one for requests in asked.values() for one in requests):
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        assert [unquote(half) for half in pair.split(":")] == ["robot", "a secret: 100%"]
        assert request.form["client_id"] == ["robot"] and "client_secret" not in request.form


def test_a_confidential_client_renews_after_a_restart(agent: Agent, auth_server: AuthServer, tmp_path: Path) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    auth_server.registration = {
        "client_secret": "s3cret-0123456789",
        "token_endpoint_auth_method": "client_secret_post",
    }
    log_in(agent)
    agent_at(auth_server.base, tmp_path, client_id=None).refresh()
    assert auth_server.forms[-1]["client_secret"] == ["s3cret-0123456789"]
    assert auth_server.forms[-1]["grant_type"] == ["refresh_token"]


@pytest.mark.parametrize(
    "answer",
    [
        Reply(201, json={}),
        Reply(201, json={"client_id": 7}),
        Reply(201, json={"client_id": "x", "token_endpoint_auth_method": "tls_client_auth"}),
        Reply(201, json={"client_id": "x", "token_endpoint_auth_method": "client_secret_basic"}),
        Reply(400, json={"error": "invalid_client_metadata", "error_description": "\x1b]0;no\x07"}),
        Reply(403),
    ],
)
def test_a_registration_that_is_refused_or_useless_is_told(
    agent: Agent, auth_server: AuthServer, answer: Reply
) -> None:
    auth_server.shop.fake.on["/register"] = answer
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(("shop:read",), BROWSER)
    assert refused.value.why and refused.value.do
    assert "\x1b" not in refused.value.why


def test_a_metadata_document_goes_before_a_registration(auth_server: AuthServer, tmp_path: Path) -> None:
    auth_server.shop.metadata["client_id_metadata_document_supported"] = True
    agent = agent_at(auth_server.base, tmp_path, client_id=None, metadata_url=DOCUMENT)
    login = agent.start_login(("shop:read",), BROWSER)
    login.close()
    assert login.identity.client_id == DOCUMENT
    assert auth_server.registered == []


def test_a_document_is_of_no_use_where_it_is_not_understood(auth_server: AuthServer, tmp_path: Path) -> None:
    agent = agent_at(auth_server.base, tmp_path, client_id=None, metadata_url=DOCUMENT)
    assert agent.start_login(("shop:read",)).identity.client_id == "client-1"


def test_what_was_registered_by_hand_goes_before_both(auth_server: AuthServer, tmp_path: Path) -> None:
    auth_server.shop.metadata["client_id_metadata_document_supported"] = True
    identity = ClientIdentity(
        "by-hand", secret="s3cret-0123456789", method="client_secret_post", issuer=auth_server.base
    )
    agent = agent_at(auth_server.base, tmp_path, client_id=None, identity=identity, metadata_url=DOCUMENT)
    assert log_in(agent).client_id == "by-hand"
    assert auth_server.registered == []


@pytest.mark.parametrize(
    ("offered", "body"), [(["client_secret_post"], True), (["client_secret_basic"], False), ([], False)]
)
def test_a_secret_from_the_settings_is_sent_as_the_authorization_server_takes_it(
    auth_server: AuthServer, tmp_path: Path, offered: list[str], body: bool
) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = offered
    identity = ClientIdentity(
        "by-hand", secret="s3cret-0123456789", method="client_secret_basic", issuer=auth_server.base
    )
    log_in(agent_at(auth_server.base, tmp_path, client_id=None, identity=identity))
    (request,) = auth_server.shop.fake.to("/token")
    assert ("client_secret" in request.form) is body
    assert ("authorization" in request.headers) is not body


def test_credentials_of_one_issuer_are_never_shown_to_another(auth_server: AuthServer, tmp_path: Path) -> None:
    identity = ClientIdentity(
        "by-hand", secret="s3cret-0123456789", method="client_secret_post", issuer="https://other.example"
    )
    agent = agent_at(auth_server.base, tmp_path, client_id=None, identity=identity)
    log_in(agent)
    assert all("s3cret" not in repr(request.body) for request in auth_server.shop.fake.requests)
    assert auth_server.forms[0]["client_id"] == ["client-1"]
    auth_server.shop.metadata.pop("registration_endpoint")
    with pytest.raises(OAuthRefused) as refused:
        agent_at(auth_server.base, tmp_path / "new", client_id=None, identity=identity).start_login(("a",), BROWSER)
    assert "https://other.example" in refused.value.why


def test_a_secret_without_an_issuer_is_no_identity(auth_server: AuthServer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="issuer"):
        agent_at(auth_server.base, tmp_path, identity=ClientIdentity("by-hand", secret="s3cret-0123456789"))


def test_a_server_that_moves_to_another_authorization_server_gets_a_client_of_its_own(
    agent: Agent, auth_server: AuthServer, tmp_path: Path
) -> None:
    log_in(agent)
    with faking() as elsewhere:
        metadata = {
            name: str(value).replace(auth_server.base, elsewhere.base)
            for name, value in auth_server.shop.metadata.items()
            if isinstance(value, str)
        }
        elsewhere.on["/.well-known/oauth-authorization-server"] = Reply(
            json=metadata | {"code_challenge_methods_supported": ["S256"]}
        )
        elsewhere.on["/register"] = Reply(201, json={"client_id": "another"})
        auth_server.shop.resource["authorization_servers"] = [elsewhere.base]
        login = agent_at(auth_server.base, tmp_path, client_id=None).start_login(("shop:read",), BROWSER)
        login.close()
    assert login.identity.client_id == "another"
    assert login.identity.issuer == elsewhere.base
    assert all(b"client-1" not in request.body for request in elsewhere.requests)


def test_a_registration_that_cannot_be_read_is_made_anew(agent: Agent, auth_server: AuthServer, tmp_path: Path) -> None:
    for text in ("", "{}", "[]", '{"client_id": "", "method": "none"}', '{"client_id": "x", "method": "magic"}'):
        store_in(tmp_path, auth_server.base).keep("client agent device", text)
        before = len(auth_server.registered)
        agent.start_login(("shop:read",))
        assert len(auth_server.registered) == before + 1


def test_the_real_authorization_server_registers_the_agent_for_what_it_asks(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path, client_id=None)
    login = agent.start_login(("shop:read",))
    assert login.identity.source == "dynamic registration"
    # Registered for the browser, and not for the device flow: refused there.
    browser = agent.start_login(("shop:read",), BROWSER)
    browser.close()
    other = agent_at(server, tmp_path / "other", client_id=browser.identity.client_id)
    with pytest.raises(OAuthRefused) as refused:
        other.start_login(("shop:read",))
    assert refused.value.oauth_error == "unauthorized_client"


def test_the_real_authorization_server_takes_our_metadata_document(server: str, tmp_path: Path) -> None:
    from demo.client import SampleHuman

    agent = agent_at(server, tmp_path, client_id=None, metadata_url=f"{server}/client.json")
    login = agent.start_login(("openid", "shop:read"), BROWSER)
    assert login.identity.source == "client ID metadata document"
    _, redirect = SampleHuman("alice@example.com").authorize(login.url, True)
    token = agent.finish_login(login, pasted=lambda: redirect, timeout=HANGS)
    assert agent.view(token).claim("client_id") == f"{server}/client.json"
