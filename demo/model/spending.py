"""What one run of a model may spend: its own bound, beside the limit that a human granted and that the shop holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deputize.evidence import Money


class Budget:
    """What a run has spent, held to what it may spend.

    Args:
        most: what all its purchases together may come to; None for no bound of its own.
    """

    def __init__(self, most: Money | None) -> None:
        self._most = most
        self.spent: Money | None = None
        """What the purchases came to; None where nothing was bought."""
        self._price: Money | None = None

    def saw(self, structured: Mapping[str, Any] | None) -> None:
        """Remember the highest price, where an answer lists what is sold."""
        self._price = _highest(structured) or self._price

    def unpriced(self) -> str:
        """Why nothing can be bought yet: what it costs is not known. Empty where it is, or where there is no bound."""
        most = self._most
        if most is None or (self._price is not None and self._price.currency == most.currency):
            return ""
        return f"no price in {most.currency} was seen, and this run may spend {most}: list what is sold first"

    def too_much(self) -> str:
        """Why another purchase may go beyond the bound; empty where it does not."""
        most = self._most
        if most is None or self._price is None:
            return ""
        spent = Money(self._spent_in(most.currency), most.currency)
        if spent.amount + self._price.amount <= most.amount:
            return ""
        return f"another purchase of at least {self._price} goes beyond {most} in one run ({spent} spent)"

    def paid(self, price: Money | None) -> str:
        """Count a purchase: at its price; or, where that is not told and there is a bound, at no less than was listed.

        Returns:
            Why it cannot be counted up to the bound; empty where it was counted.
        """
        most = self._most
        if price is None:
            if most is None:
                return ""
            price = self._price or most
        if most is not None and (price.currency != most.currency or price.amount < 0):
            return f"an order was made for {price}, which nobody can count up to {most}"
        self.spent = Money(self._spent_in(price.currency) + price.amount, price.currency)
        return ""

    def _spent_in(self, currency: str) -> int:
        return self.spent.amount if self.spent is not None and self.spent.currency == currency else 0


def _highest(structured: Mapping[str, Any] | None) -> Money | None:
    """The highest price in a list of things that are sold, in the shop's own form."""
    items = (structured or {}).get("items")
    found = [
        Money(price["amount"], price["currency"])
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
        and isinstance(price := item.get("price"), dict)
        and type(price.get("amount")) is int
        and isinstance(price.get("currency"), str)
    ]
    return max(found, key=lambda one: one.amount, default=None)
