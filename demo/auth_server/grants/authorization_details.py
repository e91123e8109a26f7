"""Rich authorization requests (RFC 9396): one type, `shop_spending`, the limit up to which an agent may buy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error

from ..clients.client import Client
from ..context import Context
from .resources import served_resources

SHOP_SPENDING = "shop_spending"
CURRENCY = "USD"
"""The shop's currency, with two decimals. Another one would need other decimals on the consent page."""
HIGHEST_AMOUNT = 1_000_000_00
"""Minor units. A limit above it is a slip of the hand, not a limit."""


class InvalidAuthorizationDetailsError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The authorization details are of no known type or not as that type asks (RFC 9396 section 5)."""

    error = "invalid_authorization_details"


def spending_details(context: Context, client: Client, asked: str | None) -> tuple[dict[str, Any], ...]:
    """The `authorization_details` of a client's request, checked; empty when there are none.

    Raises:
        InvalidAuthorizationDetailsError: anything but one well-formed `shop_spending` object. What is not
            understood is refused, never ignored: the human would consent to something else (section 5).
    """
    if asked is None:
        return ()
    if not client.delegated:
        raise InvalidAuthorizationDetailsError("the human's own console spends nothing: log an agent in")
    try:
        details = json.loads(asked)
    except (ValueError, RecursionError) as error:
        raise InvalidAuthorizationDetailsError("authorization_details is not JSON") from error
    if not isinstance(details, list) or len(details) != 1 or not isinstance(details[0], dict):
        raise InvalidAuthorizationDetailsError("authorization_details is an array with one object")
    # Null is absent, as in client metadata: so a client writes RFC 9396's optional fields that it leaves out.
    detail: dict[str, Any] = {name: value for name, value in details[0].items() if value is not None}
    if detail.get("type") != SHOP_SPENDING:
        raise InvalidAuthorizationDetailsError(f"the only type is {SHOP_SPENDING}")
    if set(detail) != {"type", "actions", "locations", "limit"}:
        raise InvalidAuthorizationDetailsError(f"{SHOP_SPENDING} has type, actions, locations and limit")
    if detail["actions"] != ["buy"]:
        raise InvalidAuthorizationDetailsError("actions is one: buy")
    shops = [resource for resource in served_resources(context) if resource != context.account_resource]
    named = detail["locations"]
    if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        detail["locations"] = [context.canonical(named[0])]
    if detail["locations"] not in [[shop] for shop in shops]:
        raise InvalidAuthorizationDetailsError(f"locations is one of: {', '.join(shops)}")
    _check_limit(detail["limit"])
    return (detail,)


def spending_up_to(amount: int, shops: Sequence[str]) -> dict[str, Any]:
    """The detail of a limit that the human wrote: `amount` minor units, at the `shops` that the request is for."""
    limit = {"amount": amount, "currency": CURRENCY}
    return {"type": SHOP_SPENDING, "actions": ["buy"], "locations": list(shops), "limit": limit}


def _check_limit(limit: object) -> None:
    if not isinstance(limit, dict) or set(limit) != {"amount", "currency"}:
        raise InvalidAuthorizationDetailsError("limit has amount and currency")
    amount = limit["amount"]
    # bool is an int in Python, and not an amount anywhere.
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= HIGHEST_AMOUNT:
        raise InvalidAuthorizationDetailsError(f"amount is a whole number of cents from 1 to {HIGHEST_AMOUNT}")
    if limit["currency"] != CURRENCY:
        raise InvalidAuthorizationDetailsError(f"the shop's currency is {CURRENCY}")
