"""The pages: what they show, what they never do by themselves, and who is kept out."""

from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest


def waiting(house, asked) -> bool:
    """Whether the request is still undecided (asked late enough not to be told to slow down)."""
    house.clock.forward(30)
    return house.redeem(asked["device_code"]).json().get("error") == "authorization_pending"


def test_the_consent_page_says_who_asks_for_what_in_whose_name(house):
    asked = house.ask(authorization_details=house.spending(6000)).json()
    browser = house.browser()
    page = browser.consent(asked["user_code"])
    shown = browser.forms.shown
    assert page.status_code == 200
    assert shown["client"] == ["Shirt Agent"]
    assert shown["account"] == ["alice@example.com"]
    assert shown["code"] == [asked["user_code"]]
    assert shown["limit"] == ["60.00 USD"]
    assert shown["scope"] == ["openid", "shop:read", "orders:read", "shop:buy", "offline_access"]
    for text in (
        "piece of software",
        "Does your terminal show this code?",
        "Did you start this?",
        house.shop,
        "It may spend up to",
    ):
        assert text in page.text
    assert shown["asked"] == ["60.00 USD"]
    assert browser.forms.form("/device/consent")["buttons"] == [("decision", "approve"), ("decision", "deny")]


@pytest.mark.parametrize("scope", ["openid shop:read", "audit:read"])
def test_an_agent_that_does_not_ask_to_buy_gets_no_field_for_money(house, scope):
    browser = house.browser()
    browser.consent(house.ask(scope=scope).json()["user_code"])
    assert "limit" not in browser.forms.shown
    assert "limit" not in browser.forms.form("/device/consent")["fields"]


def test_where_no_amount_was_named_a_sensible_one_is_filled_in_and_granted_as_it_stands(house, read_claims):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.forms.shown["limit"] == ["50.00 USD"] and "asked" not in browser.forms.shown
    browser.submit("/device/consent", decision="approve")
    token = house.redeem(asked["device_code"]).json()
    granted = read_claims(token["access_token"])["authorization_details"]
    assert granted == token["authorization_details"] == json.loads(house.spending(5000))
    again = house.refresh(token["refresh_token"]).json()
    assert again["authorization_details"] == granted == read_claims(again["access_token"])["authorization_details"]


@pytest.mark.parametrize("flow", ["device", "browser"])
@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("25", 2500),
        ("25.5", 2550),
        (" 25,50 ", 2550),
        ("$25.00", 2500),
        ("25 usd", 2500),
        ("0.01", 1),
        ("60", 6000),
    ],
)
def test_the_human_lowers_the_limit_and_narrows_the_scopes(house, read_claims, flow, typed, amount):
    granting = {"limit": typed, "decision": "approve", "may:orders:read": None, "may:offline_access": None}
    if flow == "device":
        asked = house.ask(authorization_details=house.spending(6000)).json()
        browser = house.browser()
        browser.consent(asked["user_code"])
        browser.submit("/device/consent", **granting)
        token = house.redeem(asked["device_code"]).json()
    else:
        walk = house.authorize(authorization_details=house.spending(6000)).sign_in()
        token = house.exchange(walk.submit("/device/consent", **granting).told["code"]).json()
    found = read_claims(token["access_token"])
    assert token["scope"] == found["scope"] == "openid shop:read shop:buy" and "refresh_token" not in token
    assert token["authorization_details"] == found["authorization_details"] == json.loads(house.spending(amount))


@pytest.mark.parametrize("asked_for", [None, 6000])
@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "much",
        "-5",
        "0",
        "0.00",
        "1,000",
        "1e3",
        "12.345",
        "5\u0660",
        "9" * 12,
        "1000000.01",
        "<b>5</b>",
        "5 EUR",
    ],
)
def test_an_amount_that_cannot_be_granted_loses_nothing(house, typed, asked_for):
    details = house.spending(asked_for) if asked_for else None
    asked = house.ask(authorization_details=details).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    page = browser.submit("/device/consent", limit=typed, decision="approve", **{"may:orders:read": None})
    assert page.status_code == 400 and 'role="alert"' in page.text and 'aria-invalid="true"' in page.text
    fields = browser.forms.form("/device/consent")["fields"]
    assert fields["limit"] == typed
    assert "may:shop:buy" in fields and "may:orders:read" not in fields
    assert waiting(house, asked)
    assert browser.submit("/device/consent", limit="30", decision="approve").status_code == 200
    token = house.redeem(asked["device_code"]).json()
    assert token["authorization_details"] == json.loads(house.spending(3000))
    assert "orders:read" not in token["scope"].split()


def test_more_than_was_asked_for_cannot_be_granted(house):
    asked = house.ask(authorization_details=house.spending(6000)).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    page = browser.submit("/device/consent", limit="60.01", decision="approve")
    assert page.status_code == 400 and 'id="limit-fault"' in page.text
    assert waiting(house, asked)


def test_a_form_without_the_amount_that_it_had_or_with_nothing_ticked_grants_nothing(house):
    asked = house.ask(authorization_details=house.spending(6000)).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    nothing = {name: None for name in browser.forms.form("/device/consent")["fields"] if name.startswith("may:")}
    page = browser.submit("/device/consent", decision="approve", **nothing)
    assert page.status_code == 400 and 'role="alert"' in page.text
    browser.again()
    assert browser.submit("/device/consent", decision="approve", limit=None).status_code == 400
    assert waiting(house, asked)


def test_who_may_not_buy_gets_no_limit_whatever_stands_in_the_field(house, read_claims):
    asked = house.ask(authorization_details=house.spending(6000)).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    browser.submit("/device/consent", decision="approve", limit="much", **{"may:shop:buy": None})
    token = house.redeem(asked["device_code"]).json()
    assert "shop:buy" not in token["scope"].split() and "authorization_details" not in token
    assert "authorization_details" not in read_claims(token["access_token"])


def test_a_box_that_was_not_on_the_page_grants_nothing(house):
    asked = house.ask(scope="openid shop:read").json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    forged = {"may:shop:buy": "yes", "may:sessions:manage": "yes", "limit": "500"}
    browser.submit("/device/consent", decision="approve", **forged)
    token = house.redeem(asked["device_code"]).json()
    assert token["scope"] == "openid shop:read" and "authorization_details" not in token


def test_scopes_the_human_or_the_client_may_not_have_are_listed_as_left_out_and_are_not_granted(house):
    asked = house.ask(scope="openid demo:mode audit:read sessions:manage").json()
    browser = house.browser()
    page = browser.consent(asked["user_code"], account="mallory@example.org")
    assert browser.forms.shown["scope"] == ["openid"]
    assert 'class="scopes out"' in page.text
    for name in ("demo:mode", "audit:read", "sessions:manage"):
        assert f"<code>{name}</code>" in page.text
    browser.submit("/device/consent", decision="approve")
    assert house.redeem(asked["device_code"]).json()["scope"] == "openid"


def test_where_nothing_can_be_granted_there_is_nothing_to_approve(house):
    asked = house.ask(scope="sessions:manage").json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.forms.form("/device/consent")["buttons"] == [("decision", "deny")]
    assert browser.submit("/device/consent", decision="approve").status_code == 409
    assert waiting(house, asked)


def test_a_revoked_agent_is_not_approved_before_it_is_reinstated(house, read_claims):
    agent = read_claims(house.login()["access_token"])["act"]["sub"]
    console = house.console()
    house.http.post("/account/revoke", json={"kind": "agent", "id": agent}, headers=console)
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.forms.form("/device/consent")["buttons"] == [("decision", "deny")]
    assert browser.submit("/device/consent", decision="approve").status_code == 409
    house.http.post("/account/reinstate", json={"kind": "agent", "id": agent}, headers=console)
    assert browser.submit("/device/consent", decision="approve").status_code == 200
    assert house.redeem(asked["device_code"]).status_code == 200


@pytest.mark.parametrize("spell", [str.lower, lambda c: c.replace("-", ""), lambda c: f" {c[:2]} {c[2:]} ".lower()])
def test_a_code_may_be_typed_in_any_case_with_or_without_its_dash(house, spell):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(spell(asked["user_code"]))
    assert browser.forms.shown["code"] == [asked["user_code"]]


def test_a_link_with_the_code_filled_in_decides_nothing_however_often_it_is_opened(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(house.ask().json()["user_code"])  # signed in
    for _ in range(3):
        for path in ("/device", "/device/sign-in", "/device/consent"):
            sent = {"user_code": asked["user_code"], "decision": "approve", "account": "alice@example.com"}
            assert browser.get(path, tab=browser.at.params["tab"], **sent).status_code == 200
    assert waiting(house, asked)
    browser.get("/device", user_code=asked["user_code"])
    assert browser.forms.form("/device")["fields"]["user_code"] == asked["user_code"]


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é"])
@pytest.mark.parametrize("path", ["/device", "/device/sign-in", "/device/consent"])
def test_a_form_without_this_browsers_token_changes_nothing(house, path, csrf):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    data = {"user_code": asked["user_code"], "decision": "approve", "account": "grace@example.com"}
    answer = browser.http.post(path, data=data if csrf is None else {**data, "csrf": csrf})
    assert answer.status_code == 403
    assert browser.again().status_code == 200
    assert browser.forms.shown["account"] == ["alice@example.com"]
    assert waiting(house, asked)


def test_one_browsers_token_is_no_good_in_another(house):
    asked = house.ask().json()
    mine, theirs = house.browser(), house.browser()
    mine.consent(asked["user_code"])
    theirs.consent(asked["user_code"], account="grace@example.com")
    stolen = mine.forms.form("/device/consent")["fields"]
    assert theirs.http.post("/device/consent", data={**stolen, "decision": "approve"}).status_code == 403
    assert waiting(house, asked)


def test_a_form_posted_from_another_origin_is_refused_even_with_the_token(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    data = {**browser.forms.form("/device/consent")["fields"], "decision": "approve"}
    for origin in ("http://127.0.0.1:1", "https://evil.example", "null"):
        assert browser.http.post("/device/consent", data=data, headers={"Origin": origin}).status_code == 403
    assert waiting(house, asked)
    assert browser.http.post("/device/consent", data=data, headers={"Origin": house.base}).status_code == 200


def test_a_decision_needs_a_signed_in_browser(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.get("/device")
    browser.submit("/device", user_code=asked["user_code"])
    data = {**browser.forms.form("/device/sign-in")["fields"], "decision": "approve"}
    assert browser.http.post("/device/consent", data=data).url.path == "/device/sign-in"
    assert waiting(house, asked)


def test_switching_the_account_signs_out_and_asks_again(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    browser.submit("/device/sign-in", switch="1")
    assert browser.page.url.path == "/device/sign-in"
    assert browser.http.get(browser.at).url.path == "/device/sign-in"
    browser.submit("/device/sign-in", account="grace@example.com")
    assert browser.forms.shown["account"] == ["grace@example.com"]


def test_a_tab_stays_signed_in_for_an_hour(house):
    browser = house.browser()
    browser.consent(house.ask().json()["user_code"])
    house.clock.forward(3599)
    asked = house.ask().json()
    browser.get("/device", tab=browser.at.params["tab"])
    assert browser.submit("/device", user_code=asked["user_code"]).url.path == "/device/consent"
    browser.at = browser.page.url
    house.clock.forward(1)
    assert browser.again().url.path == "/device/sign-in"


@pytest.mark.parametrize(("first", "second"), [("approve", "deny"), ("deny", "approve"), ("approve", "approve")])
def test_going_back_and_deciding_again_says_that_it_is_decided(house, first, second):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    fields = browser.forms.form("/device/consent")["fields"]
    assert browser.submit("/device/consent", decision=first).status_code == 200
    again = browser.http.post("/device/consent", data={**fields, "decision": second})
    assert again.status_code == 409
    assert f'data-outcome="already-{"approved" if first == "approve" else "denied"}"' in again.text
    assert browser.again().status_code == 409
    status = house.redeem(asked["device_code"]).status_code
    assert status == (200 if first == "approve" else 400)


def test_of_two_windows_that_decide_at_once_one_is_the_first(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    fields = browser.forms.form("/device/consent")["fields"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: browser.http.post("/device/consent", data={**fields, "decision": "approve"}), range(6))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    with sqlite3.connect(house.database) as connection:
        assert connection.execute("SELECT COUNT(*) FROM oauth_sessions").fetchone() == (1,)


def test_the_outcome_says_what_happened_and_what_the_terminal_does(house):
    approved = house.browser().decide(house.ask().json()["user_code"], "approve").text
    assert "Approved" in approved and "may now act for you" in approved and "Your terminal notices" in approved
    denied = house.browser().decide(house.ask().json()["user_code"], "deny").text
    assert "Denied" in denied and "got nothing" in denied and "Your terminal says that you denied it" in denied


def test_an_expired_code_can_be_neither_found_nor_approved(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    house.clock.forward(600)
    late = browser.submit("/device/consent", decision="approve")
    assert (late.status_code, 'data-outcome="expired"' in late.text) == (410, True)
    assert browser.again().status_code == 410


def test_a_wrong_code_is_said_to_be_wrong_and_may_be_corrected(house):
    asked = house.ask().json()
    browser = house.browser()
    browser.get("/device")
    for wrong in ("BCDF-GHJK", "short", "AEIO-UAEI", "1234-5678", "<script>"):
        assert browser.submit("/device", user_code=wrong).status_code == 400
        assert 'id="wrong"' in browser.page.text and "<script>" not in browser.page.text
    assert browser.submit("/device", user_code=asked["user_code"]).url.path == "/device/sign-in"


def test_every_page_refuses_frames_scripts_and_caches(house):
    asked = house.ask().json()
    browser = house.browser()
    pages = [browser.get("/device"), browser.get("/device/sign-in", user_code=asked["user_code"])]
    pages += [browser.consent(asked["user_code"]), browser.http.post("/device/consent", data={"csrf": "x"})]
    pages += [browser.submit("/device/consent", decision="deny"), browser.http.get("/device/style.css")]
    redirect = httpx2.get(f"{house.base}/device/consent", verify=False)
    assert [page.status_code for page in (*pages, redirect)] == [200, 200, 200, 403, 200, 200, 303]
    for page in (*pages, redirect):
        assert page.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
    for page in pages[:5]:
        assert '<html lang="en">' in page.text and "<main>" in page.text
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://(?!127\.0\.0\.1)", page.text)


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(house):
    cookie = httpx2.get(f"{house.base}/device", verify=False).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/device" in cookie


def test_what_a_link_fills_in_is_escaped(house):
    page = house.browser().get("/device", user_code='"><script>alert(1)</script>')
    assert "<script" not in page.text
    assert "&#34;&gt;&lt;script&gt;" in page.text


def test_no_redirect_leaves_the_origin(house):
    browser = house.browser()
    browser.get("/device/sign-in", user_code="//evil.example")
    fields = browser.forms.form("/device/sign-in")["fields"]
    answer = browser.http.post(
        "/device/sign-in", data={**fields, "account": "alice@example.com"}, follow_redirects=False
    )
    assert answer.headers["location"].startswith("/device/consent?user_code=%2F%2Fevil.example&entered=&tab=")


def test_an_unreadable_form_gets_a_page_and_not_a_traceback(house):
    for content, kind in ((b"{}", "application/json"), (b"csrf=a&csrf=b", "application/x-www-form-urlencoded")):
        answer = house.http.post("/device", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400 and answer.headers["content-type"].startswith("text/html")


INK = ("ink", "quiet", "good", "bad")
PAIRS = [(ink, ground) for ink in INK for ground in ("ground", "card")]
PAIRS += [("ink", "note"), ("bad", "bad-ground"), ("on", "good"), ("on", "bad"), ("card", "ink"), ("quiet", "note")]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_schemes(house, scheme):
    style = house.http.get("/device/style.css").text
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.split("prefers-color-scheme: dark")[scheme]))

    def luminance(name: str) -> float:  # WCAG 2.2, "relative luminance"
        parts = [int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for ink, ground in PAIRS:
        high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)  # WCAG 2.2 success criterion 1.4.3, level AA


def test_a_limit_that_is_named_without_the_scope_to_buy_is_asked_about_and_granted(house):
    """At an authorization server that knows no scopes of the shop's, it is all that speaks of buying (RFC 9396)."""
    asked = house.ask(scope="openid", authorization_details=house.spending(6000)).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.forms.shown["limit"] == ["60.00 USD"]
    assert browser.submit("/device/consent", decision="approve", limit="0").status_code == 400
    browser.submit("/device/consent", decision="approve", limit="40")
    token = house.redeem(asked["device_code"]).json()
    assert token["authorization_details"] == json.loads(house.spending(4000))
