"""JWT access tokens (RFC 9068) that say for whom they act (RFC 8693 section 4.1), and ID tokens beside them."""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..state.accounts import Account
from ..state.sessions import Session
from ..state.store import new_id

TYPE = "at+jwt"


def sign_access_token(
    context: Context,
    session: Session,
    *,
    audience: str,
    scope: tuple[str, ...],
    seconds: int,
    key: str | None = None,
) -> str:
    """An access token in `session` for one audience, for `seconds` from now.

    Args:
        key: the thumbprint of the key that it is bound to (RFC 9449 section 6.1); None for a bearer token.
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
    if session.agent_id is not None:
        claims["act"] = {"sub": session.agent_id}
    if key is not None:
        claims["cnf"] = {"jkt": key}
    if session.authorization_details:
        claims["authorization_details"] = list(session.authorization_details)
    return context.keys.sign(claims, typ=TYPE)


def bound_to(claims: dict[str, Any]) -> str | None:
    """The thumbprint of the key that an access token is bound to (RFC 9449 section 6.1); None of a bearer token."""
    return claims["cnf"]["jkt"] if "cnf" in claims else None


def read_access_token(context: Context, token: str) -> dict[str, Any] | None:
    """The claims of an access token that this server issued, expired or not; None for anything else."""
    claims = context.keys.read(token, typ=TYPE)
    return claims if claims is not None and claims.get("iss") == context.issuer else None


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
