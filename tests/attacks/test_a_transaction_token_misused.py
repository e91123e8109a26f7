"""What is behind the shop takes nothing but a transaction token for exactly that order, now.

draft-ietf-oauth-transaction-tokens-10, security considerations: tokens of outside must not be passed on inside (here
also RFC 9700 section 4.9, MCP's "token passthrough"), and one that was seen must be good for nothing else. Each attack
is made on a warehouse without the check as well, and succeeds there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from demo.warehouse import app, transaction_token
from demo.warehouse.shelves import Shelves
from demo.warehouse.transaction_token import Refused, Trust
from tests.unit.auth_server.conftest import House, clock, house, make_house
from tests.unit.auth_server.handing_on import log_in
from tests.unit.warehouse.behind import Warehouse, transaction, warehouse

__all__ = ["clock", "house", "make_house"]

Attack = Callable[[House, Warehouse], "str | None"]
AGENT = "the agent's own token"


def agents_token(house: House, behind: Warehouse) -> str | None:
    return behind.refusal(log_in(house).token)


def another_amount(house: House, behind: Warehouse) -> str | None:
    return behind.refusal(transaction(house, log_in(house).token), amount=1)


def another_order(house: House, behind: Warehouse) -> str | None:
    """A token that was seen, and used, again for another parcel."""
    token = transaction(house, log_in(house).token)
    assert behind.refusal(token) is None
    return behind.refusal(token, order="order_2")


def another_tool(house: House, behind: Warehouse) -> str | None:
    return behind.refusal(transaction(house, log_in(house).token), tool="refund")


def another_address(house: House, behind: Warehouse) -> str | None:
    return behind.refusal(transaction(house, log_in(house).token), address="2 Side Alley")


def expired(house: House, behind: Warehouse) -> str | None:
    token = transaction(house, log_in(house).token)
    house.clock.forward(32)
    return behind.refusal(token)


ATTACKS: dict[str, tuple[Attack, str]] = {
    AGENT: (agents_token, "type"),
    "another amount": (another_amount, "details"),
    "another order": (another_order, "details"),
    "another tool": (another_tool, "details"),
    "another address": (another_address, "details"),
    "expired": (expired, "expired"),
}


def without(fault: str) -> Callable[..., str]:
    """The warehouse's judge without the check that says this."""

    def check(header: Mapping[str, Any], claims: Mapping[str, Any], *rest: Any) -> str:
        try:
            return transaction_token.check(header, claims, *rest)
        except Refused as refused:
            if refused.fault != fault:
                raise
            return str(claims.get("txn") or claims["jti"]) + str(rest[-1]["order"])

    return check


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "without the check"])
def test_it_is_not_taken(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakened: bool, name: str
) -> None:
    attack, fault = ATTACKS[name]
    if weakened:
        monkeypatch.setattr(app, "check", without(fault))
    with warehouse(house, tmp_path / "warehouse.sqlite3") as behind:
        assert attack(house, behind) == (None if weakened else fault)


@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "without a memory"])
def test_a_token_that_is_replayed_sends_nothing_twice(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakened: bool
) -> None:
    if weakened:
        monkeypatch.setattr(Shelves, "take", lambda _, parcel: (parcel, True))
    with warehouse(house, tmp_path / "warehouse.sqlite3") as behind:
        token = transaction(house, log_in(house).token)
        sent = [behind.take(token).json()["taken"] for _ in range(3)]
    assert sent.count(True) == (3 if weakened else 1)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [({"aud": "ANOTHER"}, "audience"), ({"iss": "https://evil.example"}, "issuer"), ({"scope": "refund"}, "purpose")],
)
@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "without the check"])
def test_a_token_of_the_right_key_for_something_else(weakened: bool, changed: dict[str, str], fault: str) -> None:
    """Signed by the authorization server itself, for another audience or purpose."""
    trust, order = Trust("https://as.example", "inside"), dict.fromkeys(transaction_token.BOUND, "x")
    claims = {"iss": trust.issuer, "aud": trust.audience, "iat": 0, "exp": 30, "txn": "x", "scope": "order.ship"}
    claims |= {"tctx": order, **changed}
    judge = without(fault) if weakened else transaction_token.check
    if weakened:
        assert judge({"typ": "txntoken+jwt"}, claims, trust, 1.0, order)
    else:
        with pytest.raises(Refused, match=fault):
            judge({"typ": "txntoken+jwt"}, claims, trust, 1.0, order)
