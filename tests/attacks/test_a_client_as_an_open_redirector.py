"""Nobody is sent to a place that somebody else chose without having seen it, and no redirect URI is a pattern.

RFC 9700 section 4.11.2: an authorization server that answers each bad request with a redirect is an open redirector for
whoever registers a client. Section 2.1: redirect URIs are compared as strings; patterns have been the hole again and
again (CVE-2023-6927, CVE-2024-1132 and CVE-2026-9689 at Keycloak).
"""

from __future__ import annotations

import pytest

from demo.auth_server.clients import uris
from demo.auth_server.clients.uris import is_one_of, redirect_uri_objection
from demo.auth_server.pages import redirect
from tests.unit.auth_server.conftest import CALLBACK, House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

SITE = "https://phishing.example/login"
BAD = (
    {"response_type": "token"}, {"scope": "no:such"}, {"code_challenge": None}, {"resource": "https://else.example/"},
    {"response_mode": "fragment"}, {"authorization_details": "[]"}, {"nonce": "n" * 3000},
)  # fmt: skip


def leaves_at_once(house: House, client_id: str, **bad: str | None) -> bool:
    """Whether a link to the authorization server takes a browser to the client's site, with no human involved."""
    return house.authorize(client_id=client_id, redirect_uri=SITE, **bad).left is not None


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: str(next(iter(bad))))
def test_a_bad_request_of_a_client_that_made_itself_known_stays_here(house: House, bad: dict[str, str | None]) -> None:
    client_id = house.register(redirect_uris=[SITE]).json()["client_id"]
    assert not leaves_at_once(house, client_id, **bad)
    walk = house.authorize(client_id=client_id, redirect_uri=SITE, **bad)
    shown = walk.forms.shown
    assert walk.page.status_code == 400 and shown["redirect"] == [SITE] and shown["error"][0]
    # The way back is there, for who wants it: with what a redirect would have told.
    assert f'href="{SITE}?error={shown["error"][0]}&amp;' in walk.page.text and "iss=" in walk.page.text


def test_nor_does_it_go_from_the_page_behind(house: House) -> None:
    client_id = house.register(redirect_uris=[SITE]).json()["client_id"]
    text = f"client_id={client_id}&redirect_uri={SITE}&response_type=token"
    human = house.browser()
    human.consent(house.ask().json()["user_code"])
    answer = human.http.get("/device/consent", params={"request": text, "tab": human.at.params["tab"]})
    assert answer.status_code == 400 and answer.url.host == "127.0.0.1"


def test_a_server_that_redirects_each_error_is_an_open_redirector(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redirect, "_sent_back", lambda visit, request, error: visit.server.refused(request, error))
    client_id = house.register(redirect_uris=[SITE]).json()["client_id"]
    assert leaves_at_once(house, client_id, response_type="token")


def test_a_known_clients_error_still_goes_to_its_own_loopback(house: House) -> None:
    walk = house.authorize(response_type="token")
    assert walk.left is not None and walk.left.startswith(CALLBACK)


PATTERNS = (
    "https://*/cb", "https://*.example/cb", "https://a.*.example/cb", "https://app.example/*", "http://127.0.0.1:*/cb",
    "https://app.example*/cb", "com.example.*:/cb", "https://app.example/cb?x=*",
)  # fmt: skip
TWO_READINGS = (
    "https://app.example./cb", "https://a..example/cb", "https://.example/cb", "https://2130706433/cb",
    "https://0x7f.1/cb", "https://127.1/cb", "https://a_b.example/cb", "https://-a.example/cb", "https://(a).example/cb",
    "https://a;b.example/cb", "https://app%2eexample/cb", "https://[fe80::1%25eth0]/cb", "https://app.example\\@evil/cb",
    "https://user@app.example/cb", "https://app.example/a/../cb", "https://app.example/%2e%2e/cb",
    "https://app.example/..%2Fcb", "https://app.example/%5c..%5ccb", "https://app.example/%40evil.example",
    "https://app.example/%0d%0aSet-Cookie:x", "https://app.example/%00", "https://app.example/%zz",
    "https://app.example/cb?code=mine", "https://app.example/cb?state=", "https://app.example/cb?iss=https://other",
    "com.example.app://user@host/cb", "com.example.app:/a/../cb",
)  # fmt: skip


@pytest.mark.parametrize("uri", PATTERNS + TWO_READINGS)
def test_a_redirect_uri_is_one_place_to_whoever_reads_it(house: House, uri: str) -> None:
    assert redirect_uri_objection(uri)
    assert house.register(redirect_uris=[uri]).json()["error"] == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:9/cb/../admin",
        "http://127.0.0.1:9/cb%2e",
    ],
)
def test_the_free_port_of_a_loopback_one_frees_nothing_else(asked: str) -> None:
    path = asked.partition("127.0.0.1")[2].partition("/")[2]
    assert not is_one_of(asked, (f"http://127.0.0.1/{path}",))
    assert is_one_of("http://127.0.0.1:65535/cb", ("http://127.0.0.1/cb",))


def test_a_server_that_takes_any_host_registers_a_pattern(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uris, "redirect_uri_objection", lambda uri: None)
    monkeypatch.setattr("demo.auth_server.clients.metadata.redirect_uri_objection", lambda uri: None)
    assert all(house.register(redirect_uris=[uri]).status_code == 201 for uri in PATTERNS)
