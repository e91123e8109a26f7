"""A transaction token, judged (draft-ietf-oauth-transaction-tokens-10 section 3): pure, on a verified signature."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TYPE: Final = "txntoken+jwt"
PURPOSE: Final = "order.ship"
LONGEST_LIFE: Final = 60
"""Seconds: one that lives longer was not made for one call."""


BOUND: Final = ("order", "tool", "amount", "currency", "parcel")
"""What of an order the token has to say too."""


class Refused(Exception):
    """A token is not good: missing, signature, type, issuer, audience, expired, purpose, details, used."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class Trust:
    """Whom the warehouse believes, and as whom it is spoken to.

    Args:
        issuer: the authorization server.
        audience: the trust domain.
        leeway: seconds by which the clocks may differ.
    """

    issuer: str
    audience: str
    leeway: int = 1


def parcel(order: Mapping[str, Any]) -> str:
    """What is sent and whereto, as a token names it, which many may read: SHA-256, in hexadecimal, of the JSON array of
    size, company and address (ASCII, without spaces)."""
    what = [order[name] for name in ("size", "company", "address")]
    return hashlib.sha256(json.dumps(what, separators=(",", ":")).encode()).hexdigest()


def check(
    header: Mapping[str, Any], claims: Mapping[str, Any], trust: Trust, now: float, order: Mapping[str, Any]
) -> str:
    """The transaction's id, where the token is good for this order now.

    Args:
        order: what the request asks for; each of `BOUND` the token has to say too.

    Raises:
        Refused: it is not.
    """
    if header.get("typ") != TYPE:
        raise Refused("type")
    if claims.get("iss") != trust.issuer:
        raise Refused("issuer")
    if claims.get("aud") != trust.audience:
        raise Refused("audience")
    begins, ends = claims.get("iat"), claims.get("exp")
    if type(begins) is not int or type(ends) is not int or not 0 < ends - begins <= LONGEST_LIFE:
        raise Refused("expired")
    if not begins - trust.leeway <= now < ends + trust.leeway:
        raise Refused("expired")
    txn = claims.get("txn")
    if claims.get("scope") != PURPOSE or not isinstance(txn, str):
        raise Refused("purpose")
    details = claims.get("tctx")
    if not isinstance(details, dict) or any(
        type(details.get(name)) is not type(order[name]) or details[name] != order[name] for name in BOUND
    ):
        raise Refused("details")
    return txn
