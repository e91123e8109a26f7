"""One purchase that a human approved, as an authorization detail (RFC 9396): what a refusal asks for, and what a token
or the authorization server's introspection brings.

It says what is bought and where it goes, and is good for nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from demo.shop.catalog import ITEM_NAME, PURCHASE_TYPE, SPENDING_ACTION
from deputize.evidence import Money


@dataclass(frozen=True)
class Wanted:
    """What a call would buy, and where that goes."""

    size: str
    company: str
    address: str
    price: Money
    item: str = ITEM_NAME


@dataclass(frozen=True)
class Approval:
    """A human's yes to one purchase.

    Args:
        what: None where the detail cannot be understood: then it is good for nothing.
        agent: who may make the purchase.
        until: POSIX seconds.
    """

    id: str = ""
    what: Wanted | None = None
    agent: str | None = None
    until: float = 0.0
    places: frozenset[str] = frozenset()
    """At which shops, by their resource (RFC 9396 section 2.2, `locations`)."""


def asked_for(wanted: Wanted, *, resource: str, session: str | None, agent: str | None) -> dict[str, Any]:
    """The detail that the authorization server is to be asked for: this purchase, by this agent, within the grant that
    `session` belongs to."""
    detail: dict[str, Any] = {
        "type": PURCHASE_TYPE,
        "actions": [SPENDING_ACTION],
        "locations": [resource],
        "session": session,
        "agent": agent,
        "item": wanted.item,
        "size": wanted.size,
        "company": wanted.company,
        "mailingAddress": wanted.address,
        "price": {"amount": wanted.price.amount, "currency": wanted.price.currency},
    }
    return {name: value for name, value in detail.items() if value is not None}


def read(details: Any) -> tuple[Approval, ...]:
    """The approvals among authorization details. One that cannot be understood is there all the same: a token that was
    granted for one purchase must not pass for one that was granted for all."""
    given = details if isinstance(details, list) else []
    return tuple(_read(one) for one in given if isinstance(one, dict) and one.get("type") == PURCHASE_TYPE)


def _read(detail: dict[str, Any]) -> Approval:
    texts = [detail.get(name) for name in ("approval", "agent", "item", "size", "company", "mailingAddress")]
    locations, actions, price, until = (detail.get(name) for name in ("locations", "actions", "price", "until"))
    if (
        not all(isinstance(one, str) and one for one in texts)
        or not isinstance(locations, list)
        or actions != [SPENDING_ACTION]
        or not isinstance(price, dict)
        or not _is_number(price.get("amount"), whole=True)
        or not isinstance(price.get("currency"), str)
        or not _is_number(until)
    ):
        return Approval()
    id, agent, item, size, company, address = map(str, texts)
    money = Money(int(price["amount"]), str(price["currency"]))
    places = frozenset(one for one in locations if isinstance(one, str))
    return Approval(id, Wanted(size, company, address, money, item), agent, float(str(until)), places)


def fitting(
    approvals: Iterable[Approval], wanted: Wanted, agent: str | None, shop: Collection[str]
) -> tuple[Approval, ...]:
    """Those that are a yes to this purchase by this agent here, whenever and used or not; the newest first.

    Args:
        shop: the names of this resource.
    """
    found = [
        one
        for one in approvals
        if one.what == wanted and one.agent is not None and one.agent == agent and not one.places.isdisjoint(shop)
    ]
    return tuple(sorted(found, key=lambda one: -one.until))


def _is_number(value: Any, *, whole: bool = False) -> bool:
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < 1e12
