"""The device grant: asking, polling, deciding, redeeming (RFC 8628)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_a_device_gets_two_codes_and_where_to_type_one_of_them(house):
    answer = house.ask()
    asked = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert asked["verification_uri"] == f"{house.base}/device"
    # A link with the code in it is for the console alone, which nobody else can be (RFC 8628 section 5.4).
    assert "verification_uri_complete" not in asked
    console = house.ask(client_id="demo-console", scope="sessions:manage", resource=house.account).json()
    assert console["verification_uri_complete"] == f"{house.base}/device?user_code={console['user_code']}"
    assert (asked["expires_in"], asked["interval"]) == (600, 1)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "demo-shop"}, "invalid_client"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "shop:read shop:own"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"scope": ["openid", "shop:read"]}, "invalid_request"),
        ({"client_id": ["demo-agent", "demo-agent"]}, "invalid_request"),
    ],
)
def test_what_cannot_be_granted_is_refused_before_a_human_is_asked(house, values, error):
    answer = house.ask(**values)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "shop_refund"},
        {"actions": ["buy", "sell"]},
        {"locations": ["https://elsewhere.example/mcp"]},
        {"locations": []},
        {"limit": {"amount": 6000}},
        {"limit": {"amount": "6000", "currency": "USD"}},
        {"limit": {"amount": 60.5, "currency": "USD"}},
        {"limit": {"amount": True, "currency": "USD"}},
        {"limit": {"amount": 0, "currency": "USD"}},
        {"limit": {"amount": -1, "currency": "USD"}},
        {"limit": {"amount": 10**12, "currency": "USD"}},
        {"limit": {"amount": 6000, "currency": "JPY"}},
        {"unlimited": True},
    ],
)
def test_authorization_details_that_are_not_a_spending_limit_are_refused(house, change):
    detail = {**json.loads(house.spending())[0], **change}
    answer = house.ask(authorization_details=json.dumps([detail]))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.parametrize("details", ["", "{", "{}", "[]", "[1]", "[" * 5000])
def test_authorization_details_of_another_shape_are_refused_but_an_empty_value_is_no_value(house, details):
    answer = house.ask(authorization_details=details)
    assert answer.status_code == (400 if details else 200)


def test_two_limits_at_once_are_refused(house):
    twice = json.dumps(json.loads(house.spending()) * 2)
    assert house.ask(authorization_details=twice).json()["error"] == "invalid_authorization_details"


def test_an_approved_agent_gets_a_token_that_names_human_agent_session_consent_and_limit(house, read_claims):
    asked = house.ask(authorization_details=house.spending(6000)).json()
    assert house.redeem(asked["device_code"]).json()["error"] == "authorization_pending"
    house.browser().decide(asked["user_code"])
    answer = house.redeem(asked["device_code"])
    token, found = answer.json(), read_claims(answer.json()["access_token"])
    assert answer.headers["cache-control"] == "no-store"
    assert (token["token_type"], token["expires_in"], token["scope"]) == (
        "Bearer", 300, "openid shop:read orders:read shop:buy offline_access",
    )  # fmt: skip
    assert token["authorization_details"] == json.loads(house.spending(6000)) == found["authorization_details"]
    assert (found["iss"], found["sub"], found["aud"], found["client_id"]) == (
        house.base, "user_alice", house.shop, "demo-agent",
    )  # fmt: skip
    assert found["act"]["sub"].startswith("agent_")
    assert found["sid"].startswith("session_") and found["consent_id"].startswith("consent_")
    assert found["exp"] - found["iat"] == 300 and found["auth_time"] == int(house.clock.now)
    assert found["scope"] == token["scope"] and found["jti"]


def test_the_humans_own_console_acts_for_nobody(house, read_claims):
    token = house.login(client_id="demo-console", scope="openid", resource=house.account)
    assert "act" not in read_claims(token["access_token"])
    assert "refresh_token" not in token  # offline_access was not asked for


def test_a_second_consent_is_the_same_agent_in_a_new_session(house, read_claims):
    first, second, other = (
        read_claims(house.login(**values)["access_token"]) for values in ({}, {}, {"client_id": "demo-rival"})
    )
    assert first["act"] == second["act"] != other["act"]
    assert len({first["sid"], second["sid"], other["sid"]}) == 3
    assert len({first["consent_id"], second["consent_id"], other["consent_id"]}) == 3


def test_a_denied_device_hears_access_denied_each_time(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"], "deny")
    for _ in range(2):
        answer = house.redeem(asked["device_code"])
        assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


def test_polling_too_fast_slows_down_by_five_seconds_each_time(house):
    code = house.ask().json()["device_code"]

    def poll(after: float) -> str:
        house.clock.forward(after)
        return house.redeem(code).json()["error"]

    assert poll(0) == "authorization_pending"
    assert poll(1) == "authorization_pending"
    assert poll(0.5) == "slow_down"  # from now on 6 s
    assert poll(1) == "slow_down"  # from now on 11 s
    assert poll(11) == "authorization_pending"
    assert poll(10) == "slow_down"


def test_a_device_code_lives_600_seconds(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    house.clock.forward(599)
    late = house.ask().json()
    house.clock.forward(1)
    assert house.redeem(asked["device_code"]).json()["error"] == "expired_token"
    assert house.redeem(late["device_code"]).json()["error"] == "authorization_pending"


def test_a_device_code_is_for_the_client_that_asked_and_stays_good_for_it(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    stolen = house.redeem(asked["device_code"], client_id="demo-rival")
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert house.redeem(asked["device_code"]).status_code == 200


def test_a_device_code_works_once(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    token = house.redeem(asked["device_code"]).json()
    again = house.redeem(asked["device_code"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert house.introspect(token["access_token"])["active"] is True


def test_of_racing_redemptions_of_one_code_exactly_one_wins(house):
    for _ in range(5):
        asked = house.ask().json()
        house.browser().decide(asked["user_code"])
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, code=asked["device_code"]: house.redeem(code), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


def test_an_unknown_device_code_and_a_missing_one_are_told_apart(house):
    assert house.redeem("made-up").json()["error"] == "invalid_grant"
    assert house.redeem("").json()["error"] == "invalid_request"


def test_a_session_revoked_before_its_code_is_redeemed_gives_no_token(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    console = house.console()
    session = house.http.get("/account/sessions", headers=console).json()["sessions"][0]
    house.http.post("/account/revoke", json={"kind": "session", "id": session["id"]}, headers=console)
    assert house.redeem(asked["device_code"]).json()["error"] == "access_denied"


def test_without_a_resource_the_audience_is_the_client_itself(house, read_claims):
    assert read_claims(house.login(resource=None)["access_token"])["aud"] == "demo-agent"


def test_the_first_of_several_resources_is_the_audience_and_the_token_request_may_pick_another(house, read_claims):
    asked = house.ask(
        client_id="demo-console", scope="openid", resource=[house.account, house.shop, house.account]
    ).json()
    house.browser().decide(asked["user_code"])
    refused = house.redeem(asked["device_code"], "demo-console", resource="https://elsewhere.example")
    assert refused.json()["error"] == "invalid_target"
    first = house.redeem(asked["device_code"], "demo-console")  # the refusal did not use the code up
    assert read_claims(first.json()["access_token"])["aud"] == house.account


def test_a_shorter_life_may_be_asked_for_and_a_longer_one_is_cut(house, read_claims):
    for asked_for, given in (("2", 2), ("300", 300), ("86400", 300)):
        asked = house.ask().json()
        house.browser().decide(asked["user_code"])
        token = house.redeem(asked["device_code"], requested_expires_in=asked_for).json()
        found = read_claims(token["access_token"])
        assert token["expires_in"] == found["exp"] - found["iat"] == given
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    for wrong in ("0", "-5", "1.5", "soon", "9" * 40, "²"):
        assert house.redeem(asked["device_code"], requested_expires_in=wrong).json()["error"] == "invalid_request"
    assert house.redeem(asked["device_code"]).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "error"),
    [
        (b"grant_type=refresh_token&grant_type=refresh_token", "application/x-www-form-urlencoded", "invalid_request"),
        (b"client_id=demo-agent", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=password&client_id=demo-agent", "application/x-www-form-urlencoded", "unsupported_grant_type"),
        (b"grant_type=\xff\xfe", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded", "invalid_request"),
        (b'{"grant_type": "refresh_token"}', "application/json", "invalid_request"),
        (b"a=" + b"x" * 40_000, "application/x-www-form-urlencoded", "invalid_request"),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded", "invalid_request"),
    ],
)
def test_a_token_request_that_is_no_proper_form_is_refused_in_oauth_words(house, content, kind, error):
    answer = house.http.post("/oauth2/token", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"]


def test_parameters_in_the_url_do_not_count(house):
    asked = house.ask().json()
    answer = house.http.post(
        "/oauth2/token",
        params={"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": asked["device_code"]},
        data={"client_id": "demo-agent"},
    )
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("name", ["identifier", "privileges", "datatypes"])
def test_null_in_authorization_details_is_absent(house, name):
    """The common fields of RFC 9396 section 2.2 that a client leaves out."""
    detail = json.loads(house.spending())[0] | {name: None}
    token = house.login(authorization_details=json.dumps([detail]))
    assert token["authorization_details"] == json.loads(house.spending())


@pytest.mark.parametrize("aliases", [("http://localhost:7",), ("http://localhost:7", "http://[::1]:7")])
def test_a_resource_may_be_asked_for_by_another_name_of_the_same_server(make_house, read_claims, aliases):
    with make_house(aliases=aliases) as house:
        by_name = f"{aliases[-1]}/mcp"
        detail = json.loads(house.spending())[0] | {"locations": [by_name]}
        token = house.login(resource=by_name, authorization_details=json.dumps([detail]))
        found = read_claims(token["access_token"])
        # The audience as it was asked for, so that the client knows it again; the details by the shop's own name.
        assert found["aud"] == by_name and found["authorization_details"] == json.loads(house.spending())
        again = house.refresh(token["refresh_token"], resource=house.shop).json()
        assert read_claims(again["access_token"])["aud"] == house.shop
        account = {"resource": f"{aliases[-1]}/account"}
        console = house.login(client_id="demo-console", scope="openid sessions:manage", **account)
        headers = {"Authorization": f"Bearer {console['access_token']}"}
        assert house.http.get("/account/sessions", headers=headers).status_code == 200
        assert house.ask(resource="http://localhost:8/mcp").json()["error"] == "invalid_target"
