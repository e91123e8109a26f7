"""Registration: what a client may register, that it is held to it, and that it stays within bounds (RFC 7591)."""

from __future__ import annotations

import re

import pytest

from demo.auth_server.clients import client as client_records
from demo.auth_server.clients.metadata import clean_name
from demo.auth_server.clients.uris import form_source, is_one_of, redirect_uri_objection

from .conftest import CALLBACK, DEVICE_CODE


def test_a_newcomer_is_answered_with_everything_that_was_registered(house):
    answer = house.register(scope="openid shop:read email", logo_uri="https://newcomer.example/logo", tos_uri=7)
    told = answer.json()
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    assert told.pop("client_id").startswith("client_")
    assert told.pop("client_id_issued_at") == int(house.clock.now)
    assert told == {
        "client_name": "Newcomer",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "openid shop:read",
    }


def test_a_newcomer_is_shown_as_unverified_and_acts_for_the_human_like_any_agent(house, read_claims):
    client_id = house.register().json()["client_id"]
    walk = house.authorize(client_id=client_id).sign_in()
    assert walk.forms.shown["client"] == ["Newcomer"] and "unverified" in walk.forms.shown
    assert walk.forms.shown["redirect"] == [CALLBACK]
    token = house.exchange(walk.decide().told["code"], client_id=client_id).json()
    found = read_claims(token["access_token"])
    assert found["client_id"] == client_id and found["act"]["sub"].startswith("agent_")
    assert house.refresh(token["refresh_token"], client_id).status_code == 200
    sessions = house.http.get("/account/sessions", headers=house.console()).json()["sessions"]
    assert sessions[0]["client_name"] == "Newcomer"
    revoked = house.http.post("/oauth2/revoke", data={"client_id": client_id, "token": token["access_token"]})
    assert revoked.status_code == 200 and house.introspect(token["access_token"])["active"] is False


def test_a_registered_agent_cannot_be_granted_what_is_the_consoles(house):
    client_id = house.register().json()["client_id"]
    walk = house.authorize(client_id=client_id, scope="openid sessions:manage").sign_in()
    assert walk.forms.shown["scope"] == ["openid"]


def left_out(page: str) -> dict[str, str]:
    """The reason that the consent page gives for each scope that it leaves out."""
    return {scope: why for why, scope in re.findall(r"<small>([^<]*)</small></span> <code>([^<]*)</code>", page)}


def test_a_client_is_held_to_the_grants_that_it_registered(house):
    code_only = house.register(grant_types=["authorization_code"]).json()["client_id"]
    answer = house.ask(client_id=code_only)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert house.redeem("x", code_only).json()["error"] == "unauthorized_client"
    walk = house.authorize(client_id=code_only).sign_in()
    assert "offline_access" not in walk.forms.shown["scope"]
    reasons = left_out(walk.page.text)
    assert reasons.get("offline_access"), "the human is given a reason"
    another = house.authorize(client_id=code_only, scope="offline_access sessions:manage openid").sign_in()
    beside = left_out(another.page.text)
    assert beside["offline_access"] == reasons["offline_access"] != beside["sessions:manage"], "one of its own"
    token = house.exchange(walk.decide().told["code"], client_id=code_only).json()
    assert "refresh_token" not in token and "offline_access" not in token["scope"]
    assert house.refresh("x", code_only).json()["error"] == "unauthorized_client"
    device_only = house.register(grant_types=[DEVICE_CODE], redirect_uris=None).json()
    assert (device_only["redirect_uris"], device_only["response_types"]) == ([], [])
    asked = house.ask(client_id=device_only["client_id"]).json()
    house.browser().decide(asked["user_code"])
    assert "refresh_token" not in house.redeem(asked["device_code"], device_only["client_id"]).json()
    with_uri = house.register(grant_types=[DEVICE_CODE]).json()["client_id"]
    assert house.authorize(client_id=with_uri).forms.shown["error"] == ["unauthorized_client"]
    assert house.exchange("x", client_id=with_uri).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", None])
def test_a_confidential_client_needs_its_secret_everywhere_and_it_is_kept_as_a_digest(house, method):
    told = house.register(token_endpoint_auth_method=method).json()
    client_id, secret = told["client_id"], told["client_secret"]
    assert told["client_secret_expires_at"] == 0
    assert told["token_endpoint_auth_method"] == (method or "client_secret_basic")  # RFC 7591 section 2
    kept = b"".join(path.read_bytes() for path in house.database.parent.glob("state.db*"))
    assert client_id.encode() in kept and secret.encode() not in kept

    def exchange(code: str, secret: str):
        if method == "client_secret_post":
            return house.exchange(code, client_id=client_id, client_secret=secret)
        return house.exchange(code, client_id=None, auth=(client_id, secret))

    code = house.code(client_id=client_id)
    refused = [
        house.exchange(code, client_id=client_id),
        exchange(code, "wrong"),
        house.exchange(code, client_id=client_id, auth=None, client_secret=""),
        house.http.post(
            "/oauth2/token", data={"grant_type": "authorization_code", "code": code},
            headers={"Authorization": "Basic //79"},
        ),
    ]  # fmt: skip
    other = {"client_secret_post": {"client_id": None, "auth": (client_id, secret)}}
    refused.append(
        house.exchange(code, **other.get(str(method), {"client_id": client_id, "client_secret": secret}))
    )  # the right secret by a method that was not registered
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [(401, "invalid_client")] * 5
    token = exchange(code, secret)
    assert token.status_code == 200
    assert house.refresh(token.json()["refresh_token"], client_id).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://a.example/cb"}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/cb"] * 11}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/cb", "javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"grant_types": []}, "invalid_client_metadata"),
        ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"response_types": []}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": 1}, "invalid_client_metadata"),
        ({"application_type": "toaster"}, "invalid_client_metadata"),
        ({"client_name": ["x"]}, "invalid_client_metadata"),
        ({"scope": ["openid"]}, "invalid_client_metadata"),
    ],
)
def test_what_cannot_be_registered_is_refused_by_name(house, values, error):
    answer = house.register(**values)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"]


def test_a_body_that_is_no_metadata_is_refused(house):
    for content in (b"", b"[]", b"{", b"\xff", b"[" * 5000, b"1"):
        answer = house.http.post("/oauth2/register", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert house.http.post("/oauth2/register", data={"client_name": "x"}).json()["error"] == "invalid_client_metadata"
    assert house.register(client_name="x" * 20_000).status_code == 413


def test_registrations_from_one_address_are_counted(house):
    answers = [house.register() for _ in range(31)]
    assert [answer.status_code for answer in answers] == [201] * 30 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["error"] == "temporarily_unavailable"


def test_the_oldest_registration_that_nobody_used_makes_room_and_where_all_are_used_there_is_none(house, monkeypatch):
    monkeypatch.setattr(client_records, "MOST_CLIENTS", 3)
    used, unused, asked = (house.register().json()["client_id"] for _ in range(3))
    house.exchange(house.code(client_id=used), client_id=used)
    fourth = house.register(grant_types=["authorization_code", DEVICE_CODE]).json()["client_id"]
    assert "(invalid_client)" in house.authorize(client_id=unused).page.text
    assert house.authorize(client_id=used).page.status_code == 200
    house.exchange(house.code(client_id=asked), client_id=asked)
    assert house.ask(client_id=fourth).status_code == 200
    fifth = house.register().json()["client_id"]
    assert house.ask(client_id=fourth).json()["error"] == "invalid_client", (
        "a device that waits holds no place that another needs"
    )
    house.exchange(house.code(client_id=fifth), client_id=fifth)
    assert house.register().status_code == 503


def test_a_registration_survives_a_restart(make_house):
    with make_house() as house:
        client_id = house.register().json()["client_id"]
    with make_house() as house:
        assert house.authorize(client_id=client_id).sign_in().forms.shown["client"] == ["Newcomer"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Two\n lines\t", "Two lines"),
        ("safe\u202egnp\u200b.exe\x1b[2J", "safegnp.exe[2J"),
        ("x" * 100, "x" * 59 + "…"),
        ("\u0000\u200d", "An agent without a name"),
        ("", "An agent without a name"),
        ("Élan 購入", "Élan 購入"),
    ],
)
def test_a_name_is_one_short_line_without_tricks(name, shown):
    assert clean_name(name) == shown


def test_a_name_is_escaped_on_the_page(house):
    client_id = house.register(client_name="<script>x</script>").json()["client_id"]
    walk = house.authorize(client_id=client_id).sign_in()
    assert walk.forms.scripts == 0 and "&lt;script&gt;x" in walk.page.text


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/callback?tenant=1", "https://app.example:8443/cb", "http://127.0.0.1/callback",
        "http://localhost", "http://localhost:33418/", "http://[::1]:7/cb", "com.example.app:/callback", "cursor://editor.example/callback",
    ],
)  # fmt: skip
def test_where_a_client_may_have_people_sent(uri):
    assert redirect_uri_objection(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "", "/callback", "callback", "https://", "https:///cb", "https://app.example/cb#x", "https://app.example/cb#",
        "https://user@app.example/cb", "https://app.example:99999/cb", "https://app.example:0/cb", "https://[::1/cb",
        "http://app.example/cb", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/", "http://10.0.0.1/",
        "http://localhost.evil.example/x", "https://app.example\\@evil.example/", "https://a b/",
        "https://äpp.example/cb", "https://app.example/cb\n", "javascript:alert(1)", "JavaScript:alert(1)",
        "data:text/html,x", "file:///etc/passwd", "vbscript:x", "blob:https://a/b", "about:blank", "ms-word:x",
        "https://app.example/" + "a" * 500,
    ],
)  # fmt: skip
def test_where_nobody_is_sent(uri):
    assert redirect_uri_objection(uri)


def test_redirect_uris_are_compared_character_for_character_but_for_the_port_of_a_loopback_one():
    registered = ("https://app.example/cb", "http://[::1]/cb?a=1", "com.example.app:/cb")
    for same in (*registered, "http://[::1]:9/cb?a=1"):
        assert is_one_of(same, registered)
    for other in (
        "https://app.example:443/cb", "https://APP.example/cb", "https://app.example/cb/", "https://app.example/cb?a",
        "http://[::1]:9/cb?a=2", "http://127.0.0.1:9/cb?a=1", "http://[::1]:/cb?a=1", "http://[::1]:9/cb?a=1#b",
        "http://[::1]:9@evil.example/cb?a=1", "com.example.app:/cb2",
    ):  # fmt: skip
        assert not is_one_of(other, registered), other


def test_a_form_source_is_what_a_browser_compares_with():
    assert form_source("https://app.example:8443/cb?a=1") == "https://app.example:8443"
    assert form_source("http://[::1]:9/cb") == "http:"
    assert form_source("com.example.app:/cb") == "com.example.app:"


OPTIONAL = (
    "client_name", "grant_types", "response_types", "token_endpoint_auth_method", "application_type", "scope",
    "client_secret", "client_secret_expires_at", "contacts", "jwks", "software_statement",
)  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
def test_null_in_client_metadata_is_absent(house, name):
    """So a client writes it whose language has optional fields (RFC 7591 section 2 knows no null)."""
    body = {"redirect_uris": ["http://127.0.0.1/callback"]}
    plain, with_null = (house.http.post("/oauth2/register", json=body | more) for more in ({}, {name: None}))
    assert (plain.status_code, with_null.status_code) == (201, 201), with_null.text
    own = {"client_id", "client_id_issued_at", "client_secret"}
    without_own = [{key: value for key, value in one.json().items() if key not in own} for one in (plain, with_null)]
    assert without_own[0] == without_own[1]
    assert with_null.json()["token_endpoint_auth_method"] == "client_secret_basic"


def test_every_optional_field_null_at_once_registers_and_logs_in(house):
    nulls = dict.fromkeys(OPTIONAL)
    body = nulls | {"redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}
    client_id = house.http.post("/oauth2/register", json=body).json()["client_id"]
    assert house.exchange(house.code(client_id=client_id), client_id=client_id).status_code == 200


def test_a_redirect_uri_that_is_needed_and_null_is_missing(house):
    answer = house.http.post("/oauth2/register", json={"redirect_uris": None})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
