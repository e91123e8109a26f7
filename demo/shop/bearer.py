"""What the token of a request says: RFC 6750 and RFC 9449 for carrying it, RFC 7515 and RFC 9068 for reading it.

Only the signature is judged here, since without it nothing else may be believed. Whether the claims are good
enough is the policy's to decide.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc import jws
from joserfc.errors import JoseError

from demo.proofs import Received, sent
from demo.shop import approval
from demo.shop.catalog import LIMITS, SPENDING_ACTION, SPENDING_TYPE
from demo.shop.config import ShopConfig
from demo.shop.discovery import AuthServer
from demo.shop.facts import TokenFacts
from demo.shop.signatures import Signed
from deputize.access_tokens import type_of
from deputize.evidence import Money

ALGORITHMS: Final = ("ES256", "RS256")
"""Never `none`, never a symmetric one (RFC 8725 section 3.1)."""

MOST_ACTORS: Final = 8
"""Agents in a row that a token may name; ours go three deep."""

_CREDENTIALS: Final = re.compile(r"(bearer|dpop)(?:[ ]+(.*))?", re.IGNORECASE | re.DOTALL)
_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Presented:
    """What a request presents.

    Args:
        token: None where there is none, empty where it is unreadable (two Authorization headers, or nothing after the
            scheme).
        scheme: by which it came.
        received: what a proof of its key is about.
    """

    token: str | None
    scheme: Literal["Bearer", "DPoP"]
    received: Received


def presented(headers: Iterable[tuple[bytes, bytes]], *, method: str, path: str, config: ShopConfig) -> Presented:
    """What an ASGI request presents, with the URL that it came by (RFC 9449 section 4.3, item 9)."""
    found: dict[bytes, list[str]] = {b"authorization": [], b"dpop": [], b"host": []}
    for name, value in headers:
        if (lower := name.lower()) in found:
            found[lower].append(value.decode("latin-1").strip())
    given = found[b"authorization"]
    received = Received(sent(found[b"dpop"]), method, (config.origin("".join(found[b"host"][:1])) + path,))
    if len(given) > 1:
        return Presented("", "Bearer", received)
    match = _CREDENTIALS.fullmatch(given[0]) if given else None
    if match is None:
        return Presented(None, "Bearer", received)
    return Presented(match[2] or "", "Bearer" if match[1].lower() == "bearer" else "DPoP", received)


async def read(
    token: str | None, auth_server: AuthServer, *, resource: str, currency: str, aliases: Collection[str] = ()
) -> TokenFacts:
    """Verify a token's signature against the authorization server's keys and give what it says.

    Args:
        token: as `presented` gave it.
        resource: whose spending limit to look for, where the token limits one to certain locations.
        aliases: other names of the same resource.
        currency: the only one that a spending limit counts in.

    Raises:
        AuthServerUnavailable: the authorization server's keys cannot be read.
    """
    if token is None:
        return TokenFacts(fault="missing")
    if len(token) > LIMITS.token_characters or not _COMPACT_JWS.fullmatch(token):
        return TokenFacts(fault="malformed")
    signed = auth_server.signatures.find(token)
    # A key that is another now, or none any more, has signed nothing that counts.
    if signed is None or await auth_server.key(signed.kid) is not signed.key:
        verified = await _verify(token, auth_server)
        if isinstance(verified, TokenFacts):
            return verified
        signed = verified
        auth_server.signatures.keep(token, signed)
    auth_server.used_at = time.monotonic()
    asked = (resource, currency, frozenset(aliases))
    if asked not in signed.told:
        signed.told[asked] = facts(signed.header, signed.claims, resource=resource, currency=currency, aliases=aliases)
    return signed.told[asked]


async def _verify(token: str, auth_server: AuthServer) -> Signed | TokenFacts:
    """What was signed, or why it was not.

    Raises:
        AuthServerUnavailable: as `read`.
    """
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError):
        return TokenFacts(fault="malformed")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        return TokenFacts(fault="signature", detail="algorithm")
    if kid is not None and not isinstance(kid, str):
        return TokenFacts(fault="signature", detail="key")
    key = await auth_server.key(kid)
    if key is None:
        return TokenFacts(fault="signature", detail="key")
    try:
        payload = jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload
    except (JoseError, ValueError):
        return TokenFacts(fault="signature")
    try:
        claims = json.loads(payload or b"")
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        return TokenFacts(fault="malformed", detail="claims")
    return Signed(kid, key, header, claims)


def facts(
    header: dict[str, Any],
    claims: dict[str, Any],
    *,
    resource: str,
    currency: str,
    aliases: Collection[str] = (),
) -> TokenFacts:
    """Claims that a good signature stands behind, as facts; a required one that is missing or of a wrong kind
    (RFC 9068 section 2.2) makes the token malformed."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    expires_at, not_before = claims.get("exp"), claims.get("nbf")
    chain = _chain(claims.get("act"))
    if (
        chain is None
        or not text(claims.get("iss"))
        or not text(claims.get("sub"))
        or not _is_time(expires_at)
        or not (not_before is None or _is_time(not_before))
        or not (audiences is None or (isinstance(audiences, list) and all(isinstance(one, str) for one in audiences)))
    ):
        return TokenFacts(fault="malformed", detail="claim")
    scope, confirmation = claims.get("scope"), claims.get("cnf")
    return TokenFacts(
        type=type_of(header, claims),
        issuer=str(claims["iss"]),
        audience=tuple(audiences or ()),
        expires_at=float(claims["exp"]),
        not_before=None if not_before is None else float(claims["nbf"]),
        user=str(claims["sub"]),
        chain=chain,
        client=text(claims.get("client_id")),
        session=text(claims.get("sid")),
        consent=text(claims.get("consent_id")),
        organization=text(claims.get("org_id")),
        token_id=text(claims.get("jti")),
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        spending_limits=spending_limits(
            claims.get("authorization_details"), chain, resource=resource, currency=currency, aliases=aliases
        ),
        approval=_one_purchase(approval.read(claims.get("authorization_details"))),
        key=None if confirmation is None else (text(_of(confirmation, "jkt")) or ""),
    )


def _chain(actor: Any) -> tuple[str, ...] | None:
    """Who acts, then each above it (RFC 8693 section 4.1). None of what cannot be read: who is above must not be
    lost."""
    found: list[str] = []
    while actor is not None and len(found) < MOST_ACTORS:
        name = text(_of(actor, "sub"))
        if name is None:
            return None if found else ()
        found.append(name)
        actor = actor.get("act")
    return None if actor is not None or len(set(found)) < len(found) else tuple(found)


def spending_limits(
    details: Any, chain: tuple[str, ...], *, resource: str, currency: str, aliases: Collection[str] = ()
) -> tuple[tuple[str | None, Money], ...]:
    """The spending limits that a token's `authorization_details` grant here (RFC 9396); empty: nothing may be spent.

    All of them hold, of several that count the same the smallest; one that cannot be understood grants nothing at all,
    rather than leaving the others to stand for more than the human may have meant.

    Args:
        chain: who acts, of whom `spent_by` names one.
    """
    limits: dict[str | None, int] = {}
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, dict) or detail.get("type") != SPENDING_TYPE:
            continue
        limit = detail.get("limit")
        locations = [resource] if detail.get("locations") is None else detail["locations"]
        actions = detail.get("actions")
        if not isinstance(limit, dict) or not isinstance(locations, list) or not isinstance(actions, list):
            return ()
        if not any(one in locations for one in (resource, *aliases)) or SPENDING_ACTION not in actions:
            continue
        amount, by = limit.get("amount"), detail.get("spent_by")
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0 or limit.get("currency") != currency:
            return ()
        # By the one that was consented to, all that the consent is good for is spent.
        if by is not None and by not in chain[:-1]:
            return ()
        limits[by] = min(amount, limits.get(by, amount))
    if limits and None not in limits:
        limits[None] = max(limits.values())
    return tuple((by, Money(amount, currency)) for by, amount in limits.items())


def _one_purchase(approvals: tuple[approval.Approval, ...]) -> approval.Approval | None:
    """The one that a token was granted for. Several cannot be meant, and count as one that is of no purchase."""
    return approvals[0] if len(approvals) == 1 else approval.Approval() if approvals else None


def _of(value: Any, name: str) -> Any:
    """A member of an object; None of anything else."""
    return value.get(name) if isinstance(value, dict) else None


def text(value: Any) -> str | None:
    """A text with something in it; None for any other value."""
    return value if isinstance(value, str) and value else None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
