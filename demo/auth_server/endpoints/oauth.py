"""What clients and resource servers post forms to: token, device authorization, revocation (RFC 7009) and introspection
(RFC 7662). The authorization endpoint, which a human's browser visits, is among the pages (`pages/redirect.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint as AuthlibRevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint as AuthlibIntrospectionEndpoint
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clients.client import Client
from ..clients.document_fetch import DocumentRefused
from ..clients.metadata import ENDPOINT_AUTH_METHODS
from ..context import Context
from ..grants.device import DeviceAuthorizationEndpoint
from ..grants.purchases import SHOP_PURCHASE
from ..grants.resources import served_resources
from ..grants.server import OAuthServer
from ..grants.tokens import actors, bound_to, read_access_token
from ..requests import FormRequest, FormUnreadable, read_form, visitor
from ..state.approvals import approvals_in, find_approval, void
from ..state.credentials import find_refresh_token
from ..state.sessions import Session, find_session, revoke_agent_or_user, revoke_session, session_revocation


class TokenOfSession:
    """A token, as far as its revocation is concerned; `sub_agent` is who acts by it, where that is a sub-agent, and
    `approval` the one yes that it is for, where it is for one purchase."""

    def __init__(self, session: Session, sub_agent: str | None = None, approval: str | None = None) -> None:
        self.session = session
        self.sub_agent = sub_agent
        self.approval = approval

    def check_client(self, client: Client) -> bool:
        """Whether it was issued to `client`; Authlib answers `invalid_grant` where not (section 2.1)."""
        return self.session.client_id == client.client_id


class RevocationEndpoint(AuthlibRevocationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """Revokes the session of a refresh token or an access token, used and expired ones too; of a sub-agent's token the
    sub-agent alone, and of a token for one purchase that approval alone, since who was given less may not end more."""

    CLIENT_AUTH_METHODS = ENDPOINT_AUTH_METHODS

    def check_params(self, request: FormRequest, client: Client) -> None:
        """Only `token` counts: a hint that we do not know is ignored (section 2.2), as we need none."""
        request.refuse_repeated()
        if "token" not in request.form:
            raise InvalidRequestError("token is missing")

    def query_token(self, token_string: str, token_type_hint: str | None) -> TokenOfSession | None:
        """The token with its session, or None, which is answered with 200 as well (section 2.2)."""
        context: Context = self.server.context
        with context.store.transaction() as connection:
            refresh_token = find_refresh_token(connection, token_string)
            if refresh_token is not None:
                return TokenOfSession(refresh_token.session)
            claims = read_access_token(context, token_string)
            session = None if claims is None else find_session(connection, str(claims.get("sid")))
        if claims is None or session is None:
            return None
        through, once = actors(claims), _purchase_in(claims)
        approval = None if once is None else str(once.get("approval"))
        return TokenOfSession(session, through[0] if len(through) > 1 else None, approval)

    def revoke_token(self, token: TokenOfSession, request: FormRequest) -> None:
        """End the session, or what was handed on of it."""
        context: Context = self.server.context
        by, now = request.client.client_id, context.now()
        with context.store.transaction() as connection:
            if token.approval is not None:
                void(connection, token.approval)
            elif token.sub_agent is not None:
                revoke_agent_or_user(connection, "agent", token.sub_agent, by=by, now=now)
            else:
                revoke_session(connection, token.session.id, kind="token", by=by, now=now)


@dataclass(frozen=True)
class Introspected:
    """A token's claims, and whether a resource server asks, which learns of the human as well."""

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
        return read_access_token(self.server.context, token_string)

    def authenticate_token(self, request: FormRequest, client: Client) -> Introspected | None:
        """The token, where it is any business of who asks; None is answered like a token that is none (section 2.2).

        A resource server asks about the tokens that are for it. Anybody can register a client with a secret, so that
        such a client learns of its own tokens alone, and nothing of the human whom they are about.
        """
        claims = super().authenticate_token(request, client)
        return None if claims is None else Introspected(claims, for_resource_server=_is_resource_server(self, client))

    def check_permission(self, token: dict[str, Any], client: Client, request: FormRequest) -> bool:
        """Whether the token is for this resource server, or this client's own."""
        context: Context = self.server.context
        if not _is_resource_server(self, client):
            return bool(token["client_id"] == client.client_id)
        named = token["aud"] if isinstance(token["aud"], list) else [token["aud"]]
        # The account API among them: an admin sets the shop's doors there, with the console's token.
        served = served_resources(context)
        theirs = [one for one in map(context.canonical, map(str, named)) if one in served]
        for one in theirs:
            # Before looking: what it is told it relies on, and a revocation from now on waits for it.
            context.leases.extend(one)
        return bool(theirs)

    def create_introspection_payload(self, introspected: Introspected | None) -> dict[str, Any]:
        """The claims and, for a resource server, who is behind them; or `active: false` and what was revoked."""
        context: Context = self.server.context
        if introspected is None:
            return {"active": False}
        token = introspected.claims
        with context.store.transaction(write=False) as connection:
            session = find_session(connection, str(token.get("sid")))
            revoked = None if session is None else session_revocation(connection, session, actors(token))
            once = _purchase_in(token)
            withdrawn = once is not None and find_approval(connection, str(once.get("approval"))) is None
        if revoked is not None:
            return {"active": False, "revoked": revoked.kind}
        if withdrawn:
            return {"active": False}
        account = None if session is None else context.account(session.sub)
        if account is None or context.now() >= token["exp"]:
            return {"active": False}
        payload = {**token, "active": True, "token_type": "Bearer" if bound_to(token) is None else "DPoP"}
        if introspected.for_resource_server:
            payload |= _approved(context, token)
            payload |= {"username": account.email, "name": account.name, "roles": list(account.roles)}
        return payload


def _approved(context: Context, token: dict[str, Any]) -> dict[str, Any]:
    """The token's authorization details with what its human approved since (RFC 9396 section 9.2). A token for one
    purchase is for that alone."""
    given = token.get("authorization_details")
    own = given if isinstance(given, list) else []
    if _purchase_in(token) is not None:
        return {}
    with context.store.transaction(write=False) as connection:
        since = [one.granted for one in approvals_in(connection, str(token.get("sid")), context.now())]
    return {"authorization_details": [*own, *since]} if since else {}


def _purchase_in(claims: dict[str, Any]) -> dict[str, Any] | None:
    """The one purchase that a token is for; None of a token for whatever its session was granted."""
    told = claims.get("authorization_details")
    details = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return next((one for one in details if one.get("type") == SHOP_PURCHASE), None)


def _is_resource_server(endpoint: IntrospectionEndpoint, client: Client) -> bool:
    return bool(client.client_id == endpoint.server.context.config.resource_server[0])


class BasicRequiredError(InvalidClientError):  # type: ignore[misc]  # Authlib ships no types
    """Client authentication by HTTP Basic is missing or wrong (RFC 6749 section 5.2, RFC 7617 section 2)."""

    def __init__(self) -> None:
        super().__init__("authenticate with the resource server's id and secret by HTTP Basic", status_code=401)

    def get_headers(self) -> list[tuple[str, str]]:
        """Authlib's headers, with the realm that RFC 7617 requires of a challenge."""
        headers = [(name, value) for name, value in super().get_headers() if name != "WWW-Authenticate"]
        return [*headers, ("WWW-Authenticate", 'Basic realm="introspection", charset="UTF-8"')]


ENDPOINTS = (DeviceAuthorizationEndpoint, RevocationEndpoint, IntrospectionEndpoint)


def oauth_routes(server: OAuthServer) -> list[Route]:
    """The routes of the OAuth endpoints that clients call."""
    context = server.context

    def route(path: str, answer: Callable[[FormRequest], Response], *, fetches: bool = False) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                fields = await read_form(request)
            except FormUnreadable as error:
                return server.refused(None, InvalidRequestError(str(error)))
            form = FormRequest(context.issuer + path, fields, request.headers)
            form.address = visitor(request)
            if fetches:
                try:
                    await server.documents.ensure(form.form.get("client_id", ""), visitor(request))
                except DocumentRefused as refused:
                    return server.refused(form, InvalidClientError(f"the client's metadata document: {refused}"))
            return await run_in_threadpool(answer, form)

        return Route(path, endpoint, methods=["POST"])

    device_authorization = DeviceAuthorizationEndpoint.ENDPOINT_NAME
    return [
        route("/oauth2/token", server.token),
        route("/oauth2/device_authorization", server.endpoint(device_authorization), fetches=True),
        route("/oauth2/revoke", server.endpoint(RevocationEndpoint.ENDPOINT_NAME)),
        route("/oauth2/introspect", server.endpoint(IntrospectionEndpoint.ENDPOINT_NAME)),
    ]
