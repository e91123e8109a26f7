"""Tokens without a human: client credentials (RFC 6749 section 4.4), JWT assertions (RFC 7523), exchange (RFC 8693)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo.client.oauth import token_endpoint
from demo.client.oauth.dpop import ProofKey
from demo.client.tokens.identity import ClientIdentity
from demo.client.tokens.stored import StoredToken, read_token_response
from demo.evidence import AuthorityMetadata

if TYPE_CHECKING:
    import httpx2

CLIENT_CREDENTIALS = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


@dataclass(frozen=True)
class IdentityProvider:
    """An identity provider whose ID token stands for the human (MCP's enterprise-managed authorization).

    Args:
        token_endpoint: where the ID token is exchanged (RFC 8693).
        issuer: its identifier.
        client_id: the agent's name there.
        id_token: the human's, from signing in there.
    """

    token_endpoint: str
    issuer: str
    client_id: str
    id_token: str = field(repr=False)


@dataclass(frozen=True)
class TokenRequest:
    """Which grant, and what stands behind it.

    Args:
        assertion: a JWT that the authority trusts (RFC 7523 section 2.1), such as a workload's own.
        idp: an identity provider to get such a JWT from; an assertion for this very authority is asked for.

    With neither, the client's own credentials are what is presented.
    """

    assertion: str | None = field(default=None, repr=False)
    idp: IdentityProvider | None = None


def grant(request: TokenRequest) -> str:
    """The grant type with which a token is asked for."""
    return CLIENT_CREDENTIALS if request.assertion is None and request.idp is None else JWT_BEARER


async def ask(
    client: httpx2.AsyncClient,
    authority: AuthorityMetadata,
    request: TokenRequest,
    *,
    server: str,
    identity: ClientIdentity,
    resource: str | None,
    scopes: Sequence[str],
    key: ProofKey | None,
) -> StoredToken:
    """A token for `resource` (RFC 8707), None for what the authorization server takes as its own default.

    Raises:
        OAuthRefused: the authority, or the identity provider's, refuses.
        ServerUnreachable: it does not answer.
    """
    assertion = request.assertion
    if request.idp is not None:
        assertion = await _exchange(client, request.idp, authority.issuer, resource, scopes, server=server)
    form = (
        [("grant_type", CLIENT_CREDENTIALS)]
        if assertion is None
        else [("grant_type", JWT_BEARER), ("assertion", assertion)]
    )
    if resource is not None:
        form.append(("resource", resource))
    if scopes:
        form.append(("scope", " ".join(scopes)))
    answer = await token_endpoint.ask(
        client, authority.token_endpoint, form, server=server, issuer=authority.issuer, identity=identity, key=key
    )
    if not answer.granted or answer.json is None:
        raise token_endpoint.refused(
            answer, f"{authority.issuer} gives {identity.client_id} no token", "check its credentials there", identity
        )
    return read_token_response(
        answer.json,
        received_at=time.time(),
        issuer=authority.issuer,
        token_endpoint=authority.token_endpoint,
        identity=answer.identity,
        resource=resource,
        scope=tuple(scopes),
        dpop_key=key.to_json() if key else None,
    )


async def _exchange(
    client: httpx2.AsyncClient,
    idp: IdentityProvider,
    audience: str,
    resource: str | None,
    scopes: Sequence[str],
    *,
    server: str,
) -> str:
    """The ID token for an assertion that another authority trusts (RFC 8693 section 2.1)."""
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("subject_token", idp.id_token),
        ("subject_token_type", ID_TOKEN),
        ("audience", audience),
    ]
    if resource is not None:
        form.append(("resource", resource))
    if scopes:
        form.append(("scope", " ".join(scopes)))
    answer = await token_endpoint.ask(
        client,
        idp.token_endpoint,
        form,
        server=server,
        issuer=idp.issuer,
        identity=ClientIdentity(idp.client_id),
    )
    given = (answer.json or {}).get("access_token")
    if answer.status != 200 or not isinstance(given, str) or (answer.json or {}).get("issued_token_type") != ID_JAG:
        raise token_endpoint.refused(
            answer, f"{idp.issuer} exchanges no assertion for the ID token", "sign in there again"
        )
    return given
