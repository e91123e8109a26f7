"""What is granted is what the human saw last: an attacker gains nothing from an earlier, larger yes.

RFC 6749 section 1.4 has a token stand for what the resource owner granted, and RFC 9396 section 7 has the token
response say what that was, which may be less than was asked for.
"""

from __future__ import annotations

from typing import Any

import pytest

from demo.auth_server.state.sessions import Session
from tests.unit.auth_server.conftest import House, claims, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

ELSEWHERE = "https://elsewhere.example/mcp"


def limit_of(token: dict[str, Any]) -> int | None:
    details = claims(token["access_token"]).get("authorization_details")
    assert token.get("authorization_details") == details
    return details[0]["limit"]["amount"] if details else None


def yes(house: House, **form: Any) -> str:
    """A human's yes to one and the same request of one client (its PKCE challenge is the same). Returns the code."""
    asked = {name: form.pop(name) for name in ("spending", "resource") if name in form}
    details = {"authorization_details": house.spending(asked["spending"])} if "spending" in asked else {}
    resource = {"resource": asked["resource"]} if "resource" in asked else {}
    walk = house.authorize(**details, **resource).sign_in()
    return walk.submit("/device/consent", decision="approve", **form).told["code"]


def test_a_smaller_limit_asked_for_afterwards_is_the_one_that_counts(house: House) -> None:
    before, after = yes(house, spending=6000), yes(house, spending=2500)
    assert house.exchange(before).json()["error"] == "invalid_grant"
    assert limit_of(house.exchange(after).json()) == 2500


def test_a_limit_lowered_on_the_page_afterwards_is_the_one_that_counts(house: House) -> None:
    before, after = yes(house, spending=6000), yes(house, spending=6000, limit="25")
    assert house.exchange(before).json()["error"] == "invalid_grant"
    assert limit_of(house.exchange(after).json()) == 2500


def test_no_limit_at_all_afterwards_is_none(house: House) -> None:
    before, after = yes(house, spending=6000), yes(house, spending=6000, **{"may:shop:buy": None})
    assert house.exchange(before).json()["error"] == "invalid_grant"
    token = house.exchange(after).json()
    assert limit_of(token) is None and "shop:buy" not in token["scope"].split()


def test_another_place_afterwards_is_the_one_that_counts(make_house: Any) -> None:
    with make_house(more_resources=lambda: (ELSEWHERE,)) as house:
        before, after = yes(house, spending=6000), yes(house, resource=ELSEWHERE)
        assert house.exchange(before).json()["error"] == "invalid_grant"
        assert claims(house.exchange(after).json()["access_token"])["aud"] == ELSEWHERE


def test_fewer_scopes_afterwards_are_the_ones_that_count(house: House) -> None:
    before, after = yes(house), yes(house, **{"may:orders:read": None})
    assert house.exchange(before).json()["error"] == "invalid_grant"
    assert "orders:read" not in house.exchange(after).json()["scope"].split()


def test_a_no_after_a_yes_to_the_same_request_is_a_no(house: House) -> None:
    before = yes(house, spending=6000)
    house.authorize(authorization_details=house.spending(6000)).sign_in().decide("deny")
    assert house.exchange(before).json()["error"] == "invalid_grant"


def test_somebody_else_with_the_same_link_ends_nobody_elses_yes(house: House) -> None:
    before = yes(house, spending=6000)
    house.authorize(authorization_details=house.spending(2500)).sign_in("grace@example.com").decide("deny")
    assert limit_of(house.exchange(before).json()) == 6000


def test_the_same_yes_twice_is_one_session_still(house: House) -> None:
    yes(house, spending=6000)
    assert limit_of(house.exchange(yes(house, spending=6000)).json()) == 6000
    sessions = house.http.get("/account/sessions", headers=house.console()).json()["sessions"]
    assert len([one for one in sessions if one["agent"]]) == 1


def test_an_authorization_server_that_compares_scopes_alone_grants_the_larger_limit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests would see there: the check is what makes the difference."""
    monkeypatch.setattr(Session, "grants", lambda self, scope, resources, details: self.scope == scope)
    yes(house, spending=6000)
    assert limit_of(house.exchange(yes(house, spending=2500)).json()) == 6000
