"""Proof: what a token says and what of it holds, the delegation chain in it, and who the human is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.client import claims, grants, opaque
from demo.client.connection import Connection
from demo.client.convention import parties
from demo.client.fetch import fetch
from demo.client.refusal import OAuthRefused
from demo.client.safe_text import safe_text
from demo.client.tokens import StoredToken, number
from demo.errors import ServerUnreachable
from demo.evidence import AuthorityMetadata, Chain, TokenView


def view(
    connection: Connection, authority: AuthorityMetadata, token: StoredToken, *, audience: str | None
) -> TokenView:
    """A token, checked against the authority's keys, fetched now (RFC 7517, RFC 9068 section 4).

    What is opaque cannot be checked: its authority is asked about it, where it lets itself be asked.
    """
    keys: dict[str, Any] | None = None
    why = None
    uri = authority.jwks_uri
    if uri is not None and claims.take_apart(token.access_token) is not None:
        try:
            answer = connection.http(lambda http: fetch(http, "GET", uri, server=connection.endpoint()))
            keys = answer.json if answer.status == 200 else None
            why = f"{uri} answered HTTP {answer.status} and no keys"
        except ServerUnreachable as error:
            why = error.what
    seen = claims.view(
        token.access_token,
        issuer=token.issuer,
        audience=audience or token.resource,
        jwks=keys,
        jwks_url=uri,
        no_keys=why,
        expires_at=token.expires_at,
        scopes=token.scope,
    )
    return opaque.ask(connection, authority, token, seen) if seen.kind == "opaque" else seen


def chain(
    token: StoredToken, seen: TokenView, person: Mapping[str, Any], *, client_name: str, action: str | None
) -> Chain:
    """The delegation chain in a token's claims.

    Args:
        seen: the token as `view` saw it.
        person: what the authority tells of the human.
        client_name: the software's name, as a person should read it.
        action: what was done with it.

    Raises:
        AuthorityRefused: the token is opaque.
    """
    jwt = claims.take_apart(token.access_token)
    if jwt is None:
        raise OAuthRefused(
            "this token says nothing about who is in it",
            oauth_error="unsupported",
            why="it is opaque: only its issuer can read it (RFC 7662)",
            do="demo token",
        )
    who = parties(jwt.claims)
    email = person.get("email")
    return Chain(
        human=safe_text(email if isinstance(email, str) and email else who.human, one_line=True),
        human_id=safe_text(who.human, one_line=True),
        agent=safe_text(who.agent, one_line=True),
        client=client_name if seen.claim("client_id") == token.client_id else seen.claim("client_id") or "",
        session="" if who.consent_claim == "sid" else seen.claim("sid") or "",
        consent=seen.claim(who.consent_claim) or "",
        action=action,
        token_id=seen.claim("jti") or "",
        scopes=seen.scopes,
        spending_limit=token.spending_limit,
        at=number(jwt.claims.get("auth_time")),
        source=f"token claims, verified against {seen.signature}" if seen.signature else "token claims, not verified",
        convention=who.convention,
    )


def subject(token: StoredToken) -> dict[str, Any]:
    """What the token itself tells of the human: `sub` alone, or nothing."""
    jwt = claims.take_apart(token.access_token)
    return {"sub": safe_text(parties(jwt.claims).human, one_line=True)} if jwt else {}


def userinfo(connection: Connection, authority: AuthorityMetadata, token: StoredToken) -> dict[str, Any]:
    """Who the human is, by the authority's word (OpenID Connect Core section 5.3).

    Raises:
        AuthorityRefused: it has no such endpoint, or the token does not open it.
    """
    endpoint = _endpoint(authority)
    return connection.http(lambda http: grants.userinfo(http, token, endpoint, server=connection.endpoint()))


def _endpoint(authority: AuthorityMetadata) -> str:
    if authority.userinfo_endpoint is None:
        raise OAuthRefused(
            "the authority has no userinfo endpoint",
            oauth_error="unsupported",
            why="it is an OAuth authority without OpenID Connect",
            do="read the token instead: demo token",
        )
    return authority.userinfo_endpoint
