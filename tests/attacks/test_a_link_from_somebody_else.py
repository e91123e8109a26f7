"""A request that somebody else started, and sent to a human, shows itself and is not approved in passing.

RFC 8628 section 5.4 (remote phishing): the human must be able to tell that the request is not theirs. A client without
credentials is nobody in particular (RFC 6749 section 10.2), whatever name it comes by.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from demo.auth_server.pages import visit
from demo.auth_server.pages.device import DeviceQuestion
from demo.auth_server.pages.visit import COOKIE
from tests.conftest import HANGS
from tests.unit.auth_server.conftest import Browser, House, clock, house, make_house
from tests.unit.auth_server.test_auth_server_real_browser import chromium

__all__ = ["chromium", "clock", "house", "make_house"]


def approved_without_typing(house: House, path: str) -> bool:
    """A human opens the link, signs in and clicks what is there to go on with; types nothing. Is it approved?"""
    asked = house.ask(authorization_details=house.spending(100_000_00)).json()
    human = house.browser()
    human.get(path, user_code=asked["user_code"])
    for _ in range(6):
        actions = [form["action"] for form in human.forms.forms]
        if "/device/consent" in actions:
            human.submit("/device/consent", decision="approve")
            break
        if "/device/sign-in" in actions:
            human.submit("/device/sign-in", account="alice@example.com")
        else:
            human.submit("/device")
    return house.redeem(asked["device_code"]).status_code == 200


PATHS = ("/device", "/device/sign-in", "/device/consent")


@pytest.mark.parametrize("path", PATHS)
def test_a_code_in_a_link_is_typed_all_the_same(house: House, path: str) -> None:
    assert not approved_without_typing(house, path)


@pytest.mark.parametrize("path", PATHS)
def test_where_a_code_in_a_link_counts_as_typed_two_clicks_approve(
    house: House, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeviceQuestion, "to_be_typed", False)
    assert approved_without_typing(house, path)


def consent_page(house: House, **asks: str) -> Browser:
    human = house.browser()
    asked = house.ask(**asks).json()
    house.clock.forward(42)
    human.consent(asked["user_code"])
    return human


def test_the_page_says_when_and_from_where_it_was_asked_for_and_how_much_first(house: House) -> None:
    human = consent_page(house, authorization_details=house.spending(100_000_00))
    shown = human.forms.shown
    assert shown["came"][0].startswith("42 seconds ago (") and "own machine" in shown["came"][0]
    heading = human.page.text.partition("<h1>")[2].partition("</h1>")[0]
    assert "100,000.00 USD" in heading


def test_a_public_clients_name_is_said_to_be_anybodys(house: House) -> None:
    assert "public" in consent_page(house).forms.shown
    assert "unverified" not in consent_page(house).forms.shown


@pytest.mark.parametrize("name", ["Shirt Agent", "Shіrt Agent", "SHIRT  AGENT"])
def test_who_registers_under_a_known_name_does_not_bear_it(house: House, name: str) -> None:
    client_id = house.register(client_name=name).json()["client_id"]
    walk = house.authorize(client_id=client_id).sign_in()
    heading = walk.page.text.partition("<h1>")[2].partition("</h1>")[0]
    assert heading.startswith("What calls itself ") and "unverified" in walk.forms.shown
    known = house.authorize().sign_in().page.text.partition("<h1>")[2]
    assert not known.startswith("What calls itself ")


@pytest.fixture
def planting() -> Iterator[tuple[str, list[str]]]:
    """Another user's page on this host: it plants a cookie of theirs, and sends whoever opens it on to a link."""
    links: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Set-Cookie", f"{COOKIE}=planted; Path=/device; Max-Age=600")
            self.end_headers()
            self.wfile.write(f'<a href="{links[-1]}">Win a shirt</a>'.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", links
        server.shutdown()
        thread.join(HANGS)


@pytest.mark.parametrize("weakened", [False, True])
def test_a_code_that_was_entered_under_a_planted_cookie_is_typed_once_more(
    house: House, chromium: Any, planting: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, weakened: bool
) -> None:
    """In a real browser, which says by `Sec-Fetch-Site` that the link is not one of the server's own pages'."""
    if weakened:
        monkeypatch.setattr(visit, "_is_our_own_step", lambda _: True)
    where, links = planting
    thief = house.browser()
    thief.http.cookies.set(COOKIE, "planted", domain="127.0.0.1", path="/device")
    thief.get("/device")
    links.append(str(thief.submit("/device", user_code=house.ask().json()["user_code"]).url))
    page = chromium.new_page()
    page.set_default_timeout(HANGS * 1000)
    page.goto(where)
    page.get_by_role("link").click()
    page.get_by_role("button", name="Alice Ito").click()
    assert page.get_by_role("button", name="Approve").is_visible() is weakened
    if weakened:
        return
    page.get_by_role("button", name="Continue").click()
    assert page.get_by_label("Code").input_value() == "" and page.locator("#typed").is_visible()
    # Who types it goes on, also over a reload.
    own = house.ask().json()["user_code"]
    page.get_by_label("Code").fill(own)
    page.get_by_role("button", name="Continue").click()
    if page.get_by_role("button", name="Alice Ito").is_visible():
        page.get_by_role("button", name="Alice Ito").click()
    page.reload()
    assert page.locator("[data-show=code]").inner_text() == own
