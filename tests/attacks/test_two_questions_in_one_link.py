"""A link to the pages names one question: one that names two has a human read the one and answer the other. And a
question that somebody else opens tells them nothing of whose it is.

CWE-451 (what is shown is not what is done), CWE-639; MCP 2026-07-28, elicitation, URL mode: the link is no key to
somebody's data.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from demo.auth_server.pages import visit
from tests.attacks.test_an_approval_that_the_human_did_not_read import details
from tests.unit.auth_server.conftest import RESOURCE_SERVER, House, Walk, claims, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

CHEAP, DEAR = 100, 90_000


ALICE = "alice@example.com"


@pytest.fixture
def grant(house: House) -> dict[str, Any]:
    return house.login(authorization_details=house.spending(100_000))


def purchase(house: House, grant: dict[str, Any]) -> str:
    """The shop's question for the agent: a cheap purchase."""
    (detail,) = json.loads(details(house, grant, price={"amount": CHEAP, "currency": "USD"}))
    body = {"token": grant["access_token"], "detail": detail, "scope": "shop:buy"}
    answer = house.http.post("/oauth2/purchases", json=body, auth=RESOURCE_SERVER)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["purchase"])


def both(house: House, grant: dict[str, Any]) -> Walk:
    """The agent's own request, for a dear purchase, in the tab of its human; then the same page with the shop's
    question beside it."""
    price = {"amount": DEAR, "currency": "USD"}
    walk = house.authorize(scope="shop:buy", authorization_details=details(house, grant, price=price)).sign_in()
    named = dict(parse_qsl(urlsplit(str(walk.page.url)).query)) | {"purchase": purchase(house, grant)}
    walk.page = walk.http.get(f"/device/consent?{urlencode(named)}")
    return walk


def test_a_link_with_two_questions_is_none(house: House, grant: dict[str, Any]) -> None:
    walk = both(house, grant)
    assert (walk.page.status_code, walk.forms.shown) == (400, {})


def test_where_it_is_one_who_reads_a_dollar_approves_900(
    house: House, grant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "_refuse_two_questions", lambda one: None)
    walk = both(house, grant)
    assert walk.forms.shown["price"] == ["1.00 USD"]
    token = house.exchange(walk.decide().told["code"]).json()["access_token"]
    assert claims(token)["authorization_details"][1]["price"]["amount"] == DEAR


def test_who_opens_somebody_elses_question_reads_no_address_and_gets_no_session(
    house: House, grant: dict[str, Any]
) -> None:
    link = f"/device/consent?purchase={purchase(house, grant)}"
    theirs = Walk(house.base, link).sign_in("grace@example.com")
    assert "1 Main St" not in theirs.page.text and "1000.00" not in theirs.page.text
    denied = theirs.decide("deny")
    assert denied.page.status_code == 403
    assert said(house, "grace@example.com") == said(house, ALICE) == [], "nothing was decided, and nobody said so"
    own = Walk(house.base, link).sign_in()
    assert own.forms.shown["mailing-address"] == ["1 Main St"], "it waits for its own human still"
    own.decide("deny")
    assert said(house, ALICE) == [("denied", True, grant_of(grant)["sid"], grant_of(grant)["act"]["sub"])]
    assert said(house, "grace@example.com") == []


def test_who_denies_a_purchase_in_somebody_elses_grant_says_so_in_their_own_name_alone(
    house: House, grant: dict[str, Any]
) -> None:
    """In a browser, or by a code: who answers decides the request, which is its client's."""
    walk = house.authorize(scope="shop:buy", authorization_details=details(house, grant)).sign_in("grace@example.com")
    assert walk.decide("deny").told["error"] == "access_denied"
    assert said(house, "grace@example.com") == [("denied", True, None, None)]
    assert said(house, ALICE) == []


def said(house: House, account: str) -> list[tuple[str, bool, str | None, str | None]]:
    """What a human answered, by their own list."""
    answers = house.http.get("/account/answers", headers=house.console(account)).json()["answers"]
    return [(one["said"], one["purchase"], one["session"], one["agent"]) for one in answers]


def grant_of(grant: dict[str, Any]) -> dict[str, Any]:
    return claims(grant["access_token"])
