"""Revocation, introspection, standing, and the account API (RFC 7009, RFC 7662, RFC 6750)."""

from __future__ import annotations

import base64

import pytest


def revoke(house, token, client_id="demo-agent", **more):
    return house.http.post(
        "/oauth2/revoke", data={"token": token, "client_id": client_id, **house.proof(client_id), **more}
    )


def at_account(house, headers, kind, id, path="/account/revoke"):
    return house.http.post(path, json={"kind": kind, "id": id}, headers=headers)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_handing_in_either_token_ends_the_whole_session(house, which):
    token, other = house.login(), house.login()
    assert revoke(house, token[which], token_type_hint="something_new").status_code == 200
    assert house.introspect(token["access_token"]) == {"active": False, "revoked": "token"}
    assert house.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"
    assert house.introspect(other["access_token"])["active"] is True


def test_a_token_that_is_unknown_is_revoked_already(house):
    assert revoke(house, "made-up").status_code == 200


def test_only_the_client_that_holds_a_token_may_hand_it_in(house):
    token = house.login()
    for which in ("access_token", "refresh_token"):
        refused = revoke(house, token[which], client_id="demo-rival")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert house.introspect(token["access_token"])["active"] is True


def test_introspection_tells_the_resource_server_who_is_behind_a_token(house, read_claims):
    token = house.login("grace@example.com", authorization_details=house.spending())["access_token"]
    found = house.introspect(token)
    assert found.items() >= read_claims(token).items()
    assert (found["active"], found["username"], found["name"]) == (True, "grace@example.com", "Grace Okoro")
    assert found["roles"] == ["customer", "admin"]


def test_what_is_no_access_token_of_this_server_is_inactive(house):
    token = house.login()
    altered = token["access_token"][:-6] + "AAAAAA"
    for string in (token["refresh_token"], altered, "", "a.b.c", "é", "x" * 20_000):
        data = {"token": string} if string else {"token": "x"}
        answer = house.http.post("/oauth2/introspect", data=data, auth=("demo-shop", "introspection-secret"))
        assert answer.json() == {"active": False}


def test_an_access_token_is_inactive_from_the_second_it_expires(house):
    token = house.login()["access_token"]
    house.clock.forward(299)
    assert house.introspect(token)["active"] is True
    house.clock.forward(1)
    assert house.introspect(token) == {"active": False}


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "Basic " + base64.b64encode(b"demo-shop:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:introspection-secret").decode(),
        "Basic " + base64.b64encode(b"demo-agent:").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe\xfd").decode(),
        "Basic ###",
        "Basic é".encode("latin-1"),
        "Bearer introspection-secret",
    ],
)
def test_introspection_is_for_the_resource_server_alone(house, credentials):
    token = house.login()["access_token"]
    headers = {} if credentials is None else {"Authorization": credentials}
    data = {"token": token, "client_id": "demo-agent"}
    answer = house.http.post("/oauth2/introspect", data=data, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith('Basic realm="')
    assert "active" not in answer.text


def test_the_resource_servers_credentials_ask_for_no_tokens(house):
    data = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "demo-shop"}
    answer = house.http.post("/oauth2/token", data=data, auth=("demo-shop", "introspection-secret"))
    assert answer.json()["error"] == "unauthorized_client"


def test_a_human_sees_the_sessions_of_agents_and_of_the_console_and_nobody_elses(house, read_claims):
    token = house.login(scope="shop:buy openid", authorization_details=house.spending(4200))
    house.login("grace@example.com")
    found = read_claims(token["access_token"])
    console = house.console()
    own = read_claims(console["Authorization"].removeprefix("Bearer "))
    assert house.http.get("/account/sessions", headers=console).json() == {
        "sessions": [
            {
                "id": found["sid"],
                "consent": found["consent_id"],
                "agent": found["act"]["sub"],
                "client": "demo-agent",
                "client_name": "Shirt Agent",
                "scopes": ["openid", "shop:buy"],
                "created_at": house.clock.now,
                "expires_at": house.clock.now + 300,  # no refresh token was asked for
                "revoked_at": None,
                "revoked_by_kind": None,
                "spending_limit": {"amount": 4200, "currency": "USD"},
                "sub_agents": [],
            },
            {
                "id": own["sid"],
                "consent": own["consent_id"],
                "agent": None,
                "client": "demo-console",
                "client_name": "Control room",
                "scopes": ["openid", "sessions:manage", "offline_access"],
                "created_at": house.clock.now,
                "expires_at": house.clock.now + 30 * 24 * 3600,
                "revoked_at": None,
                "revoked_by_kind": None,
                "spending_limit": None,
                "sub_agents": [],
            },
        ],
        "before": None,
    }


def test_sessions_come_in_pages_from_the_newest_back(house, read_claims):
    opened = [read_claims(house.login()["access_token"])["sid"] for _ in range(4)]
    theirs = read_claims(house.login("grace@example.com")["access_token"])["sid"]
    console = house.console()
    pages, before = [], None
    for _ in range(9):
        query = {"limit": 2} | ({} if before is None else {"before": before})
        told = house.http.get("/account/sessions", headers=console, params=query).json()
        pages.append([one["id"] for one in told["sessions"]])
        if (before := told["before"]) is None:
            break
    assert [page[0] for page in pages] == [opened[3], opened[1], opened[0]]
    assert [one for page in reversed(pages) for one in page][:4] == opened
    for query in ({"limit": 0}, {"limit": "x"}, {"limit": 201}, {"before": theirs}, {"before": "nothing"}):
        assert house.http.get("/account/sessions", headers=console, params=query).status_code == 400


def test_a_session_taken_back_stops_at_once_and_for_good(house, read_claims):
    token, other = house.login(), house.login()
    console, sid = house.console(), read_claims(token["access_token"])["sid"]
    answer = at_account(house, console, "session", sid)
    assert answer.json() == {"kind": "session", "id": sid, "revoked_at": house.clock.now, "delivered": []}
    assert house.introspect(token["access_token"]) == {"active": False, "revoked": "session"}
    assert house.introspect(other["access_token"])["active"] is True
    assert at_account(house, console, "session", sid, "/account/reinstate").status_code == 409
    assert house.introspect(token["access_token"])["active"] is False
    listed = house.http.get("/account/sessions", headers=console).json()["sessions"]
    agents = [(s["revoked_at"], s["revoked_by_kind"]) for s in listed if s["agent"]]
    assert agents == [(house.clock.now, "session"), (None, None)]


@pytest.mark.parametrize("kind", ["agent", "user"])
def test_an_agent_or_a_user_taken_back_stops_every_session_until_it_is_reinstated(house, read_claims, kind):
    token, other = house.login(), house.login()
    rival = house.login(client_id="demo-rival")
    console, found = house.console(), read_claims(token["access_token"])
    id = found["act"]["sub"] if kind == "agent" else found["sub"]
    first = at_account(house, console, kind, id).json()
    house.clock.forward(20)
    assert at_account(house, console, kind, id).json() == first  # asked twice, it answers the same
    for stopped in (token, other):
        assert house.introspect(stopped["access_token"]) == {"active": False, "revoked": kind}
        assert house.refresh(stopped["refresh_token"]).json()["error"] == "invalid_grant"
    assert house.introspect(rival["access_token"])["active"] is (kind == "agent")
    listed = house.http.get("/account/sessions", headers=console)  # the console goes on
    assert listed.json()["sessions"][0]["revoked_by_kind"] == kind
    house.clock.forward(20)
    assert at_account(house, console, kind, id, "/account/reinstate").status_code == 200
    assert house.introspect(token["access_token"])["active"] is True
    assert house.refresh(token["refresh_token"]).status_code == 200  # the refused refreshes used nothing up


def test_what_is_not_yours_is_not_there_unless_you_are_an_admin(house, read_claims):
    token = house.login()
    found = read_claims(token["access_token"])
    mallory, grace = house.console("mallory@example.org"), house.console("grace@example.com")
    for kind, id in (("session", found["sid"]), ("agent", found["act"]["sub"]), ("user", "user_alice")):
        for path in ("/account/revoke", "/account/reinstate"):
            refused = at_account(house, mallory, kind, id, path)
            assert refused.status_code == 404
            assert refused.json() == at_account(house, mallory, kind, "made-up", path).json()
    assert house.introspect(token["access_token"])["active"] is True
    assert at_account(house, grace, "agent", found["act"]["sub"]).status_code == 200
    assert house.introspect(token["access_token"]) == {"active": False, "revoked": "agent"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"kind": "token", "id": "x"}', b'{"kind": "user"}', b'{"kind": "user", "id": 7}']
)
def test_a_request_without_kind_and_id_is_a_bad_request(house, content):
    answer = house.http.post("/account/revoke", content=content, headers=house.console())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_account_api_asks_for_a_token_made_for_it(house):
    bare = house.http.get("/account/sessions")
    assert bare.status_code == 401
    assert bare.headers.get_list("www-authenticate") == [
        'Bearer realm="account", scope="sessions:manage"',
        'DPoP realm="account", algs="ES256"',
    ]

    def challenge(token: str) -> tuple[int, str]:
        answer = house.http.get("/account/sessions", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.headers["www-authenticate"]

    for_shop = house.login(client_id="demo-console", scope="sessions:manage", resource=house.shop)
    for_itself = house.login(client_id="demo-console", scope="sessions:manage", resource=None)
    small = house.login(client_id="demo-console", scope="openid", resource=house.account)
    agents = house.login(scope="openid sessions:manage", resource=house.account)
    for token in (for_shop["access_token"], for_itself["access_token"], "made-up", small["id_token"]):
        status, told = challenge(token)
        assert status == 401 and 'error="invalid_token"' in told
    for token in (small["access_token"], agents["access_token"]):
        status, told = challenge(token)
        assert status == 403 and 'error="insufficient_scope"' in told and 'scope="sessions:manage"' in told


def test_the_account_api_refuses_an_expired_and_a_revoked_token(house):
    headers = house.console()
    own = house.login(client_id="demo-console", scope="sessions:manage", resource=house.account)["access_token"]
    assert revoke(house, own, client_id="demo-console").status_code == 200
    assert house.http.get("/account/sessions", headers={"Authorization": f"Bearer {own}"}).status_code == 401
    assert house.http.get("/account/sessions", headers=headers).status_code == 200
    house.clock.forward(300)
    assert house.http.get("/account/sessions", headers=headers).status_code == 401


def test_userinfo_knows_the_human_by_a_token_made_for_it(house):
    token = house.login()
    url = "/oauth2/userinfo"
    assert house.http.get(url, headers={"Authorization": f"Bearer {token['access_token']}"}).status_code == 401
    own = house.refresh(token["refresh_token"], resource=house.base + url).json()["access_token"]
    for ask in (house.http.get, house.http.post):
        told = ask(url, headers={"Authorization": f"Bearer {own}"}).json()
        assert (told["sub"], told["name"], told["email"]) == ("user_alice", "Alice Ito", "alice@example.com")
    nameless = house.login(scope="shop:read offline_access")["refresh_token"]
    nameless = house.refresh(nameless, resource=house.base + url).json()["access_token"]
    assert house.http.get(url, headers={"Authorization": f"Bearer {nameless}"}).status_code == 403
