"""What a consent page said against what was granted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo.client.human.consent_page import ConsentPage
from deputize import StoredToken
from talk.stage.login import consent_matches

PAGE = ConsentPage("Shirt Agent", "BCDF-GHJK", "alice@example.com", ("shop:read", "shop:buy"), "60.00 USD")
LIMIT = {"type": "shop_spending", "limit": {"amount": 6000, "currency": "USD"}}
TOKEN = StoredToken(
    access_token="a",
    refresh_token=None,
    expires_at=0.0,
    scope=("shop:buy", "shop:read"),
    issuer="http://127.0.0.1:1",
    token_endpoint="http://127.0.0.1:1/token",
    client_id="demo-agent",
    authorization_details=(LIMIT,),
)


def matches(page: ConsentPage, token: StoredToken = TOKEN) -> bool:
    return consent_matches(page, token, name="Shirt Agent", code="BCDF-GHJK", account="alice@example.com")


def test_a_page_that_said_what_was_granted_matches() -> None:
    assert matches(PAGE)


@pytest.mark.parametrize(
    "page",
    [
        replace(PAGE, client_name="Another Agent"),
        replace(PAGE, user_code="WXYZ-WXYZ"),
        replace(PAGE, account="grace@example.com"),
        replace(PAGE, scopes=("shop:read",)),
        replace(PAGE, scopes=("shop:read", "shop:buy", "user:read")),
        replace(PAGE, limit=None),
        replace(PAGE, limit="6.00 USD"),
    ],
)
def test_a_page_that_hid_or_added_something_does_not(page: ConsentPage) -> None:
    assert not matches(page)


def test_a_grant_without_a_limit_is_not_what_a_page_with_one_said() -> None:
    assert not matches(PAGE, replace(TOKEN, authorization_details=()))
    assert matches(replace(PAGE, limit=None), replace(TOKEN, authorization_details=()))
