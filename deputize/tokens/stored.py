"""Tokens as the agent keeps them, and what may be read out of a token response (RFC 6749 section 5.1)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

from deputize.evidence import Holder, Money
from deputize.http.errors import CHECK_SERVER, OAuthRefused
from deputize.http.redaction import mask_token
from deputize.http.sanitizing import safe_data, safe_text
from deputize.tokens.identity import ClientIdentity

DEFAULT_SECONDS = 300.0
"""Life assumed of a renewable access token whose response tells none (RFC 6749 section 5.1 leaves it to the client)."""

LONGEST = 366 * 86400.0
"""Seconds to which a longer lifetime is cut."""

SPENDING = "shop_spending"
"""The `type` of the shop's authorization details (RFC 9396 section 2)."""

_BEARER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Secret:
    """A raw token that must not be shown by accident."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return mask_token(self.value)


@dataclass(frozen=True)
class StoredToken:
    """An access token with what it takes to use and renew it. `repr` masks the secrets.

    `expires_at` is in POSIX seconds by our own clock: the moment of receipt plus `expires_in`, so that a server
    with a wrong clock does not matter.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float
    scope: tuple[str, ...]
    issuer: str
    token_endpoint: str
    client_id: str
    resource: str | None = None
    authorization_details: tuple[dict[str, Any], ...] = ()
    identity: ClientIdentity | None = field(default=None, repr=False)
    """What renews it, where that takes more than the client's name."""
    dpop_key: str | None = field(default=None, repr=False)
    """The private key that it is bound to (RFC 9449), None for a bearer token."""
    downgraded: bool = False
    """Whether a proof of a key was answered with a bearer token, where both servers take part in DPoP."""
    human: tuple[str, ...] = ()
    """By which names its issuer knows who said yes, as the ID token beside it told: email address, `sub`. Empty where
    there was none."""
    handed_on_by: str | None = None
    """In which slot the token is that it was made from (RFC 8693), and will be again; None of one that a human's yes
    or the client's own credentials stand behind."""
    end_told: bool = True
    """Whether the token response told when it ends; else `expires_at` is a guess of ours, and shown to nobody."""

    def __str__(self) -> str:
        return f"{mask_token(self.access_token)} for {self.resource or 'no resource'}"

    @property
    def human_address(self) -> str | None:
        """The email address of who said yes; None where no ID token told it."""
        return next((name for name in self.human if "@" in name), None)

    @property
    def holder(self) -> Holder:
        """Who can use it."""
        return "key" if self.dpop_key is not None else "downgraded" if self.downgraded else "anyone"

    @property
    def client(self) -> ClientIdentity:
        """Who it was issued to, and is renewed and revoked by: shown to its own issuer and to nobody else."""
        return self.identity or ClientIdentity(self.client_id, issuer=self.issuer)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        own = (self.access_token, self.refresh_token, self.dpop_key)
        return (*(one for one in own if one), *self.client.secrets())

    @property
    def spending_limit(self) -> Money | None:
        """The limit in `authorization_details`, if any."""
        return spending_limit(self.authorization_details)

    def to_json(self) -> str:
        """For the store."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return json.dumps(kept | {"identity": self.identity.to_json() if self.identity else None})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from the store.

        Raises:
            ValueError: it is not what `to_json` wrote.
        """
        try:
            given = json.loads(text)
            known = {f.name: given[f.name] for f in fields(cls) if f.name in given or f.default is MISSING}
            known["scope"] = tuple(known["scope"])
            known["authorization_details"] = tuple(known["authorization_details"])
            known["expires_at"] = float(known["expires_at"])
            known["human"] = tuple(known.get("human", ()))
            known["downgraded"] = known.get("downgraded") is True
            if known.get("identity") is not None:
                known["identity"] = ClientIdentity.from_json(known["identity"])
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"not a stored token: {error}") from None
        texts = [
            *(known[name] for name in ("access_token", "issuer", "token_endpoint", "client_id")),
            *known["scope"],
            *known["human"],
        ]
        maybe = [known.get(name) for name in ("refresh_token", "resource", "dpop_key", "handed_on_by")]
        if not all(isinstance(text, str) for text in texts + [text for text in maybe if text is not None]):
            raise ValueError("not a stored token: a text is missing")
        return cls(**known)


def number(value: Any) -> float | None:
    """A JSON number as a float; None for anything else, NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def duration(value: Any) -> float | None:
    """Seconds as a number; some servers quote it. None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return float(value)
    return number(value)


def spending_detail(limit: Money, resource: str) -> dict[str, Any]:
    """An authorization detail that asks for a spending limit at `resource` (RFC 9396 section 2)."""
    money = {"amount": limit.amount, "currency": limit.currency}
    return {"type": SPENDING, "actions": ["buy"], "locations": [resource], "limit": money}


def money(value: Any) -> Money | None:
    """`{"amount": int, "currency": str}` as money, None for anything else."""
    if not isinstance(value, dict):
        return None
    amount, currency = value.get("amount"), value.get("currency")
    if isinstance(amount, bool) or not isinstance(amount, int) or not isinstance(currency, str):
        return None
    return Money(amount, safe_text(currency, one_line=True)[:3])


def spending_limit(details: Iterable[Any]) -> Money | None:
    """The first spending limit among authorization details, None where there is none."""
    for detail in details:
        if isinstance(detail, dict) and detail.get("type") == SPENDING and (found := money(detail.get("limit"))):
            return found
    return None


def read_token_response(
    given: dict[str, Any], *, received_at: float, asked: StoredToken | None = None, **known: Any
) -> StoredToken:
    """A token response as a `StoredToken`.

    Args:
        given: the response's JSON.
        received_at: when it came, POSIX seconds, by our clock.
        asked: the token it renews: what the response leaves out stays as it was (RFC 6749 section 6).
        known: `issuer`, `token_endpoint`, `identity`, `resource` and the `scope` asked for, for a first token;
            `dpop_key` where a proof went with the request, `human` where an ID token came.

    Raises:
        OAuthRefused: it holds no token that this client can use.
    """
    access = given.get("access_token")
    kind = given.get("token_type")
    if not isinstance(access, str) or not _BEARER.fullmatch(access):
        raise _unusable("it holds no access token")
    key: str | None = known.get("dpop_key") or (asked.dpop_key if asked else None)
    if not isinstance(kind, str) or kind.lower() not in (("bearer", "dpop") if key else ("bearer",)):
        # A client must not use a token whose type it does not understand (RFC 6749 section 7.1).
        raise _unusable(f"its token_type is {safe_text(str(kind), one_line=True)}, not Bearer")
    identity: ClientIdentity = asked.client if asked else known["identity"]
    lasts = duration(given.get("expires_in"))
    told = lasts is not None
    scope = given.get("scope")
    refresh = given.get("refresh_token")
    if lasts is None:
        # One that tells no end and comes with nothing to renew it is meant to last, until the server refuses it.
        renewable = bool(refresh) or (asked is not None and asked.refresh_token is not None)
        lasts = DEFAULT_SECONDS if renewable else LONGEST
    lasts = min(max(lasts, 0.0), LONGEST)
    details = given.get("authorization_details")
    return StoredToken(
        issuer=asked.issuer if asked else known["issuer"],
        token_endpoint=asked.token_endpoint if asked else known["token_endpoint"],
        client_id=identity.client_id,
        identity=identity,
        # An authorization server may answer a proof with a bearer token (RFC 9449 section 5): then no key goes with it.
        dpop_key=key if kind.lower() == "dpop" else None,
        downgraded=key is not None and kind.lower() != "dpop",
        resource=known.get("resource") or (asked.resource if asked else None),
        access_token=access,
        human=known.get("human") or (asked.human if asked else ()),
        end_told=told,
        refresh_token=refresh if isinstance(refresh, str) and refresh else (asked.refresh_token if asked else None),
        expires_at=received_at + lasts,
        scope=scope_list(scope)
        if isinstance(scope, str)
        else (asked.scope if asked else tuple(known.get("scope", ()))),
        authorization_details=tuple(item for item in safe_data(details) if isinstance(item, dict))
        if isinstance(details, list)
        else (asked.authorization_details if asked else ()),
    )


def scope_list(text: str) -> tuple[str, ...]:
    """The scopes that a `scope` names (RFC 6749 section 3.3), safe to show; some servers put commas between them."""
    text = safe_text(text, one_line=True)
    return tuple(filter(None, text.split(",") if "," in text and " " not in text else text.split()))


def _unusable(why: str) -> OAuthRefused:
    return OAuthRefused(
        "the authorization server's token response cannot be used",
        oauth_error="unsupported",
        why=why,
        do="check the server's URL: its authorization server has to issue bearer tokens",
        remedy=CHECK_SERVER,
    )
