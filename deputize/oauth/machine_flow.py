"""Tokens without a human: client credentials (RFC 6749 section 4.4), JWT assertions (RFC 7523), exchange (RFC 8693)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deputize.oauth import token_endpoint
from deputize.oauth.login_flow import LoginFlow, LoginRequest
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    import httpx2

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
        assertion: a JWT that the authorization server trusts (RFC 7523 section 2.1), such as a workload's own.
        idp: an identity provider to get such a JWT from; an assertion for this very server is asked for.

    With neither, the client's own credentials are what is presented.
    """

    assertion: str | None = field(default=None, repr=False)
    idp: IdentityProvider | None = None


class MachineFlow(LoginFlow):
    """A flow without a human: what stands behind the token is presented at once.

    Its grants are not named in the metadata's endpoints: whether they are allowed, the token endpoint says.
    """

    async def obtain(self, http: httpx2.AsyncClient, asked: LoginRequest, request: TokenRequest) -> StoredToken:
        """A token for the first of the resources asked for, or for what the authorization server takes by default.

        Raises:
            OAuthRefused: the authorization server, or the identity provider's, refuses.
            ServerUnreachable: it does not answer.
        """
        form = [("grant_type", self.grant_types[0]), *await self.grant(http, asked, request)]
        if asked.scopes:
            form.append(("scope", " ".join(asked.scopes)))
        answer = await asked.ask_token(http, form)
        if not answer.granted:
            raise token_endpoint.refused(
                answer,
                f"{asked.metadata.issuer} gives {asked.identity.client_id} no token",
                "check its credentials there",
                asked.identity,
            )
        return asked.token(answer)

    async def grant(
        self, http: httpx2.AsyncClient, asked: LoginRequest, request: TokenRequest
    ) -> list[tuple[str, str]]:
        """The parameters of the grant, beside its type; none where the client's own credentials are it."""
        return []


class ClientCredentialsFlow(MachineFlow):
    """The client's own credentials (RFC 6749 section 4.4), which only a confidential client has."""

    name = "machine"
    grant_types = ("client_credentials",)
    confidential = True


class AssertionFlow(MachineFlow):
    """A JWT that the authorization server trusts (RFC 7523 section 2.1)."""

    name = "assertion"
    grant_types = ("urn:ietf:params:oauth:grant-type:jwt-bearer",)

    async def grant(
        self, http: httpx2.AsyncClient, asked: LoginRequest, request: TokenRequest
    ) -> list[tuple[str, str]]:
        """The JWT, from the identity provider where there is one."""
        assertion = request.assertion
        if request.idp is not None:
            assertion = await _exchange(http, request.idp, asked)
        return [("assertion", assertion or "")]


CLIENT_CREDENTIALS = ClientCredentialsFlow()
ASSERTION = AssertionFlow()


def flow_for(request: TokenRequest) -> MachineFlow:
    """The flow that presents what stands behind a token."""
    return CLIENT_CREDENTIALS if request.assertion is None and request.idp is None else ASSERTION


async def _exchange(http: httpx2.AsyncClient, idp: IdentityProvider, asked: LoginRequest) -> str:
    """The ID token for an assertion that another authorization server trusts (RFC 8693 section 2.1)."""
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("subject_token", idp.id_token),
        ("subject_token_type", ID_TOKEN),
        ("audience", asked.metadata.issuer),
    ]
    if asked.resource is not None:
        form.append(("resource", asked.resource))
    if asked.scopes:
        form.append(("scope", " ".join(asked.scopes)))
    answer = await token_endpoint.ask(
        http,
        idp.token_endpoint,
        form,
        server=asked.server,
        issuer=idp.issuer,
        identity=ClientIdentity(idp.client_id),
    )
    given = (answer.json or {}).get("access_token")
    if answer.status != 200 or not isinstance(given, str) or (answer.json or {}).get("issued_token_type") != ID_JAG:
        raise token_endpoint.refused(
            answer, f"{idp.issuer} exchanges no assertion for the ID token", "sign in there again"
        )
    return given
