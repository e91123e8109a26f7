"""Rich authorization requests (RFC 9396), of two types: `shop_spending`, the limit up to which an agent may buy, and
`shop_purchase`, one purchase to approve within a grant that stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..clients.client import Client
from ..context import Context
from .money import CURRENCY, SHOP_SPENDING, InvalidAuthorizationDetailsError, check_money
from .purchases import SHOP_PURCHASE, purchase_detail
from .resources import shops

TYPES = (SHOP_SPENDING, SHOP_PURCHASE)


def requested_details(
    context: Context, client: Client, asked: str | None, scope: tuple[str, ...]
) -> tuple[dict[str, Any], ...]:
    """The `authorization_details` of a client's request to a human, checked; empty when there are none.

    Args:
        scope: what the same request asks for.

    Raises:
        InvalidAuthorizationDetailsError: anything but one well-formed object of a known type. What is not understood
            is refused, never ignored: the human would consent to something else (section 5).
    """
    detail = _read(client, asked)
    if detail is not None and detail.get("type") == SHOP_PURCHASE:
        return (purchase_detail(context, client, detail, scope),)
    return () if detail is None else (_spending_detail(context, detail),)


def spending_details(context: Context, client: Client, asked: str | None) -> tuple[dict[str, Any], ...]:
    """The same where no human is asked, and a limit is all that may be named.

    Raises:
        InvalidAuthorizationDetailsError: as `requested_details`.
    """
    detail = _read(client, asked)
    return () if detail is None else (_spending_detail(context, detail),)


def _read(client: Client, asked: str | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    if not client.delegated:
        raise InvalidAuthorizationDetailsError("the human's own console spends nothing: log an agent in")
    try:
        details = json.loads(asked)
    except (ValueError, RecursionError) as error:
        raise InvalidAuthorizationDetailsError("authorization_details is not JSON") from error
    if not isinstance(details, list) or len(details) != 1 or not isinstance(details[0], dict):
        raise InvalidAuthorizationDetailsError("authorization_details is an array with one object")
    # Null is absent, as in client metadata: so a client writes RFC 9396's optional fields that it leaves out.
    return {name: value for name, value in details[0].items() if value is not None}


def _spending_detail(context: Context, detail: dict[str, Any]) -> dict[str, Any]:
    if detail.get("type") != SHOP_SPENDING:
        raise InvalidAuthorizationDetailsError(f"the types are {' and '.join(TYPES)}")
    if set(detail) != {"type", "actions", "locations", "limit"}:
        raise InvalidAuthorizationDetailsError(f"{SHOP_SPENDING} has type, actions, locations and limit")
    if detail["actions"] != ["buy"]:
        raise InvalidAuthorizationDetailsError("actions is one: buy")
    places = shops(context)
    named = detail["locations"]
    if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        detail["locations"] = [context.canonical(named[0])]
    if detail["locations"] not in [[shop] for shop in places]:
        raise InvalidAuthorizationDetailsError(f"locations is one of: {', '.join(places)}")
    check_money(detail["limit"], "limit")
    return detail


def spending_up_to(amount: int, places: Sequence[str]) -> dict[str, Any]:
    """The detail of a limit that the human wrote: `amount` minor units, at the `places` that the request is for."""
    limit = {"amount": amount, "currency": CURRENCY}
    return {"type": SHOP_SPENDING, "actions": ["buy"], "locations": list(places), "limit": limit}
