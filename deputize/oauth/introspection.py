"""What can be known of an opaque token: its issuer alone can read it, and is asked (RFC 7662, OpenID Connect)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deputize.errors import ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Claim, TokenView
from deputize.http.connection import Connection
from deputize.http.errors import OAuthRefused
from deputize.http.fetch import fetch
from deputize.http.sanitizing import safe_data, safe_text
from deputize.oauth import token_endpoint
from deputize.tokens.claim_meanings import meaning
from deputize.tokens.stored import StoredToken, number, scope_list

if TYPE_CHECKING:
    import httpx2

MOST = 30
"""Claims that are taken over from an answer."""


def ask(
    connection: Connection, metadata: AuthorizationServerMetadata, token: StoredToken, seen: TokenView
) -> TokenView:
    """A view of an opaque token with what its authorization server says of it now.

    Args:
        seen: what the token response told.
    """
    told = _introspected(connection, metadata, token)
    where = metadata.introspection_endpoint
    active = told.get("active") if told is not None else None
    if told is None and (told := _userinfo(connection, metadata, token)) is not None:
        where = metadata.userinfo_endpoint
    if told is None:
        return seen
    kind = "introspection" if where == metadata.introspection_endpoint else "userinfo"
    asked = f"{kind}, {where}"
    fresh = [
        Claim(safe_text(name, one_line=True), _shown(value), meaning(name), True, asked)
        for name, value in list(told.items())[:MOST]
        if name != "active"
    ]
    names = {claim.name for claim in fresh}
    problems = seen.problems
    if active is False:
        problems = (*problems, "its authorization server says that it is not active (RFC 7662 section 2.2)")
    scope, ends = told.get("scope"), number(told.get("exp"))
    return replace(
        seen,
        claims=(*fresh, *(claim for claim in seen.claims if claim.name not in names)),
        problems=problems,
        told_by=asked,
        active=active if isinstance(active, bool) else None,
        scopes=scope_list(scope) if isinstance(scope, str) else seen.scopes,
        expires_at=ends if ends is not None else seen.expires_at,
    )


def active(connection: Connection, metadata: AuthorizationServerMetadata, token: StoredToken) -> bool | None:
    """Whether its authorization server says that a token is active (RFC 7662 section 2.2); None where it does not say,
    or not to this client."""
    told = _introspected(connection, metadata, token)
    return None if told is None else told["active"] is True


async def userinfo(client: httpx2.AsyncClient, token: StoredToken, endpoint: str, *, server: str) -> dict[str, Any]:
    """Who the human is (OpenID Connect Core section 5.3).

    Raises:
        OAuthRefused: the token does not open it.
    """
    from deputize.oauth.token_auth import presented  # it loads the HTTP library

    answer = await fetch(client, "GET", endpoint, server=server, auth=presented(token))
    if not answer.granted or answer.json is None:
        raise token_endpoint.refused(
            answer, "the authorization server does not say who the human is", "log in with the scope openid"
        )
    found: dict[str, Any] = safe_data(answer.json)
    return found


def _introspected(
    connection: Connection, metadata: AuthorizationServerMetadata, token: StoredToken
) -> dict[str, Any] | None:
    """RFC 7662 section 2; None where it is not offered, or not to this client."""
    endpoint = metadata.introspection_endpoint
    if endpoint is None:
        return None
    form = [("token", token.access_token), ("token_type_hint", "access_token")]
    try:
        answer = connection.http(
            lambda http: token_endpoint.ask(
                http, endpoint, form, server=connection.endpoint(), issuer=token.issuer, identity=token.client
            )
        )
    except ServerUnreachable:
        return None
    if answer.status != 200 or answer.json is None or not isinstance(answer.json.get("active"), bool):
        return None
    found: dict[str, Any] = safe_data(answer.json)
    return found


def _userinfo(
    connection: Connection, metadata: AuthorizationServerMetadata, token: StoredToken
) -> dict[str, Any] | None:
    endpoint = metadata.userinfo_endpoint
    # It answers only for that scope (OpenID Connect Core section 5.3); elsewhere it would be asked in vain.
    if endpoint is None or "openid" not in token.scope:
        return None
    try:
        return connection.http(lambda http: userinfo(http, token, endpoint, server=connection.endpoint()))
    except (OAuthRefused, ServerUnreachable):
        return None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return safe_text(text, one_line=True)[:200]
