"""Token introspection (RFC 7662): the resource server asks whether a token's authority still stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint as AuthlibIntrospectionEndpoint

from ..clients.client import Client
from ..errors import BasicRequiredError
from ..grants.access_token import read_access_token
from ..grants.resources import served_resources
from ..state.accounts import account_by_sub
from ..state.sessions import find_session
from ..state.standing import standing
from .requests import FormRequest

if TYPE_CHECKING:
    from ..context import Authority


@dataclass(frozen=True)
class Introspected:
    """A token's claims, and whether a resource server asks, who is told of the human as well."""

    claims: dict[str, Any]
    for_resource_server: bool


class IntrospectionEndpoint(AuthlibIntrospectionEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """Answers about access tokens only: a resource server has no business with refresh tokens (section 2.2)."""

    CLIENT_AUTH_METHODS = ("client_secret_basic",)

    def authenticate_endpoint_client(self, request: FormRequest) -> Client:
        """The resource server, or another client with a secret.

        Raises:
            BasicRequiredError: its credentials are missing or wrong.
        """
        try:
            client: Client = super().authenticate_endpoint_client(request)
        except (InvalidClientError, ValueError) as error:  # ValueError: credentials that are not base64 of UTF-8
            raise BasicRequiredError from error
        return client

    def check_params(self, request: FormRequest, client: Client) -> None:
        """Only `token` counts: a hint may be ignored (section 2.1), as we need none."""
        request.refuse_repeated()
        if "token" not in request.form:
            raise InvalidRequestError("token is missing")

    def query_token(self, token_string: str, token_type_hint: str | None) -> dict[str, Any] | None:
        """The claims of an access token of ours, or None."""
        return read_access_token(self.server.authority, token_string)

    def authenticate_token(self, request: FormRequest, client: Client) -> Introspected | None:
        """The token, where it is any business of who asks; None is answered like a token that is none (section 2.2).

        A resource server asks about the tokens that are for it. Anybody can register a client with a secret, so that
        such a client learns of its own tokens alone, and nothing of the human whom they are about.
        """
        claims = super().authenticate_token(request, client)
        return None if claims is None else Introspected(claims, for_resource_server=_is_resource_server(self, client))

    def check_permission(self, token: dict[str, Any], client: Client, request: FormRequest) -> bool:
        """Whether the token is for this resource server, or this client's own."""
        authority: Authority = self.server.authority
        if not _is_resource_server(self, client):
            return bool(token["client_id"] == client.client_id)
        named = token["aud"] if isinstance(token["aud"], list) else [token["aud"]]
        # The account API among them: an admin sets the shop's doors there, with the console's token.
        served = served_resources(authority)
        return any(authority.canonical(str(one)) in served for one in named)

    def create_introspection_payload(self, introspected: Introspected | None) -> dict[str, Any]:
        """The claims and, for a resource server, who is behind them; or `active: false` and what was taken back."""
        authority: Authority = self.server.authority
        if introspected is None:
            return {"active": False}
        token = introspected.claims
        with authority.store.transaction(write=False) as connection:
            session = find_session(connection, str(token.get("sid")))
            revoked = None if session is None else standing(connection, session)
        if revoked is not None:
            return {"active": False, "revoked": revoked.kind}
        account = None if session is None else account_by_sub(session.sub)
        if account is None or authority.now() >= token["exp"]:
            return {"active": False}
        told = {**token, "active": True, "token_type": "Bearer"}
        if introspected.for_resource_server:
            told |= {"username": account.email, "name": account.name, "roles": list(account.roles)}
        return told


def _is_resource_server(endpoint: IntrospectionEndpoint, client: Client) -> bool:
    return bool(client.client_id == endpoint.server.authority.config.resource_server[0])
