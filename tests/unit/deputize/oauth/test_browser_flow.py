"""The browser flow: what is asked, what comes back, and all that must not be believed."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.client import Agent, SampleHuman
from deputize import ClientIdentity, OAuthRefused
from deputize.errors import EnvironmentNotReady
from deputize.net import free_port
from deputize.oauth.browser_flow import BROWSER
from tests.conftest import HANGS
from tests.unit.client.fakes import ALICE, Reply, agent_at, oauth
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back, log_in


def asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def test_the_request_carries_what_protects_it(agent: Agent, auth_server: AuthServer) -> None:
    login = agent.start_login(("shop:read", "shop:buy"), BROWSER)
    login.close()
    query = asked(login.url)
    assert login.url.startswith(f"{auth_server.base}/authorize?")
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["resource"] == [f"{auth_server.base}/mcp"]
    assert query["scope"] == ["shop:read shop:buy"]
    assert query["client_id"] == ["client-1"]
    assert len(query["state"][0]) >= 32
    again = agent.start_login(("shop:read",), BROWSER)
    again.close()
    assert asked(again.url)["state"] != query["state"]
    assert asked(again.url)["code_challenge"] != query["code_challenge"]


@pytest.mark.parametrize(
    ("scopes", "prompt"),
    [
        (("shop:read", "offline_access"), ["consent"]),
        (("openid", "offline_access"), ["consent"]),
        (("openid", "shop:read"), None),
        ((), None),
    ],
)
def test_who_wants_a_refresh_token_asks_for_consent(
    agent: Agent, scopes: tuple[str, ...], prompt: list[str] | None
) -> None:
    """OpenID Connect Core section 11: `offline_access` is ignored without it."""
    login = agent.start_login(scopes, BROWSER)
    login.close()
    assert asked(login.url).get("prompt") == prompt


def test_the_code_is_exchanged_with_verifier_redirect_and_resource(agent: Agent, auth_server: AuthServer) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    threading.Thread(target=come_back, args=(answered(login.url),), daemon=True).start()
    token = agent.finish_login(login, timeout=HANGS)
    (form,) = auth_server.forms
    assert form["grant_type"] == ["authorization_code"]
    assert form["code"] == ["code-0123456789"]
    assert form["redirect_uri"] == [login.redirect_uri]
    assert form["resource"] == [f"{auth_server.base}/mcp"]
    digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    assert asked(login.url)["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert agent.stored() == token


def test_no_secret_of_a_login_is_in_the_record(agent: Agent, auth_server: AuthServer) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    threading.Thread(target=come_back, args=(answered(login.url),), daemon=True).start()
    agent.finish_login(login, timeout=HANGS)
    shown = repr(agent.recorder.take()) + repr(login)
    for secret in (login.verifier, "code-0123456789", "access-0123456789"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": None}, "lacks the iss"),
        ({"iss": "https://evil.example"}, "comes from https://evil.example"),
        ({"iss": "SLASH"}, "comes from"),
    ],
)
def test_an_answer_of_another_authorization_server_is_not_used(
    agent: Agent, auth_server: AuthServer, change: dict[str, str | None], why: str
) -> None:
    if change["iss"] == "SLASH":
        change = {"iss": f"{auth_server.base}/"}
    with pytest.raises(OAuthRefused) as refused:
        log_in(agent, lambda url: answered(url, **change))
    assert why in refused.value.why and "RFC 9207" in refused.value.why
    assert auth_server.forms == [], "the code was sent on"
    assert agent.stored() is None


def test_an_iss_that_nobody_announced_is_compared_all_the_same(agent: Agent, auth_server: AuthServer) -> None:
    auth_server.shop.metadata["authorization_response_iss_parameter_supported"] = False
    with pytest.raises(OAuthRefused):
        log_in(agent, lambda url: answered(url, iss="https://evil.example"))
    assert log_in(agent, lambda url: answered(url, iss=None)).access_token


@pytest.mark.parametrize("methods", [None, [], ["plain"]])
def test_an_authorization_server_without_pkce_is_refused(
    agent: Agent, auth_server: AuthServer, methods: list[str] | None
) -> None:
    auth_server.shop.metadata["code_challenge_methods_supported"] = methods
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(("shop:read",), BROWSER)
    assert "PKCE" in refused.value.why
    assert auth_server.registered == [], "it was registered where it cannot log in"


def test_a_no_is_told_as_one_to_the_terminal_and_on_the_page(agent: Agent, auth_server: AuthServer) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    pages: list[tuple[int, str]] = []
    target = answered(login.url, code=None, error="access_denied")
    browser = threading.Thread(target=lambda: pages.append(come_back(target)), daemon=True)
    browser.start()
    with pytest.raises(OAuthRefused, match="the human said no") as refused:
        agent.finish_login(login, timeout=HANGS)
    browser.join(60)
    assert refused.value.oauth_error == "access_denied"
    assert pages[0][0] == 400 and "The human said no" in pages[0][1]
    assert auth_server.forms == []


def test_the_page_tells_the_good_end_too(agent: Agent) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    pages: list[tuple[int, str]] = []
    browser = threading.Thread(target=lambda: pages.append(come_back(answered(login.url))), daemon=True)
    browser.start()
    agent.finish_login(login, timeout=HANGS)
    browser.join(60)
    status, page = pages[0]
    assert status == 200 and "Shirt Agent may act for you" in page
    assert "<script" not in page


def test_an_error_at_the_token_endpoint_is_on_the_page(agent: Agent, auth_server: AuthServer) -> None:
    auth_server.shop.polls(Reply(400, json={"error": "invalid_grant", "error_description": "<b>used</b>"}))
    login = agent.start_login(("shop:read",), BROWSER)
    pages: list[tuple[int, str]] = []
    browser = threading.Thread(target=lambda: pages.append(come_back(answered(login.url))), daemon=True)
    browser.start()
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(login, timeout=HANGS)
    browser.join(60)
    assert refused.value.oauth_error == "invalid_grant"
    assert pages[0][0] == 400
    assert "&lt;b&gt;used" in pages[0][1] and "<b>" not in pages[0][1]


def test_a_strangers_redirect_ends_nothing(agent: Agent) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    try:
        status, page = come_back(answered(login.url, state="guessed"))
        assert status == 400 and "not the login that was begun" in page
        assert come_back(login.redirect_uri.replace("/callback", "/"))[0] == 404
        assert login.asked.listener is not None and login.asked.listener.found is None
    finally:
        threading.Thread(target=come_back, args=(answered(login.url),), daemon=True).start()
    assert agent.finish_login(login, timeout=HANGS).access_token


def test_the_listener_answers_under_its_own_name_only(agent: Agent) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    try:
        port = urlsplit(login.redirect_uri).port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=HANGS) as line:
            line.sendall(b"GET /callback?state=x HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            assert b" 421 " in line.recv(4096).split(b"\r\n")[0]
    finally:
        login.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port or 0), timeout=1)


def test_a_pasted_address_will_do_and_a_slip_of_the_clipboard_ends_nothing(
    agent: Agent, auth_server: AuthServer
) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    lines = ["https://example.com/", "x" * 20_000, answered(login.url, state="other"), answered(login.url)]
    states: list[str] = []
    token = agent.finish_login(
        login,
        on_wait=lambda left, state: states.append(state),
        pasted=lambda: lines.pop(0) if lines else None,
        timeout=10,
    )
    assert token.access_token and len(auth_server.forms) == 1
    assert "not_ours" in states


def test_only_the_query_pasted_will_do_too(agent: Agent) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    query = urlsplit(answered(login.url)).query
    assert agent.finish_login(login, pasted=lambda: query, timeout=HANGS).access_token


def test_nobody_coming_ends_in_time_and_frees_the_port(agent: Agent) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    started = time.monotonic()
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(login, timeout=0.3)
    assert refused.value.oauth_error == "timeout"
    assert time.monotonic() - started < HANGS
    with socket.create_server(("127.0.0.1", urlsplit(login.redirect_uri).port or 0)):
        pass


def test_a_registered_port_is_come_back_to(agent: Agent, auth_server: AuthServer, tmp_path: Path) -> None:
    first = agent.start_login(("shop:read",), BROWSER)
    first.close()
    second = agent_at(auth_server.base, tmp_path, client_id=None).start_login(("shop:read",), BROWSER)
    second.close()
    assert second.redirect_uri == first.redirect_uri
    assert len(auth_server.registered) == 1


def test_a_registered_port_that_is_taken_is_registered_anew(agent: Agent, auth_server: AuthServer) -> None:
    first = agent.start_login(("shop:read",), BROWSER)
    first.close()
    with socket.create_server(("127.0.0.1", urlsplit(first.redirect_uri).port or 0)):
        second = agent.start_login(("shop:read",), BROWSER)
        second.close()
    assert second.redirect_uri != first.redirect_uri
    assert [one["redirect_uris"] for one in auth_server.registered] == [[first.redirect_uri], [second.redirect_uri]]


def test_a_login_right_after_another_has_the_same_port(agent: Agent, auth_server: AuthServer) -> None:
    for _ in range(3):
        log_in(agent)
    assert len(auth_server.registered) == 1
    redirects = {form["redirect_uri"][0] for form in auth_server.forms}
    assert len(redirects) == 1


def test_a_redirect_uri_registered_by_hand_is_listened_at(auth_server: AuthServer, tmp_path: Path) -> None:
    port = free_port()
    identity = ClientIdentity("by-hand", redirect_uri=f"http://localhost:{port}/oauth/back")
    agent = agent_at(auth_server.base, tmp_path, identity=identity)
    login = agent.start_login(("shop:read",), BROWSER)
    assert login.redirect_uri == f"http://localhost:{port}/oauth/back"
    threading.Thread(target=come_back, args=(answered(login.url),), daemon=True).start()
    assert agent.finish_login(login, timeout=HANGS).access_token


def test_an_authorization_server_that_never_sends_the_browser_back_gets_a_new_client_next_time(
    agent: Agent, auth_server: AuthServer
) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    with pytest.raises(OAuthRefused):
        agent.finish_login(login, timeout=0.2)
    assert log_in(agent).client_id == "client-2"


@pytest.mark.parametrize("line", ["https://[?x", "\udc80?state=1", "?" * 100, "state", "\0"])
def test_nonsense_that_is_pasted_ends_nothing(agent: Agent, line: str) -> None:
    login = agent.start_login(("shop:read",), BROWSER)
    lines = [line, answered(login.url)]
    token = agent.finish_login(login, pasted=lambda: lines.pop(0) if lines else None, timeout=HANGS)
    assert token.access_token


def test_a_port_registered_by_hand_that_is_taken_is_told(auth_server: AuthServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = agent_at(auth_server.base, tmp_path, client_id="by-hand", redirect_port=port)
        with pytest.raises(EnvironmentNotReady, match=str(port)):
            agent.start_login(("shop:read",), BROWSER)
    login = agent.start_login(("shop:read",), BROWSER)
    login.close()
    assert login.redirect_uri == f"http://127.0.0.1:{port}/callback"


def test_a_client_that_was_forgotten_is_registered_anew_at_the_next_login(
    agent: Agent, auth_server: AuthServer
) -> None:
    auth_server.shop.polls(oauth("invalid_client", 401))
    with pytest.raises(OAuthRefused):
        log_in(agent)
    auth_server.shop.polls(Reply(json={"access_token": "access-9876543210", "token_type": "Bearer"}))
    assert log_in(agent).client_id == "client-2"


def test_the_way_is_the_device_flow_where_there_is_one(agent: Agent, auth_server: AuthServer) -> None:
    way = agent.choose_flow()
    assert way.flow.name == "device" and "RFC 8628" in way.why
    auth_server.shop.metadata.pop("device_authorization_endpoint")
    other = agent_at(auth_server.base, Path("unused"), client_id=None).choose_flow()
    assert other.flow.name == "browser" and "RFC 7636" in other.why
    auth_server.shop.metadata.pop("authorization_endpoint")
    with pytest.raises(OAuthRefused, match="no way to log in"):
        agent_at(auth_server.base, Path("unused"), client_id=None).choose_flow()


@pytest.mark.parametrize("issuer", ["https://name.authkit.app", "https://api.workos.com"])
def test_at_authkit_the_way_is_the_browser_which_can_name_the_server(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, issuer: str
) -> None:
    """Its device flow documents no `resource` (RFC 8707), and its authorization endpoint wants a `nonce`."""
    theirs = replace(agent.authorization_server(), issuer=issuer)
    monkeypatch.setattr(agent.authorizer, "metadata_today", lambda: theirs)
    way = agent.choose_flow()
    assert way.flow.name == "browser" and "resource" in way.why
    without = replace(theirs, code_challenge_methods_supported=())
    monkeypatch.setattr(agent.authorizer, "metadata_today", lambda: without)
    assert agent.choose_flow().flow.name == "device", "there is no other"
    monkeypatch.setattr(agent.authorizer, "metadata_today", lambda: theirs)
    login = agent.start_login(("openid",), BROWSER)
    login.close()
    query = asked(login.url)
    assert len(query["nonce"][0]) >= 16 and query["resource"] == [agent.endpoint()]


def test_a_real_login_on_the_real_pages(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path, client_id=None)
    login = agent.start_login(("openid", "shop:read"), BROWSER)
    page, redirect = SampleHuman(ALICE).authorize(login.url, True)
    token = agent.finish_login(login, pasted=lambda: redirect, timeout=HANGS)
    assert set(page.scopes) == {"openid", "shop:read"}
    assert agent.call("listMcpShopInventory", {}).allowed
    view = agent.view(token)
    assert view.signature is not None and not view.problems
    assert agent.logout() is None
