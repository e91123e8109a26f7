"""Token introspection (RFC 7662): the resource server asks whether a token's authority still stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint as AuthlibIntrospectionEndpoint

from .access_token import read_access_token
from .accounts import account_by_sub
from .clients import Client
from .errors import BasicRequiredError
from .requests import FormRequest
from .sessions import find_session
from .standing import standing

if TYPE_CHECKING:
    from .authority import Authority


class IntrospectionEndpoint(AuthlibIntrospectionEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """Answers about access tokens only: a resource server has no business with refresh tokens (section 2.2)."""

    CLIENT_AUTH_METHODS = ("client_secret_basic",)

    def authenticate_endpoint_client(self, request: FormRequest) -> Client:
        """The resource server.

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

    def check_permission(self, token: dict[str, Any], client: Client, request: FormRequest) -> bool:
        """There is one resource server, and it authenticated itself."""
        return True

    def create_introspection_payload(self, token: dict[str, Any] | None) -> dict[str, Any]:
        """The claims and who is behind them; or `active: false` and, where known, what was taken back."""
        authority: Authority = self.server.authority
        if token is None:
            return {"active": False}
        with authority.store.transaction(write=False) as connection:
            session = find_session(connection, str(token.get("sid")))
            revoked = None if session is None else standing(connection, session)
        if revoked is not None:
            return {"active": False, "revoked": revoked.kind}
        account = None if session is None else account_by_sub(session.sub)
        if account is None or authority.now() >= token["exp"]:
            return {"active": False}
        return {
            **token,
            "active": True,
            "token_type": "Bearer",
            "username": account.email,
            "name": account.name,
            "roles": list(account.roles),
        }
