"""The pages in a real browser: forms that it really sends, focus that it really shows, no script at all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.conftest import HANGS

from .conftest import CHALLENGE, EVERYTHING

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=30_000)
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "height"), [(390, 844), pytest.param(1280, 800, marks=pytest.mark.long)])
def test_a_human_types_a_code_signs_in_switches_account_and_approves_without_script(house, chromium, width, height):
    asked = house.ask(authorization_details=house.spending()).json()
    context = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(HANGS * 1000)
    sent: list[tuple[str | None, str]] = []
    page.on("request", lambda request: sent.append((request.headers.get("origin"), request.url)))
    page.goto(asked["verification_uri"])
    page.get_by_label("Code").fill(asked["user_code"].lower())
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Mallory Crane").click()
    page.get_by_role("button", name="Switch account").click()
    page.get_by_role("button", name="Alice Ito").click()
    assert page.locator("[data-show=account]").inner_text() == "alice@example.com"
    approve = page.get_by_role("button", name="Approve").bounding_box()
    deny = page.get_by_role("button", name="Deny").bounding_box()
    assert (approve["width"], approve["height"], approve["y"]) == (deny["width"], deny["height"], deny["y"])
    assert approve["height"] >= 44  # a thumb's width
    assert approve["x"] >= 0 and deny["x"] + deny["width"] <= width  # nothing to scroll sideways for
    page.get_by_role("button", name="Approve").click()
    assert page.get_by_role("heading", name="Approved").is_visible()
    assert house.redeem(asked["device_code"]).status_code == 200
    # A server that refuses foreign origins (docs/wire.md) sees its own in every form.
    assert {origin for origin, _ in sent if origin is not None} == {house.base}
    assert all(url.startswith(house.base) for _, url in sent)


def test_everything_can_be_reached_and_seen_by_keyboard(house, chromium):
    asked = house.ask().json()
    page = chromium.new_page()
    page.set_default_timeout(HANGS * 1000)
    page.goto(asked["verification_uri"])
    playwright.expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(asked["user_code"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/device/sign-in*")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/device/consent*")
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.name"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    boxes = [f"may:{scope}" for scope in EVERYTHING.split()]
    assert reached == ["Not you? Switch account", "limit", *boxes, "Approve", "Deny"]


@pytest.mark.parametrize(("width", "height"), [(390, 844), pytest.param(1280, 800, marks=pytest.mark.long)])
def test_a_human_sees_the_amount_first_corrects_it_and_unticks_a_box(house, chromium, read_claims, width, height):
    asked = house.ask(authorization_details=house.spending()).json()
    page = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=False).new_page()
    page.set_default_timeout(HANGS * 1000)
    page.goto(f"{asked['verification_uri']}?user_code={asked['user_code']}")
    page.get_by_role("button", name="Continue").click()
    # What came with a link is typed again (RFC 8628 section 5.4).
    playwright.expect(page.get_by_label("Code")).to_have_value("")
    page.get_by_label("Code").fill(asked["user_code"])
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Alice Ito").click()
    assert "60.00 USD" in page.get_by_role("heading", level=1).inner_text()
    amount = page.get_by_label("It may spend up to")
    assert amount.input_value() == "60.00"
    box, first = amount.bounding_box(), page.get_by_role("checkbox").first.bounding_box()
    # On the first screen, above every box, and larger than any other text but the code.
    assert box["y"] + box["height"] <= height and box["y"] < first["y"]
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    amount.fill("a few dollars")
    page.get_by_label("See the orders that it placed").uncheck()
    page.get_by_role("button", name="Approve").click()
    playwright.expect(amount).to_be_focused()
    assert amount.input_value() == "a few dollars" and page.get_by_role("alert").is_visible()
    playwright.expect(page.get_by_label("See the orders that it placed")).not_to_be_checked()
    amount.fill("30")
    amount.press("Tab")
    page.get_by_role("button", name="Approve").click()
    assert page.get_by_role("heading", name="Approved").is_visible()
    claims = read_claims(house.redeem(asked["device_code"]).json()["access_token"])
    assert claims["scope"] == "openid shop:read shop:buy offline_access"
    assert claims["authorization_details"][0]["limit"] == {"amount": 3000, "currency": "USD"}


@pytest.fixture
def callback() -> Iterator[tuple[str, list[str]]]:
    """A native agent that listens for its redirect: where, and what came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1>Back at the agent</h1>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/callback", came
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(("width", "height"), [(390, 844), pytest.param(1280, 800, marks=pytest.mark.long)])
@pytest.mark.parametrize("decision", ["Approve", "Deny"])
def test_a_human_sent_by_an_unverified_agent_decides_without_script_and_is_taken_back(
    house, chromium, callback, width, height, decision
):
    redirect_uri, came = callback
    client_id = house.register(client_name="Newcomer of a rather long and winding name").json()["client_id"]
    context = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(HANGS * 1000)
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "scope": EVERYTHING,
        "resource": house.shop, "state": "s1", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        "authorization_details": house.spending(),
    }  # fmt: skip
    page.goto(f"{house.base}/oauth2/authorize?{urlencode(asked)}")
    page.get_by_role("button", name="Mallory Crane").click()
    page.get_by_role("button", name="Switch account").click()
    page.get_by_role("button", name="Alice Ito").click()
    assert page.locator("[data-show=redirect]").inner_text() == redirect_uri
    assert page.locator("[data-show=unverified]").is_visible()
    approve = page.get_by_role("button", name="Approve").bounding_box()
    deny = page.get_by_role("button", name="Deny").bounding_box()
    assert (approve["width"], approve["height"], approve["y"]) == (deny["width"], deny["height"], deny["y"])
    assert approve["x"] >= 0 and deny["x"] + deny["width"] <= width  # nothing to scroll sideways for
    page.get_by_role("button", name=decision).click()  # form-action of the page lets the redirect through
    page.get_by_role("heading", name="Back at the agent").wait_for()
    told = {name: values[0] for name, values in parse_qs(urlsplit(came[0]).query).items()}
    assert (told["state"], told["iss"]) == ("s1", house.base)
    if decision == "Deny":
        assert told["error"] == "access_denied"
    else:
        assert house.exchange(told["code"], client_id=client_id, redirect_uri=redirect_uri).status_code == 200
