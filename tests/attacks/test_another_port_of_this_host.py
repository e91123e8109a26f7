"""Cookies know no ports: another server of the same host is sent the sign-in cookie, and can consent to nothing by it.

RFC 6265 section 8.5: cookies do not provide isolation by port. On loopback each user of a machine may listen on one,
and a link is enough to have a browser send its cookies there. Over https it is named `__Host-` (RFC 6265bis).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo.auth_server.context import AuthorizationServerConfig
from demo.auth_server.pages import visit
from demo.auth_server.routes import create_authorization_server
from demo.auth_server.state.store import digest
from demo.presenter import web
from demo.presenter.desk import Desk
from demo.settings import Settings
from tests.conftest import HANGS
from tests.unit.auth_server.conftest import Browser, Forms, House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]


@pytest.fixture
def other_port() -> Iterator[tuple[str, list[str]]]:
    """Another user's server on this host: its address, and the cookies that it was sent."""
    cookies: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers.get("Cookie", ""))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", cookies
        server.shutdown()
        thread.join(HANGS)


def consents_with_the_cookie(house: House, other_port: tuple[str, list[str]]) -> bool:
    """Whether a request of the attacker's is approved by a cookie that another port was sent."""
    where, cookies = other_port
    victim = house.browser()
    victim.consent(house.ask().json()["user_code"])
    victim.http.get(f"{where}/device/picture.png")
    name, _, value = cookies[-1].partition("=")
    assert name == visit.COOKIE and value, "the browser does send it: that is the attack"
    thief = Browser(house.base)
    thief.http.cookies.set(name, value, domain="127.0.0.1", path="/device")
    asked = house.ask(authorization_details=house.spending(100_000_00)).json()
    thief.get("/device")
    found = thief.submit("/device", user_code=asked["user_code"])
    fields = Forms(found.text).forms[0]["fields"]
    thief.http.post("/device/consent", data={**fields, "decision": "approve", "limit": "1", "may:shop:buy": "yes"})
    return house.redeem(asked["device_code"]).status_code == 200


def test_the_cookie_that_another_port_is_sent_approves_nothing(house: House, other_port: tuple[str, list[str]]) -> None:
    assert not consents_with_the_cookie(house, other_port)


def test_where_the_cookie_is_all_it_approves(
    house: House, other_port: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "_session", lambda cookie, tab: digest(cookie))
    assert consents_with_the_cookie(house, other_port)


def test_a_cookie_that_another_port_planted_is_signed_in_for_nobody_but_its_tab(house: House) -> None:
    """Session fixation (CWE-384): who planted the cookie knows it, and not the secret of the tab that signed in."""
    victim, thief = house.browser(), house.browser()
    for one in (victim, thief):
        one.http.cookies.set(visit.COOKIE, "planted", domain="127.0.0.1", path="/device")
    victim.consent(house.ask().json()["user_code"])
    thief.get("/device")
    assert thief.submit("/device", user_code=house.ask().json()["user_code"]).url.path == "/device/sign-in"


def test_a_tabs_secret_is_nothing_without_the_browsers_cookie(house: House) -> None:
    victim, thief = house.browser(), house.browser()
    victim.consent(house.ask().json()["user_code"])
    thief.get("/device", tab=victim.at.params["tab"])
    assert thief.submit("/device", user_code=house.ask().json()["user_code"]).url.path == "/device/sign-in"


def test_two_tabs_of_one_browser_are_signed_in_each_for_itself(house: House) -> None:
    browser = house.browser()
    asked = [house.ask().json() for _ in range(2)]
    tabs = []
    for one, account in zip(asked, ("alice@example.com", "grace@example.com"), strict=True):
        browser.consent(one["user_code"], account)
        tabs.append(browser.forms.form("/device/consent")["fields"])
    for one, fields in zip(asked, tabs, strict=True):
        assert browser.http.post("/device/consent", data={**fields, "decision": "approve"}).status_code == 200
        assert house.redeem(one["device_code"]).status_code == 200


def test_over_https_no_other_host_and_no_plain_http_can_set_or_read_it(tmp_path: Path) -> None:
    config = AuthorizationServerConfig("https://auth.example", tmp_path / "state.db", (), ("shop", "secret"))
    server = create_authorization_server(config)

    async def first() -> str:
        transport = httpx2.ASGITransport(app=Starlette(routes=server.routes))
        async with httpx2.AsyncClient(transport=transport, base_url="https://auth.example") as http:
            return (await http.get("/device")).headers["set-cookie"]

    cookie = asyncio.run(first())
    server.context.store.close()
    assert cookie.startswith(f"__Host-{visit.COOKIE}=")
    assert {"Path=/", "Secure", "HttpOnly"} <= set(cookie.split("; ")) and "Domain" not in cookie


def opens_with_the_cookie(folder: Path, other_port: tuple[str, list[str]]) -> bool:
    """Whether who was sent the cookie of the presenter's page, at another port, reads or leads anything by it."""
    where, cookies = other_port
    origin, secret = "http://127.0.0.1:7328", "s" * 22
    app = web.presenter_app(Desk(Settings(state=folder)), secret, lambda: web.on_loopback(7328))
    with TestClient(app, base_url=origin, follow_redirects=False) as presenter:
        answer = presenter.get(f"/?key={secret}")
        sent = answer.headers["set-cookie"].partition(";")[0]
        httpx2.get(where, headers={"cookie": sent})  # SameSite does not tell ports apart
        with TestClient(app, base_url=origin, headers={"cookie": cookies[-1]}, follow_redirects=False) as thief:
            value = cookies[-1].partition("=")[2]
            onward = thief.get("/", params={"key": value}).headers.get("location", "").partition("#")[2]
            tried = [{"tab": one} for one in ("", value, onward)]
            held = [thief.post("/remote", json={"do": "hold"}, params=one).status_code == 200 for one in tried]
        own = {"tab": answer.headers["location"].partition("#")[2]}
        assert presenter.post("/remote", json={"do": "hold"}, params=own).status_code == 200
    return any(held)


@pytest.mark.parametrize("weak", [False, True])
def test_by_the_presenters_cookie_nothing_is_led(
    tmp_path: Path, other_port: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    if weak:  # the cookie is the key itself
        monkeypatch.setattr(web, "half", lambda secret, _: secret)
    assert opens_with_the_cookie(tmp_path, other_port) is weak
