"""JWT access tokens (RFC 9068) that say for whom they act (RFC 8693 section 4.1), and ID tokens beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context
from ..state.accounts import Account
from ..state.approvals import Approval
from ..state.sessions import Session
from ..state.store import new_id
from ..state.sub_agents import SubAgent
from .money import SHOP_SPENDING

TYPE = "at+jwt"


def sign_access_token(
    context: Context,
    session: Session,
    *,
    audience: str,
    scope: tuple[str, ...],
    seconds: int,
    key: str | None = None,
    through: Sequence[str] = (),
    details: Sequence[dict[str, Any]] | None = None,
) -> str:
    """An access token in `session` for one audience, for `seconds` from now.

    Args:
        key: the thumbprint of the key that it is bound to (RFC 9449 section 6.1); None for a bearer token.
        through: who acts, and for whom: a sub-agent, then each agent above it; the session's own agent by default.
        details: its authorization details, the session's by default.
    """
    now = int(context.now())
    claims: dict[str, Any] = {
        "iss": context.issuer,
        "sub": session.sub,
        "aud": audience,
        "client_id": session.client_id,
        "sid": session.id,
        "consent_id": session.consent_id,
        "scope": " ".join(scope),
        "jti": new_id("token"),
        "iat": now,
        "exp": now + seconds,
        "auth_time": int(session.auth_time),
    }
    for agent in reversed(through or ([] if session.agent_id is None else [session.agent_id])):
        # Who acts is outermost, and who acted before lies within (RFC 8693 section 4.1).
        claims["act"] = {"sub": agent, **({"act": claims["act"]} if "act" in claims else {})}
    if key is not None:
        claims["cnf"] = {"jkt": key}
    if granted := session.authorization_details if details is None else details:
        claims["authorization_details"] = list(granted)
    return context.keys.sign(claims, typ=TYPE)


def details_of(session: Session, approval: Approval | None, line: Sequence[SubAgent] = ()) -> list[dict[str, Any]]:
    """What a token grants in detail (RFC 9396 section 9.1): the session's limit, and the one purchase that it is for.

    Args:
        line: the sub-agent that is to make the purchase and each above it, whose own limits hold beside.
    """
    if approval is None:
        return [*session.authorization_details]
    own = [
        {
            "type": SHOP_SPENDING,
            "actions": ["buy"],
            "locations": approval.detail["locations"],
            "limit": dict(one.spending_limit),
            "spent_by": one.id,
        }
        for one in line
        if one.spending_limit is not None
    ]
    return [*own, *session.authorization_details, approval.granted]


def bound_to(claims: dict[str, Any]) -> str | None:
    """The thumbprint of the key that an access token is bound to (RFC 9449 section 6.1); None of a bearer token."""
    return claims["cnf"]["jkt"] if "cnf" in claims else None


def actors(claims: dict[str, Any]) -> tuple[str, ...]:
    """The agents that an access token of ours names: who acts, then each that is above it."""
    found: list[str] = []
    act = claims.get("act")
    while isinstance(act, dict):
        found.append(str(act["sub"]))
        act = act.get("act")
    return tuple(found)


def read_access_token(context: Context, token: str) -> dict[str, Any] | None:
    """The claims of an access token that this server issued, expired or not; None for anything else.

    An agent's token of WorkOS's shape, which is signed by the same key, names no client (RFC 9068 section 2.2 demands
    it), and is none that a client was granted here.
    """
    claims = context.keys.read(token, typ=TYPE)
    return claims if claims is not None and claims.get("iss") == context.issuer and "client_id" in claims else None


def sign_id_token(context: Context, session: Session, account: Account, nonce: str | None = None) -> str:
    """What the client may know of the human who signed in (OpenID Connect Core section 2); never good at a resource.

    The `nonce` is the authorization request's, by which the client knows the token for an answer to it.
    """
    now = int(context.now())
    claims: dict[str, Any] = {
        "iss": context.issuer,
        "sub": account.sub,
        "aud": session.client_id,
        "sid": session.id,
        "iat": now,
        "exp": now + context.config.access_token_seconds,
        "auth_time": int(session.auth_time),
        "name": account.name,
        "email": account.email,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return context.keys.sign(claims, typ="JWT")
