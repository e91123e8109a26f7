"""Refresh tokens: rotation, grace, reuse, narrowing, and other resources (RFC 6749 section 6, RFC 9700, RFC 8707)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest


def test_a_refresh_gives_a_fresh_pair_in_the_same_session(house, read_claims):
    first = house.login(authorization_details=house.spending())
    house.clock.forward(300)
    second = house.refresh(first["refresh_token"]).json()
    before, after = read_claims(first["access_token"]), read_claims(second["access_token"])
    assert second["refresh_token"] != first["refresh_token"]
    for name in ("sub", "aud", "sid", "act", "consent_id", "scope", "authorization_details", "auth_time"):
        assert before[name] == after[name], name
    assert before["jti"] != after["jti"] and after["exp"] == before["exp"] + 300


def test_a_used_refresh_token_gives_its_own_client_the_same_successor_for_ten_seconds(house):
    first = house.login()["refresh_token"]
    second = house.refresh(first).json()["refresh_token"]
    house.clock.forward(10)
    again = house.refresh(first)
    assert again.status_code == 200 and again.json()["refresh_token"] == second
    assert house.refresh(second).status_code == 200


def test_a_used_refresh_token_that_comes_back_late_revokes_its_session(house):
    token = house.login()
    fresh = house.refresh(token["refresh_token"]).json()
    house.clock.forward(10.5)
    late = house.refresh(token["refresh_token"])
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
    assert house.introspect(fresh["access_token"]) == {"active": False, "revoked": "session"}
    assert house.refresh(fresh["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_grace_counts_from_the_first_use(house):
    first = house.login()["refresh_token"]
    house.refresh(first)
    house.clock.forward(9)
    assert house.refresh(first).status_code == 200
    house.clock.forward(9)
    assert house.refresh(first).status_code == 400


def test_racing_refreshes_with_one_token_all_end_logged_in(house):
    first = house.login()["refresh_token"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: house.refresh(first), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    fresh = {answer.json()["refresh_token"] for answer in answers}
    assert len(fresh) == 1
    house.clock.forward(60)
    assert house.refresh(fresh.pop()).status_code == 200


def test_another_clients_refresh_token_is_refused_and_nothing_changes(house):
    token = house.login()
    for after in (0.0, 60.0):
        house.clock.forward(after)
        stolen = house.refresh(token["refresh_token"], client_id="demo-rival")
        assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert house.refresh(token["refresh_token"]).status_code == 200
    house.clock.forward(60)
    # Even a used one, long after: a rival cannot end a session that is not its own.
    assert house.refresh(token["refresh_token"], client_id="demo-rival").status_code == 400
    assert house.http.post(
        "/oauth2/introspect", data={"token": token["access_token"]}, auth=("demo-shop", "introspection-secret")
    ).json() == {**house.introspect(token["access_token"]), "active": True}


def test_a_narrowed_refresh_does_not_narrow_the_next_one(house, read_claims):
    first = house.login()
    narrow = house.refresh(first["refresh_token"], scope="shop:read").json()
    assert narrow["scope"] == read_claims(narrow["access_token"])["scope"] == "shop:read"
    assert "id_token" not in narrow
    assert house.refresh(narrow["refresh_token"]).json()["scope"] == first["scope"]


def test_a_refresh_cannot_widen_and_the_attempt_uses_nothing_up(house):
    first = house.login(scope="shop:read offline_access")
    wider = house.refresh(first["refresh_token"], scope="shop:read shop:buy")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    house.clock.forward(60)
    assert house.refresh(first["refresh_token"]).status_code == 200


def test_a_refresh_picks_another_granted_resource_and_no_other(house, read_claims):
    token = house.login(resource=[house.shop, house.account])["refresh_token"]
    refused = house.refresh(token, resource="https://elsewhere.example/mcp")
    assert refused.json()["error"] == "invalid_target"
    house.clock.forward(60)  # the refusal used nothing up
    for resource in (house.account, f"{house.base}/oauth2/userinfo", house.shop):
        answer = house.refresh(token, resource=resource).json()
        assert read_claims(answer["access_token"])["aud"] == resource
        token = answer["refresh_token"]
    only_shop = house.login()["refresh_token"]
    assert house.refresh(only_shop, resource=house.account).json()["error"] == "invalid_target"


def test_a_refresh_token_that_nobody_uses_for_thirty_days_is_over(house):
    token = house.login()["refresh_token"]
    house.clock.forward(30 * 86400 - 1)
    fresh = house.refresh(token).json()["refresh_token"]
    house.clock.forward(30 * 86400)
    assert house.refresh(fresh).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("name", ["refresh_token", "client_id", "scope", "resource"])
def test_a_parameter_given_twice_is_refused(house, name):
    data = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "demo-agent", "scope": "openid"}
    answer = house.http.post("/oauth2/token", data={**data, name: ["a", "b"]})
    assert answer.json() == {"error": "invalid_request", "error_description": f"{name} is given more than once"}


def test_an_unknown_or_missing_refresh_token_is_told_apart(house):
    assert house.refresh("made-up").json()["error"] == "invalid_grant"
    assert house.refresh("").json()["error"] == "invalid_request"
    assert house.refresh("é" * 10).json()["error"] == "invalid_grant"
