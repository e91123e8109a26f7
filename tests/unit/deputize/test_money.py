"""An amount is told with the decimals of its currency, to the last digit."""

from __future__ import annotations

import pytest

from demo.auth_server.grants.money import CURRENCY
from demo.shop.catalog import PRICE
from deputize.evidence import Money


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        (2500, "USD", "25.00 USD"),
        (5, "USD", "0.05 USD"),
        (-5, "USD", "-0.05 USD"),
        (2500, "JPY", "2500 JPY"),
        (0, "JPY", "0 JPY"),
        (2500, "KWD", "2.500 KWD"),
        (25, "CLF", "0.0025 CLF"),
        (10**400 + 1, "USD", f"1{'0' * 398}.01 USD"),
    ],
    ids=str,
)
def test_minor_units_are_those_of_iso_4217(amount: int, currency: str, told: str) -> None:
    assert str(Money(amount, currency)) == told


def test_the_shop_sells_in_the_currency_that_humans_consent_in() -> None:
    """The consent page and the Worker write two decimals, and words for dollars: another currency is refused."""
    assert PRICE.currency == CURRENCY == "USD"
    assert str(Money(1, CURRENCY)) == f"0.01 {CURRENCY}"
