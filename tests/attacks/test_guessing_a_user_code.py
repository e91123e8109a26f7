"""A user code cannot be guessed, and whoever tries keeps nobody from entering their own.

RFC 8628 section 5.1: guessing is to be bounded by the code's entropy and the number of tries. A bound for each network
address is none on loopback, where everybody has 127.0.0.0/8, and it locks out who shares the address.
"""

from __future__ import annotations

from itertools import product

import pytest

from demo.auth_server.state import device_requests
from tests.unit.auth_server.conftest import House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

MOST = 30


def guess(house: House, many: int) -> None:
    """Wrong codes, from one browser that throws its cookie away each time: from no browser that anybody knows."""
    letters = product(device_requests.ALPHABET, repeat=4)
    browser = house.browser()
    browser.get("/device")
    form = browser.forms.form("/device")["fields"]
    for _ in range(many):
        wrong = "".join(next(letters))
        assert browser.http.post("/device", data={**form, "user_code": f"ZZZZ-{wrong}"}).status_code == 400


def entered(house: House, user_code: str) -> bool:
    browser = house.browser()
    browser.get("/device")
    return browser.submit("/device", user_code=user_code).url.path == "/device/sign-in"


def test_a_code_is_over_when_one_in_a_million_of_all_was_tried() -> None:
    assert device_requests.MOST_WRONG_CODES / len(device_requests.ALPHABET) ** 8 <= 1e-6


def locks_out(house: House) -> bool:
    """Whether somebody's wrong codes keep a human from entering the right one."""
    asked = house.ask().json()
    guess(house, 2 * MOST)
    return not entered(house, asked["user_code"])


def finds_one(house: House) -> bool:
    """Whether a right code is still taken from who tried more than the bound."""
    asked = house.ask().json()
    guess(house, MOST + 1)
    return entered(house, asked["user_code"])


def test_wrong_codes_lock_nobody_out(house: House) -> None:
    assert not locks_out(house)


def test_a_bound_that_is_as_small_as_ten_a_minute_locks_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_requests, "MOST_WRONG_CODES", 10)
    assert locks_out(house)


def test_guesses_are_bounded_in_all_whoever_makes_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_requests, "MOST_WRONG_CODES", MOST)
    assert not finds_one(house)


def test_without_a_bound_guessing_finds_one(house: House) -> None:
    assert finds_one(house)


def test_a_device_whose_code_is_over_hears_it_and_the_next_code_is_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_requests, "MOST_WRONG_CODES", MOST)
    asked = house.ask().json()
    guess(house, MOST + 1)
    assert house.redeem(asked["device_code"]).json()["error"] == "expired_token"
    assert entered(house, house.ask().json()["user_code"])


def test_who_has_entered_the_right_code_goes_on_and_nobody_else_enters_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_requests, "MOST_WRONG_CODES", MOST)
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    guess(house, MOST + 1)
    assert not entered(house, asked["user_code"])
    assert browser.again().status_code == 200
    assert browser.submit("/device/consent", decision="approve").status_code == 200
    assert house.redeem(asked["device_code"]).status_code == 200


def test_no_link_guesses_and_none_tells_a_right_code_from_a_wrong_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_requests, "MOST_WRONG_CODES", 3)
    asked = house.ask().json()
    for path in ("/device", "/device/sign-in", "/device/consent"):
        looks = []
        for code in ("ZZZZ-ZZZZ", asked["user_code"]):
            answer = house.browser().get(path, user_code=code)
            looks.append((answer.status_code, answer.url.path, len(answer.text)))
        assert looks[0] == looks[1]
    assert entered(house, asked["user_code"])
