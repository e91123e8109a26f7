"""What the human reads on the page is what the token is for; nobody approves for somebody else's agent; and an approval
opens no more of the grant than the one purchase.

draft-klrc-aiagent-auth (Human in the Loop): a confirmation counts where the authorization server asked for it. RFC 8628
section 5.4 and RFC 9700 section 4.14 for what a phished yes would be worth.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo.auth_server.grants import purchases
from demo.auth_server.grants import server as grants
from demo.auth_server.pages import consent, purchase
from demo.client.human.sample_human import SampleHuman
from deputize.oauth.dpop import ProofKey
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.stored import read_token_response
from talk.stage.login import consent_matches
from tests.unit.auth_server.conftest import House, claims, clock, house, make_house

__all__ = ["clock", "house", "make_house"]


def details(house: House, grant: dict[str, Any], **changes: Any) -> str:
    """What the shop wants approved, for the agent of this grant."""
    told = claims(grant["access_token"])
    given = {
        "type": "shop_purchase",
        "actions": ["buy"],
        "locations": [house.shop],
        "session": told["sid"],
        "agent": told["act"]["sub"],
        "item": "Conference T-shirt",
        "size": "M",
        "company": "ACME",
        "mailingAddress": "1 Main St",
        "price": {"amount": 2500, "currency": "USD"},
    }
    return json.dumps([given | changes])


def ask(house: House, grant: dict[str, Any], **values: Any) -> Any:
    changes = values.pop("changes", {})
    return house.ask(**{"scope": "shop:buy", "authorization_details": details(house, grant, **changes), **values})


@pytest.fixture
def grant(house: House) -> dict[str, Any]:
    return house.login(authorization_details=house.spending(6000))


def test_the_page_says_in_figures_and_words_what_the_token_carries(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    shown = {name: values[0] for name, values in browser.forms.shown.items()}
    assert (shown["price"], shown["price-in-words"]) == ("25.00 USD", "twenty-five dollars")
    browser.submit("/device/consent", decision="approve")
    token = house.redeem(asked["device_code"]).json()
    spending, bought = claims(token["access_token"])["authorization_details"]
    assert spending["limit"]["amount"] == 6000 and token["authorization_details"] == [spending, bought]
    assert (shown["item"], shown["size"], shown["company"], shown["mailing-address"], shown["agent"]) == (
        bought["item"], bought["size"], bought["company"], bought["mailingAddress"], bought["agent"]
    )  # fmt: skip
    assert f"{bought['price']['amount'] / 100:.2f} {bought['price']['currency']}" == shown["price"]


def test_the_token_is_of_the_same_grant_and_for_nothing_beside(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"])
    token = house.redeem(asked["device_code"]).json()
    before, after = claims(grant["access_token"]), claims(token["access_token"])
    same = ("sub", "sid", "consent_id", "act", "client_id", "aud")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (token["scope"], after["scope"]) == ("shop:buy", "shop:buy")
    assert "refresh_token" not in token and "id_token" not in token
    assert house.redeem(asked["device_code"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_the_grant_stays_as_it_was(house: House, grant: dict[str, Any], answer: str) -> None:
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"], answer)
    assert house.redeem(asked["device_code"]).json().get("error") == {"approve": None, "deny": "access_denied"}[answer]
    renewed = house.refresh(grant["refresh_token"]).json()
    assert renewed["scope"] == grant["scope"]
    assert renewed["authorization_details"] == grant["authorization_details"]
    assert house.introspect(grant["access_token"])["active"] is True


def test_its_token_ends_nothing_but_itself(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"])
    token = house.redeem(asked["device_code"]).json()["access_token"]
    assert house.http.post("/oauth2/revoke", data={"token": token, "client_id": "demo-agent"}).status_code == 200
    assert house.introspect(token)["active"] is False
    # No other token of the grant may place the purchase either (RFC 9396 section 9.2).
    told = house.introspect(grant["access_token"])
    assert told["active"] is True and told["authorization_details"] == grant["authorization_details"]
    assert house.refresh(grant["refresh_token"]).status_code == 200


def test_its_code_that_comes_again_ends_nothing_but_itself(house: House, grant: dict[str, Any]) -> None:
    walk = house.authorize(scope="shop:buy", authorization_details=details(house, grant)).sign_in()
    code = walk.decide().told["code"]
    token = house.exchange(code).json()["access_token"]
    assert house.exchange(code).json()["error"] == "invalid_grant"
    assert house.introspect(token)["active"] is False
    assert house.introspect(grant["access_token"])["active"] is True


def test_nobody_approves_for_somebody_elses_agent(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    browser = house.browser()
    browser.consent(asked["user_code"], "grace@example.com")
    assert "approve" not in [value for _, value in browser.forms.form("/device/consent", "decision")["buttons"]]
    assert browser.submit("/device/consent", decision="approve").status_code == 409
    assert house.redeem(asked["device_code"]).json()["error"] == "authorization_pending"


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another client": ({"client_id": "demo-rival"}, {}),
    "another agent": ({}, {"agent": "agent_rival"}),
    "no such grant": ({}, {"session": "session_made_up"}),
    "two scopes": ({"scope": "shop:buy orders:read"}, {}),
    "a scope by which nothing is bought": ({"scope": "orders:read"}, {}),
    "a scope that the grant has not": ({"scope": "audit:read"}, {}),
    "the human's own routes": ({}, {"locations": ["ACCOUNT"]}),
    "a text that hides": ({}, {"mailingAddress": "1 Main St\u202e"}),
    "a text of no width": ({}, {"company": "AC\u200bME"}),
    "a letter that shows nothing": ({}, {"company": "AC\u3164ME"}),
    "a blank of Braille": ({}, {"company": "AC\u2800ME"}),
    "a joiner that shows nothing": ({}, {"company": "AC\u034fME"}),
    "a character that is none": ({}, {"company": "AC\u2065ME"}),
    "marks over the lines above": ({}, {"mailingAddress": "1 Main St" + "\u0301" * 200}),
    "spaces that push the rest out of sight": ({}, {"mailingAddress": "1 Main St" + "\u00a0" * 200 + "c/o Mallory"}),
    "two lines": ({}, {"mailingAddress": "1 Main St\nApproved already"}),
    "no price": ({}, {"price": {"amount": 0, "currency": "USD"}}),
    "another word": ({}, {"note": "x"}),
    "its own yes": ({}, {"approval": "approval_made_up"}),
}


@pytest.mark.parametrize(("values", "changes"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_this_grants_or_cannot_be_read_is_never_asked(
    house: House, grant: dict[str, Any], values: dict[str, Any], changes: dict[str, Any]
) -> None:
    changes = {name: [house.account] if value == ["ACCOUNT"] else value for name, value in changes.items()}
    answer = ask(house, grant, changes=changes, **values)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.parametrize("address", ["東京都　千代田区 1-1", "10 Côte d'Or, 3\u00a0étage", "Thị Nghè, Bình Thạnh"])
def test_what_people_write_is_asked(house: House, grant: dict[str, Any], address: str) -> None:
    assert ask(house, grant, changes={"mailingAddress": address}).status_code == 200


@pytest.mark.parametrize(
    ("values", "changes"), [one for name, one in REFUSED.items() if " text" in f" {name}" or "shows" in name]
)
def test_an_authorization_server_that_reads_no_text_asks_about_it(
    house: House,
    grant: dict[str, Any],
    values: dict[str, Any],
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purchases, "_is_readable", lambda value, most: isinstance(value, str))
    assert ask(house, grant, changes=changes, **values).status_code == 200


def test_a_grant_that_was_revoked_has_nothing_to_approve(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    house.http.post("/oauth2/revoke", data={"token": grant["access_token"], "client_id": "demo-agent"})
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.submit("/device/consent", decision="approve").status_code == 409
    assert ask(house, grant).json()["error"] == "invalid_authorization_details"


def test_an_approval_is_over_after_minutes(house: House, grant: dict[str, Any]) -> None:
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"])
    house.clock.forward(301)
    assert house.redeem(asked["device_code"]).json()["error"] == "invalid_grant"


def test_in_a_browser_the_last_answer_counts(house: House, grant: dict[str, Any]) -> None:
    def walk() -> Any:
        return house.authorize(scope="shop:buy", authorization_details=details(house, grant)).sign_in()

    first, second = (walk().decide().told["code"] for _ in range(2))
    assert house.exchange(first).json()["error"] == "invalid_grant"
    token = house.exchange(second).json()
    assert (token["scope"], claims(token["access_token"])["sid"]) == ("shop:buy", claims(grant["access_token"])["sid"])
    third = walk().decide().told["code"]
    assert walk().decide("deny").told["error"] == "access_denied"
    assert house.exchange(third).json()["error"] == "invalid_grant"
    assert house.refresh(grant["refresh_token"]).status_code == 200


def test_a_page_that_says_another_amount_is_noticed_by_who_reads_it(
    house: House, grant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample human tells the agent what the page said, and the agent holds it against the token."""

    def matches() -> bool:
        asked = ask(house, grant).json()
        page = SampleHuman("alice@example.com").decide(f"{house.base}/device", asked["user_code"], True)
        given = house.redeem(asked["device_code"]).json()
        token = read_token_response(
            given, received_at=0.0, issuer=house.base, token_endpoint="", identity=ClientIdentity("demo-agent")
        )
        return consent_matches(page, token, name="Shirt Agent", code=asked["user_code"], account="alice@example.com")

    assert matches()
    monkeypatch.setattr(purchase, "as_text", lambda amount: "5.00")
    assert not matches()


def test_an_authorization_server_that_checks_less_is_found_out(
    house: House, grant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests would see there: the check is what makes the difference."""
    monkeypatch.setattr(consent, "why_not", lambda connection, account, detail: None)
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"], account="grace@example.com")
    assert house.redeem(asked["device_code"]).status_code == 200
    monkeypatch.setattr(grants, "details_of", lambda session, *_: list(session.authorization_details))
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"])
    assert len(house.redeem(asked["device_code"]).json()["authorization_details"]) == 1


def test_an_approval_is_not_handed_on(house: House, grant: dict[str, Any]) -> None:
    """A sub-agent's token is made from its parent's: from one for a single purchase it would be for all."""
    asked = ask(house, grant).json()
    house.browser().decide(asked["user_code"])
    token = house.redeem(asked["device_code"]).json()["access_token"]
    for subject, status in ((token, 400), (grant["access_token"], 200)):
        answer = house.http.post(
            "/oauth2/token",
            data={
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "client_id": "demo-agent",
                "subject_token": subject,
                "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "actor_token": ProofKey.generate().actor_token(house.base, "Sub"),
                "actor_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "scope": "shop:buy",
                "authorization_details": house.spending(2500),
            },
        )
        assert answer.status_code == status, answer.text
