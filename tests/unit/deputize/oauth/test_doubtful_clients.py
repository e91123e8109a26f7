"""A registration that is of no use any more, or never was for this flow: what is kept, what is asked again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.client import Agent
from deputize import ClientIdentity, OAuthRefused
from deputize.errors import ExplainedError, Remedy
from deputize.http.errors import GrantNotAllowed
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.device_flow import DEVICE
from deputize.oauth.login_flow import HumanFlow, Login
from deputize.oauth.machine_flow import TokenRequest
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Request, agent_at, granted, oauth, store_in
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back, log_in

SECRET = "s3cret-0123456789"


def by_device(agent: Agent, **more: object) -> str:
    """A whole login by a code: as which client."""
    return agent.finish_login(agent.start_login(("shop:read",)), **({"timeout": 10} | more)).client_id  # type: ignore[arg-type]


def interrupted() -> bool:
    raise KeyboardInterrupt


def in_browser(agent: Agent, error: str) -> None:
    log_in(agent, lambda url: answered(url, code=None, error=error))


def timed_out(agent: Agent) -> None:
    agent.finish_login(agent.start_login(("shop:read",), BROWSER), timeout=0.3)


def interrupted_in_the_browser(agent: Agent) -> None:
    agent.finish_login(agent.start_login(("shop:read",), BROWSER), give_up=interrupted)


ENDS: dict[str, Callable[[Agent], object]] = {
    "Ctrl-C in the device flow": lambda agent: by_device(agent, give_up=interrupted),
    "given up in the device flow": lambda agent: by_device(agent, give_up=lambda: True),
    "nobody came, in the device flow": lambda agent: by_device(agent, timeout=0.3),
    "Ctrl-C in the browser flow": interrupted_in_the_browser,
    "nobody came back from the browser": timed_out,
    "the browser brings an error": lambda agent: in_browser(agent, "invalid_request"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_login_that_ends_without_a_token_makes_the_registration_doubtful(
    auth_server: AuthServer, agent: Agent, end: str
) -> None:
    auth_server.shop.polls(oauth("authorization_pending"))
    with pytest.raises((ExplainedError, KeyboardInterrupt)):
        ENDS[end](agent)
    auth_server.shop.polls(granted())
    assert (by_device(agent) if "device" in end else log_in(agent).client_id) == "client-2"


@pytest.mark.parametrize("flow", ["device", "browser"])
def test_the_humans_no_says_nothing_against_the_client(auth_server: AuthServer, agent: Agent, flow: str) -> None:
    auth_server.shop.polls(oauth("access_denied"))
    with pytest.raises(OAuthRefused):
        by_device(agent) if flow == "device" else in_browser(agent, "access_denied")
    auth_server.shop.polls(granted())
    assert (by_device(agent) if flow == "device" else log_in(agent).client_id) == "client-1"
    assert len(auth_server.registered) == 1


def test_a_client_that_is_unknown_once_the_human_approved_is_registered_again(
    auth_server: AuthServer, agent: Agent
) -> None:
    auth_server.shop.polls(oauth("authorization_pending"), oauth("invalid_client", 401))
    with pytest.raises(OAuthRefused) as refused:
        by_device(agent)
    assert "registers again" in refused.value.do
    auth_server.shop.polls(granted())
    assert by_device(agent) == "client-2"


def test_a_client_that_is_unknown_when_it_renews_is_registered_again(auth_server: AuthServer, agent: Agent) -> None:
    log_in(agent)
    auth_server.shop.polls(oauth("invalid_client", 401))
    with pytest.raises(OAuthRefused) as refused:
        agent.refresh()
    assert refused.value.remedy == Remedy("log_in")
    auth_server.shop.polls(granted())
    assert log_in(agent).client_id == "client-2"


@pytest.mark.parametrize("logged_in", [True, False])
def test_a_logout_forgets_who_the_agent_was_there(
    auth_server: AuthServer, agent: Agent, tmp_path: Path, logged_in: bool
) -> None:
    if logged_in:
        log_in(agent)
    else:
        agent.start_login(("shop:read",), BROWSER).close()
    agent_at(auth_server.base, tmp_path, client_id=None).logout()
    assert log_in(agent).client_id == "client-2"


def test_a_reset_forgets_who_the_agent_was_there_and_nobody_elses(
    auth_server: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    agent.start_login(("shop:read",), BROWSER).close()
    other = agent_at(auth_server.base, tmp_path, client_id=None, slot="rival")
    other.start_login(("shop:read",), BROWSER).close()
    elsewhere = store_in(tmp_path, "https://elsewhere.example/mcp")
    elsewhere.keep("agent", "of another server")
    store_in(tmp_path, auth_server.base).clear()
    assert log_in(agent).client_id == "client-3"
    assert elsewhere.kept("agent") == "of another server"


def without_device(auth_server: AuthServer, how: str) -> None:
    """An authorization server that offers the device flow and does not give it to this client."""
    fake = auth_server.shop.fake
    register = auth_server._register
    wanted: list[str] = []

    def registers(request: Request) -> Reply:
        wanted[:] = request.json["grant_types"]
        if how == "the registration is refused" and DEVICE.grant_types[0] in wanted:
            why = "grant_types must be authorization_code and refresh_token"
            return Reply(400, json={"error": "invalid_client_metadata", "error_description": why})
        answer = register(request)
        if how == "the registration leaves it out":
            return Reply(201, json=answer.json | {"grant_types": ["authorization_code", "refresh_token"]})
        return answer

    fake.on["/register"] = registers
    if how == "the code is refused":
        fake.on["/device_authorization"] = oauth("unauthorized_client")
    if how == "the token is refused":
        auth_server.shop.polls(oauth("unauthorized_client"), granted())


HOW = ["the registration is refused", "the registration leaves it out", "the code is refused", "the token is refused"]


@pytest.mark.parametrize("how", HOW)
def test_a_client_that_may_not_use_the_device_flow_uses_the_code_flow(
    auth_server: AuthServer, agent: Agent, tmp_path: Path, how: str
) -> None:
    without_device(auth_server, how)
    assert agent.choose_flow().flow.name == "device"
    with pytest.raises(GrantNotAllowed) as refused:
        by_device(agent)
    other = agent.choose_other(DEVICE, refused.value)
    assert other is not None and other.flow.name == "browser" and refused.value.why in other.why
    assert log_in(agent).client_id
    tried = len(auth_server.shop.fake.to("/register"))
    assert tried <= 2
    # The next login knows, and neither registers nor asks in vain.
    again = agent_at(auth_server.base, tmp_path, client_id=None)
    way = again.choose_flow()
    assert (way.flow.name, "not for this client" in way.why) == ("browser", True)
    log_in(again)
    assert len(auth_server.shop.fake.to("/register")) == tried


def test_where_there_is_no_code_flow_the_refusal_is_the_answer(auth_server: AuthServer, agent: Agent) -> None:
    without_device(auth_server, "the registration is refused")
    auth_server.shop.metadata.pop("authorization_endpoint")
    with pytest.raises(GrantNotAllowed) as refused:
        by_device(agent)
    assert "grant_types must be authorization_code" in refused.value.why
    assert agent.choose_other(DEVICE, refused.value) is None


def test_a_login_by_device_that_works_after_all_counts_again(
    auth_server: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    without_device(auth_server, "the code is refused")
    with pytest.raises(GrantNotAllowed):
        by_device(agent)
    auth_server.shop.fake.on["/device_authorization"] = Reply(json=auth_server.shop.device)
    by_device(agent)
    assert agent_at(auth_server.base, tmp_path, client_id=None).choose_flow().flow.name == "device"


@pytest.mark.parametrize(
    ("offered", "given", "basic"),
    [
        (["none"], {"token_endpoint_auth_method": None}, None),
        (["none"], {"token_endpoint_auth_method": ""}, None),
        (["none"], {"token_endpoint_auth_method": None, "client_secret": None}, None),
        (["none", "client_secret_basic"], {"token_endpoint_auth_method": None, "client_secret": SECRET}, True),
        (["client_secret_post"], {"token_endpoint_auth_method": None, "client_secret": SECRET}, False),
        ([], {"token_endpoint_auth_method": None, "client_secret": SECRET, "client_secret_expires_at": None}, True),
        (["none"], {"grant_types": None, "scope": None, "client_name": None, "client_uri": None}, None),
    ],
)
def test_null_in_a_registration_is_absent(
    auth_server: AuthServer, agent: Agent, offered: list[str], given: dict[str, object], basic: bool | None
) -> None:
    auth_server.shop.metadata["token_endpoint_auth_methods_supported"] = offered
    auth_server.registration = given
    log_in(agent)
    (request,) = auth_server.shop.fake.to("/token")
    assert ("authorization" in request.headers) is (basic is True)
    assert ("client_secret" in request.form) is (basic is False)


def test_scopes_that_nobody_is_registered_for_are_left_to_the_login(auth_server: AuthServer, agent: Agent) -> None:
    register = auth_server._register
    why = "Requested scopes are not valid: shop:admin"
    auth_server.shop.resource["scopes_supported"] = ["shop:read", "shop:admin"]
    auth_server.shop.fake.on["/register"] = lambda request: (
        Reply(400, json={"error": "invalid_client_metadata", "error_description": why})
        if "shop:admin" in request.json.get("scope", "")
        else register(request)
    )
    for _ in range(2):
        assert log_in(agent).client_id == "client-1"
    assert "scope" not in auth_server.registered[0]


def test_null_in_a_token_response_is_absent(auth_server: AuthServer, agent: Agent) -> None:
    nothing = dict.fromkeys(["refresh_token", "scope", "id_token", "authorization_details", "error"])
    auth_server.shop.polls(granted(**nothing))
    token = log_in(agent)
    assert (token.scope, token.refresh_token, token.authorization_details) == (("shop:read",), None, ())


@pytest.mark.parametrize(
    ("offered", "sent"), [(["client_secret_post"], "form"), (["client_secret_basic"], "header"), ([], "header")]
)
def test_a_machine_without_a_client_id_registers_for_what_it_uses(
    auth_server: AuthServer, agent: Agent, offered: list[str], sent: str
) -> None:
    auth_server.shop.metadata |= {
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": offered,
    }
    auth_server.registration = {"client_secret": SECRET}
    for _ in range(2):
        assert agent.authorizer.by_machine(TokenRequest(), ("jobs:run",)).client_id == "client-1"
    (asked,) = auth_server.registered
    assert asked["grant_types"] == ["client_credentials"]
    assert asked["token_endpoint_auth_method"] == ("client_secret_post" if sent == "form" else "client_secret_basic")
    assert asked["response_types"] == [] and "redirect_uris" not in asked
    request = auth_server.shop.fake.to("/token")[-1]
    assert ("authorization" in request.headers) is (sent == "header")
    assert request.form["client_id"] == ["client-1"]


def test_a_workload_with_an_assertion_registers_for_that_grant(auth_server: AuthServer, agent: Agent) -> None:
    agent.authorizer.by_machine(TokenRequest(assertion="signed.by.platform"))
    assert auth_server.registered[0]["grant_types"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


@pytest.mark.parametrize("resource", ["none", "api://shop"])
def test_what_a_token_is_asked_for_can_be_set(auth_server: AuthServer, tmp_path: Path, resource: str) -> None:
    agent = agent_at(auth_server.base, tmp_path, client_id=None, resource=resource)
    expected = None if resource == "none" else [resource]
    by_device(agent)
    pending = agent.start_login(("shop:read",), BROWSER)
    threading.Thread(target=come_back, args=(answered(pending.url),), daemon=True).start()
    agent.finish_login(pending, timeout=HANGS)
    agent.refresh()
    auth_server.registration = {"client_secret": SECRET}
    agent.authorizer.by_machine(TokenRequest())
    assert [form.get("resource") for form in auth_server.forms] == [expected] * 4
    assert auth_server.shop.fake.to("/device_authorization")[0].form.get("resource") == expected
    assert ("resource=" in pending.url) is (expected is not None)


@pytest.mark.parametrize("flow", ["device", "browser", "code"])
def test_a_refused_resource_is_advised_on(auth_server: AuthServer, agent: Agent, flow: str) -> None:
    refusal = Reply(400, json={"error": "invalid_target", "error_description": "AADSTS901002: resource"})
    auth_server.shop.fake.on["/device_authorization"] = refusal
    auth_server.shop.polls(refusal)
    with pytest.raises(OAuthRefused) as refused:
        if flow == "device":
            by_device(agent)
        elif flow == "browser":
            log_in(agent, lambda url: answered(url, code=None, error="invalid_target"))
        else:
            log_in(agent)
    assert refused.value.remedy == Remedy("name_resource")
    assert flow == "browser" or "AADSTS901002" in refused.value.why


@pytest.mark.parametrize("device", [True, False])
@pytest.mark.parametrize("at", ["the browser", "the token endpoint"])
def test_where_the_code_flow_is_not_for_this_client_the_flow_that_is_left_is_named(
    auth_server: AuthServer, agent: Agent, device: bool, at: str
) -> None:
    if not device:
        auth_server.shop.metadata.pop("device_authorization_endpoint")
    auth_server.shop.polls(oauth("unauthorized_client"))
    with pytest.raises(GrantNotAllowed) as refused:
        in_browser(agent, "unauthorized_client") if at == "the browser" else log_in(agent)
    assert refused.value.remedy == (Remedy("log_in", flow="device") if device else None)


def test_advice_about_a_client_that_was_registered_by_hand_is_about_the_settings(
    auth_server: AuthServer, tmp_path: Path
) -> None:
    identity = ClientIdentity("by-hand", secret=SECRET, method="client_secret_basic", issuer=auth_server.base)
    agent = agent_at(auth_server.base, tmp_path, client_id=None, identity=identity)
    auth_server.shop.polls(oauth("invalid_client", 401))
    with pytest.raises(OAuthRefused) as refused:
        log_in(agent)
    assert refused.value.remedy == Remedy("register_client")


@pytest.mark.parametrize(
    ("offered", "flow", "remedy"),
    [
        ("authorization_endpoint", "device", Remedy("log_in", flow="browser")),
        ("device_authorization_endpoint", "browser", Remedy("log_in", flow="device")),
        ("", "device", Remedy("check_server")),
        ("", "browser", Remedy("check_server")),
    ],
)
def test_advice_names_a_flow_that_exists_there(
    auth_server: AuthServer, agent: Agent, offered: str, flow: str, remedy: Remedy
) -> None:
    for endpoint in {"authorization_endpoint", "device_authorization_endpoint"} - {offered}:
        auth_server.shop.metadata.pop(endpoint)
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(("shop:read",)) if flow == "device" else agent.start_login(("shop:read",), BROWSER)
    assert refused.value.remedy == remedy
    assert auth_server.registered == []


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_client_that_was_registered_by_hand_and_not_for_the_device_flow_is_put_right_by_hand(
    auth_server: AuthServer, tmp_path: Path, by_hand: bool
) -> None:
    identity = ClientIdentity("by-hand", issuer=auth_server.base) if by_hand else None
    agent = agent_at(auth_server.base, tmp_path, client_id=None, identity=identity)
    auth_server.shop.polls(oauth("unauthorized_client"))
    with pytest.raises(GrantNotAllowed) as refused:
        by_device(agent)
    assert refused.value.remedy == (Remedy("register_client") if by_hand else Remedy("log_in", flow="browser"))


@pytest.mark.parametrize("flow", [BROWSER, DEVICE], ids=lambda flow: flow.name)
def test_a_registration_for_more_that_fails_says_nothing_against_the_one_before(
    auth_server: AuthServer, agent: Agent, flow: HumanFlow[Login]
) -> None:
    fake = auth_server.shop.fake
    agent.start_login(("shop:read",), flow).close()
    register, fake.on["/register"] = fake.on["/register"], Reply(503)
    with pytest.raises(ExplainedError):
        agent.start_login(("shop:read", "shop:buy"), flow)
    fake.on["/register"] = register
    agent.start_login(("shop:read",), flow).close()
    assert len(auth_server.registered) == 1


def test_a_refusal_in_latin_1_is_read(auth_server: AuthServer, agent: Agent) -> None:
    refusal = '{"error": "access_denied", "error_description": "Nicht best\u00e4tigt"}'
    auth_server.shop.polls(Reply(400, body=refusal.encode("latin-1")))
    with pytest.raises(OAuthRefused) as refused:
        by_device(agent)
    assert refused.value.oauth_error == "access_denied"
