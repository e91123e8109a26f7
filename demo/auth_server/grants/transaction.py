"""A transaction token: an agent's access token, as the shop was shown it, for one that is good for one purchase and for
the services behind the shop alone (draft-ietf-oauth-transaction-tokens-10, a profile of RFC 8693).

So the agent's token goes no further than the shop. What comes behind it learns who bought, through whom, what and for
how much, for half a minute, and can do nothing else by it.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError

from ..context import Context
from ..requests import FormRequest
from ..state.store import new_id
from .money import BUY
from .resources import InvalidTargetError, shops
from .server import OAuthServer
from .subject_token import SubjectToken

TXN_TOKEN: Final = "urn:ietf:params:oauth:token-type:txn_token"
TYPE: Final = "txntoken+jwt"
"""Its `typ`: so that nobody takes one for an access token, or the other way round (RFC 8725 section 3.11)."""
SECONDS: Final = 30
"""Its life: a call and its retries, on a busy machine."""
PURPOSE: Final = "order.ship"
"""The one scope there is: to send what was ordered."""
DETAILS: Final = {"order": str, "tool": str, "amount": int, "currency": str, "parcel": str}
"""What it is bound to, which the shop names as `request_details`; `amount` in minor units, `parcel` a digest of what is
sent and of its address, which is not for everybody who sees the token."""


def trust_domain(context: Context) -> str:
    """The audience of transaction tokens: the services behind the shop, which no access token is for."""
    return f"{context.issuer}/internal"


def for_one_purchase(server: OAuthServer, request: FormRequest, subject: SubjectToken) -> dict[str, Any]:
    """The response with a transaction token.

    Raises:
        InvalidTargetError: another trust domain, or a subject token that is for no shop.
        InvalidScopeError: another purpose, or a subject token that does not permit to buy.
        InvalidRequestError: details that are none, or of more than the subject token may spend.
    """
    context, form = server.context, request.form
    if context.canonical(str(subject.claims["aud"])) not in shops(context):
        raise InvalidTargetError("subject_token is for no shop")
    if form.get("audience") != trust_domain(context):
        raise InvalidTargetError(f"audience is {trust_domain(context)}")
    if form.get("scope") != PURPOSE or BUY not in subject.scope:
        raise InvalidScopeError(f"scope is {PURPOSE}, and subject_token has {BUY}")
    details = _details(form.get("request_details", ""))
    limits = [one["limit"]["amount"] for one in subject.limits]
    if not limits or details["amount"] > min(limits):
        raise InvalidRequestError("request_details is of more than subject_token may spend")
    now = int(context.now())
    seconds = min(SECONDS, int(subject.claims["exp"]) - now)
    if seconds < 1:
        raise InvalidRequestError("subject_token has expired")
    claims = {
        "iss": context.issuer,
        "aud": trust_domain(context),
        "iat": now,
        "exp": now + seconds,
        "txn": new_id("txn"),
        "sub": subject.session.sub,
        "scope": PURPOSE,
        "req_wl": request.client.client_id,
        "tctx": details,
        "rctx": {
            "agents": list(subject.through),
            "client_id": subject.claims["client_id"],
            "sid": subject.session.id,
            "consent_id": subject.session.consent_id,
        },
    }
    # RFC 8693 section 2.2.1: it is no access token, and so of no token type.
    return {
        "access_token": context.keys.sign(claims, typ=TYPE),
        "issued_token_type": TXN_TOKEN,
        "token_type": "N_A",
        "expires_in": seconds,
    }


def _details(given: str) -> dict[str, Any]:
    """The details as the draft encodes them: base64url of a JSON object.

    Raises:
        InvalidRequestError: it is none, or has another member than `DETAILS`, or one that cannot be.
    """
    wrong = InvalidRequestError(f"request_details is base64url of a JSON object of: {', '.join(DETAILS)}")
    try:
        found = json.loads(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise wrong from None
    if not isinstance(found, dict) or set(found) != set(DETAILS):
        raise wrong
    if any(type(found[name]) is not kind for name, kind in DETAILS.items()) or found["amount"] < 1:
        raise wrong
    if any(not 0 < len(found[name]) <= 64 for name, kind in DETAILS.items() if kind is str):
        raise wrong
    return found
