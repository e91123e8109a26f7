"""The browser flow: what a client may send a browser with, what comes back, and what a code is good for."""

from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from .conftest import CALLBACK, CHALLENGE, VERIFIER


def test_a_human_sent_by_a_client_signs_in_approves_and_is_sent_back_with_a_code_that_gets_tokens(house, read_claims):
    walk = house.authorize(authorization_details=house.spending(6000))
    assert "/device/sign-in?" in str(walk.page.url)
    walk.sign_in()
    shown = walk.forms.shown
    assert shown["client"] == ["Shirt Agent"] and shown["account"] == ["alice@example.com"]
    assert shown["redirect"] == [CALLBACK] and shown["limit"] == ["60.00 USD"]
    assert shown["scope"] == ["openid", "shop:read", "orders:read", "shop:buy", "offline_access"]
    assert "code" not in shown and "unverified" not in shown and walk.forms.scripts == 0
    walk.decide()
    assert walk.left.startswith(f"{CALLBACK}?")
    assert walk.told == {"code": walk.told["code"], "state": "st/ate 1", "iss": house.base}
    answer = house.exchange(walk.told["code"])
    token, found = answer.json(), read_claims(answer.json()["access_token"])
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert found["act"]["sub"].startswith("agent_") and found["aud"] == house.shop and found["sub"] == "user_alice"
    assert token["authorization_details"] == json.loads(house.spending(6000)) == found["authorization_details"]
    assert house.introspect(token["access_token"])["active"] is True
    assert house.refresh(token["refresh_token"]).status_code == 200


def test_the_agent_is_the_same_whichever_flow_deputized_it(house, read_claims):
    by_device = read_claims(house.login()["access_token"])
    by_browser = read_claims(house.exchange(house.code()).json()["access_token"])
    assert by_device["act"] == by_browser["act"] and by_device["sid"] != by_browser["sid"]


def test_a_no_is_told_to_the_client_with_its_state_and_the_issuer_and_opens_no_session(house):
    walk = house.authorize().sign_in().decide("deny")
    assert walk.left.startswith(f"{CALLBACK}?")
    assert (walk.told["error"], walk.told["state"], walk.told["iss"]) == ("access_denied", "st/ate 1", house.base)
    assert "code" not in walk.told and walk.told["error_description"]
    with sqlite3.connect(house.database) as connection:
        assert connection.execute("SELECT COUNT(*) FROM oauth_sessions").fetchone() == (0,)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'é"\\'}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "shop:own"}, "invalid_scope"),
        ({"scope": ["openid", "shop:read"]}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"nonce": "n" * 2049}, "invalid_request"),
    ],
)
def test_what_is_wrong_with_a_clients_own_request_is_told_to_it_by_redirect(house, values, error):
    walk = house.authorize(**values)
    assert walk.left is not None and walk.left.startswith(f"{CALLBACK}?"), walk.page.text
    assert (walk.told["error"], walk.told["state"], walk.told["iss"]) == (error, "st/ate 1", house.base)
    assert walk.told["error_description"]


@pytest.mark.parametrize(
    "values",
    [
        {"client_id": None},
        {"client_id": "unknown"},
        {"client_id": ["demo-agent", "demo-agent"]},
        {"client_id": "demo-shop"},
        {"client_id": "demo-console"},
        {"redirect_uri": None},
        {"redirect_uri": [CALLBACK, CALLBACK]},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:49152/callback/"},
        {"redirect_uri": "http://127.0.0.1:49152/callback?x=1"},
        {"redirect_uri": "http://127.0.0.1:49152/other"},
        {"redirect_uri": "https://127.0.0.1:49152/callback"},
        {"redirect_uri": "http://127.0.0.1:49152\\@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:x@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.2:49152/callback"},
        {"redirect_uri": "http://[::1]:49152/callback"},
        {"redirect_uri": f"{CALLBACK}#x"},
        {"redirect_uri": f"{CALLBACK}\n"},
        {"redirect_uri": 'http://127.0.0.1/callback"é'},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_nobody_is_sent_to_a_place_that_is_not_certainly_the_clients(house, values):
    walk = house.authorize(**values)
    assert walk.left is None and walk.page.status_code == 400
    assert re.search(r"\(invalid_(client|request)\)", walk.page.text), "the error code, and no way on"
    assert not walk.forms.forms and "http" not in walk.page.text.partition("<main>")[2]
    assert "evil" not in walk.page.text


@pytest.mark.parametrize("uri", ["http://127.0.0.1/callback", "http://localhost:5/callback", CALLBACK])
def test_a_loopback_redirect_uri_may_have_any_port(house, uri):
    walk = house.authorize(redirect_uri=uri).sign_in().decide()
    assert walk.left.startswith(f"{uri}?code=")
    assert house.exchange(walk.told["code"], redirect_uri=uri).status_code == 200


def test_a_request_that_no_longer_reads_gets_a_page(house):
    for path in ("/oauth2/authorize?client_id=%ff", f"/oauth2/authorize?{'a=1&' * 70}", "/oauth2/authorize"):
        assert house.http.get(path).status_code == 400
    assert house.authorize(state="s" * 9000).page.status_code == 400
    for path in ("/device/consent", "/device/sign-in"):
        assert house.http.get(path, params={"request": "x=%ff"}, follow_redirects=True).status_code in (200, 400)
    browser = house.browser()
    browser.consent(house.ask().json()["user_code"])
    for text in ("x=%ff", "", "client_id=unknown", "x" * 10_000):
        assert browser.get("/device/consent", request=text, tab=browser.at.params["tab"]).status_code == 400


def test_the_endpoint_answers_to_post_as_well(house):
    data = {
        "response_type": "code", "client_id": "demo-agent", "redirect_uri": CALLBACK, "scope": "openid",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    answer = house.http.post("/oauth2/authorize", data=data)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/device/consent?request=")
    answer = house.http.post("/oauth2/authorize", json=data)
    assert answer.status_code == 400


def test_a_request_without_scope_asks_only_to_look_around(house):
    walk = house.authorize(scope=None).sign_in()
    assert walk.forms.shown["scope"] == ["openid", "shop:read"]


def test_the_consent_page_lets_its_form_be_answered_by_a_redirect_to_the_client_and_nowhere_else(house):
    page = house.authorize().sign_in().page
    policy = page.headers["content-security-policy"]
    assert "form-action 'self' http://127.0.0.1:49152;" in policy and "default-src 'none'" in policy


@pytest.mark.parametrize("csrf", ["", "0" * 64])
def test_a_decision_without_this_browsers_token_is_none(house, csrf):
    walk = house.authorize().sign_in().submit("/device/consent", decision="approve", csrf=csrf)
    assert walk.left is None and walk.page.status_code == 403
    with sqlite3.connect(house.database) as connection:
        assert connection.execute("SELECT COUNT(*) FROM oauth_sessions").fetchone() == (0,)


def test_looking_at_the_pages_decides_nothing(house):
    walk = house.authorize().sign_in()
    fields = walk.forms.form("/device/consent")["fields"]
    request, tab = fields["request"], fields["tab"]
    for _ in range(2):
        answer = walk.http.get(f"/device/consent?request={quote(request)}&tab={tab}&decision=approve")
        assert answer.status_code == 200 and 'value="approve"' in answer.text


def test_switching_the_account_keeps_the_request(house, read_claims):
    walk = house.authorize().sign_in("mallory@example.org").submit("/device/sign-in", switch="1")
    walk.sign_in("grace@example.com").decide()
    assert read_claims(house.exchange(walk.told["code"]).json()["access_token"])["sub"] == "user_grace"


def test_a_double_click_opens_one_session_and_only_the_last_code_works(house):
    walk = house.authorize().sign_in()
    fields = walk.forms.form("/device/consent")["fields"]
    first, second = (
        walk.http.post("/device/consent", data={**fields, "decision": "approve"}).headers["location"] for _ in range(2)
    )
    codes = [location.partition("code=")[2].partition("&")[0] for location in (first, second)]
    assert house.exchange(codes[0]).json()["error"] == "invalid_grant"
    assert house.exchange(codes[1]).status_code == 200
    with sqlite3.connect(house.database) as connection:
        assert connection.execute("SELECT COUNT(*) FROM oauth_sessions").fetchone() == (1,)


def test_a_code_works_once_and_coming_again_it_ends_the_session_that_it_opened(house):
    code = house.code()
    token = house.exchange(code).json()
    assert house.introspect(token["access_token"])["active"] is True
    again = house.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert house.introspect(token["access_token"]) == {"active": False, "revoked": "session"}
    assert house.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"


def test_another_clients_attempt_with_a_used_code_ends_nothing(house):
    code = house.code()
    token = house.exchange(code).json()
    assert house.exchange(code, client_id="demo-rival").json()["error"] == "invalid_grant"
    assert house.introspect(token["access_token"])["active"] is True


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"client_id": "demo-rival"}, "invalid_grant"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"redirect_uri": "http://127.0.0.1:49153/callback"}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
)
def test_a_code_is_bound_to_client_redirect_uri_and_verifier_and_a_failed_try_does_not_use_it_up(house, values, error):
    code = house.code()
    answer = house.exchange(**{"code": code, **values})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert house.exchange(code).status_code == 200


def test_a_client_of_oauth_2_1_need_not_repeat_the_redirect_uri(house):
    assert house.exchange(house.code(), redirect_uri=None).status_code == 200


def test_a_code_lives_a_minute(house):
    code = house.code()
    house.clock.forward(60)
    assert house.exchange(code).json()["error"] == "invalid_grant"
    code = house.code()
    house.clock.forward(59)
    assert house.exchange(code).status_code == 200


def test_of_racing_redemptions_of_one_code_one_wins_and_its_session_is_ended_by_the_others(house):
    code = house.code()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: house.exchange(code), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
    token = next(answer.json() for answer in answers if answer.status_code == 200)
    assert house.introspect(token["access_token"])["revoked"] == "session"


def test_a_session_revoked_before_its_code_is_redeemed_gives_no_token(house):
    code, console = house.code(), house.console()
    session = house.http.get("/account/sessions", headers=console).json()["sessions"][0]
    house.http.post("/account/revoke", json={"kind": "session", "id": session["id"]}, headers=console)
    assert house.exchange(code).json()["error"] == "invalid_grant"


def test_the_id_token_brings_the_requests_nonce_back(house, read_claims):
    token = house.exchange(house.code(nonce="n-0S6")).json()
    assert read_claims(token["id_token"])["nonce"] == "n-0S6"
    assert "nonce" not in read_claims(house.refresh(token["refresh_token"]).json()["id_token"])


def test_no_code_or_verifier_lies_in_the_state_file(house):
    code = house.code()
    kept = b"".join(path.read_bytes() for path in house.database.parent.glob("state.db*"))
    assert CHALLENGE.encode() in kept and code.encode() not in kept and VERIFIER.encode() not in kept
