"""Money in authorization details (RFC 9396), of whichever type: the currency, the bounds, and the error."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error

SHOP_SPENDING = "shop_spending"
"""The type of a limit, which `shop_purchase` is not."""
BUY = "shop:buy"
"""The scope that money goes with."""
CURRENCY = "USD"
"""The shop's currency, with two decimals. Another one would need other decimals on the consent page."""
HIGHEST_AMOUNT = 1_000_000_00
"""Minor units. An amount above it is a slip of the hand."""


class InvalidAuthorizationDetailsError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The authorization details are of no known type or not as that type asks (RFC 9396 section 5)."""

    error = "invalid_authorization_details"


def check_money(value: object, name: str) -> None:
    """Refuse what is no amount of the shop's money.

    Raises:
        InvalidAuthorizationDetailsError: what is wrong with it.
    """
    if not isinstance(value, dict) or set(value) != {"amount", "currency"}:
        raise InvalidAuthorizationDetailsError(f"{name} has amount and currency")
    amount = value["amount"]
    # bool is an int in Python, and not an amount anywhere.
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= HIGHEST_AMOUNT:
        raise InvalidAuthorizationDetailsError(f"amount is a whole number of cents from 1 to {HIGHEST_AMOUNT}")
    if value["currency"] != CURRENCY:
        raise InvalidAuthorizationDetailsError(f"the shop's currency is {CURRENCY}")
