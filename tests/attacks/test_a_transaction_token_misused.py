"""What is behind the shop takes nothing but a transaction token for exactly that order, now.

draft-ietf-oauth-transaction-tokens-10, security considerations: tokens of outside must not be passed on inside (here
also RFC 9700 section 4.9, MCP's "token passthrough"), and one that was seen must be good for nothing else. Each attack
is made on a warehouse without the check as well, and succeeds there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

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


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


OWN = ECKey.generate_key("P-256")
FORGED: dict[str, dict[str, Any]] = {
    "unsigned": {},
    "no algorithm": {"alg": "none"},
    "a public key as a secret": {"alg": "HS256"},
    "its own key": {"jwk": OWN.as_dict(private=False)},
    "a key at its own address": {"jku": "http://127.0.0.1:9/jwks", "x5u": "http://127.0.0.1:9/x"},
    "a key that is not named": {"kid": None},
    "a name that is no text": {"kid": ["x"]},
    "an unknown extension": {"crit": ["exp"], "exp": 1},
}


def forged(house: House, header: Mapping[str, Any]) -> str:
    """A transaction token with another header, signed as that says by who is not the authorization server."""
    before, body, _ = transaction(house, log_in(house).token).split(".")
    told = json.loads(base64.urlsafe_b64decode(before + "=="))
    given = {name: value for name, value in {**told, **header}.items() if value is not None}
    signed = f"{encoded(json.dumps(given).encode())}.{body}"
    if not header or given["alg"] == "none":
        return f"{signed}."
    if given["alg"] == "HS256":
        public = json.dumps(house.http.get("/oauth2/jwks").json()["keys"][0]).encode()
        return f"{signed}.{encoded(hmac.digest(public, signed.encode(), hashlib.sha256))}"
    r, s = decode_dss_signature(OWN.private_key.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_the_authorization_server_did_not_sign_is_not_taken(
    house: House, tmp_path: Path, name: str
) -> None:
    """RFC 8725 sections 2.1, 2.2 and 3.1: a header may say anything of the key that is to verify it."""
    with warehouse(house, tmp_path / "warehouse.sqlite3") as behind:
        assert behind.refusal(forged(house, FORGED[name])) == "signature"


def test_a_warehouse_that_goes_by_the_header_takes_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def own(keys: app._Keys, kid: object) -> ECKey:
        return OWN

    monkeypatch.setattr(app._Keys, "of", own)
    with warehouse(house, tmp_path / "warehouse.sqlite3") as behind:
        assert behind.refusal(forged(house, FORGED["its own key"])) is None
