"""Authlib's framework-agnostic server behind Starlette routes: token, device authorization, revoke, introspect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .authority import Authority
from .clients import Client
from .device import DeviceAuthorizationEndpoint, DeviceCodeGrant
from .introspection import IntrospectionEndpoint
from .refresh import RefreshTokenGrant
from .requests import FormRequest, FormUnreadable, read_form
from .revocation import RevocationEndpoint
from .scopes import SCOPES

# Authlib writes whole tokens into its debug log.
logging.getLogger("authlib").setLevel(logging.INFO)

GRANTS = (DeviceCodeGrant, RefreshTokenGrant)


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """What Authlib asks of a framework, and no more."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(scopes_supported=list(SCOPES))
        self.authority = authority
        for grant in GRANTS:
            self.register_grant(grant)
        for endpoint in (DeviceAuthorizationEndpoint, RevocationEndpoint, IntrospectionEndpoint):
            self.register_endpoint(endpoint)

    def query_client(self, client_id: str) -> Client | None:
        """The registered client, or None."""
        return self.authority.clients.get(client_id)

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """The request itself: the routes make it, because reading a body is asynchronous and Authlib is not."""
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        """A JSON response that nobody keeps (RFC 6749 section 5.1)."""
        return JSONResponse(body, status, {**dict(headers), "Cache-Control": "no-store", "Pragma": "no-cache"})

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def validate_requested_scope(self, scope: str | None) -> None:
        """Refuse a scope that does not exist, naming those that do."""
        if not set((scope or "").split()) <= set(SCOPES):
            raise InvalidScopeError(f"no such scope here; there are: {' '.join(SCOPES)}")

    def token(self, request: FormRequest) -> Response:
        """The token endpoint: all that a request reads and changes is one transaction, also where it is refused.

        So of two that redeem one code, or use one refresh token, the second sees what the first has done; and a
        session that a reused token revokes stays revoked although the answer is an error.
        """
        try:
            request.refuse_repeated()
            if "grant_type" not in request.form:
                raise InvalidRequestError("grant_type is missing")
            if request.form["grant_type"] not in [grant.GRANT_TYPE for grant in GRANTS]:
                known = ", ".join(grant.GRANT_TYPE for grant in GRANTS)
                raise OAuth2Error(f"grant_type is one of: {known}", error="unsupported_grant_type")
        except OAuth2Error as error:
            return self.refused(request, error)
        with self.authority.store.transaction():
            response: Response = self.create_token_response(request)
        return response

    def endpoint(self, name: str) -> Callable[[FormRequest], Response]:
        """What answers for a registered endpoint."""

        def answer(request: FormRequest) -> Response:
            response: Response = self.create_endpoint_response(name, request)
            return response

        return answer

    def refused(self, request: FormRequest | None, error: OAuth2Error) -> Response:
        """An OAuth error as a response (RFC 6749 section 5.2)."""
        response: Response = self.handle_error_response(request, error)
        return response


def oauth_routes(authority: Authority) -> list[Route]:
    """The routes of the OAuth endpoints."""
    server = OAuthServer(authority)

    def route(path: str, answer: Callable[[FormRequest], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                fields = await read_form(request)
            except FormUnreadable as error:
                return server.refused(None, InvalidRequestError(str(error)))
            form = FormRequest(authority.issuer + path, fields, request.headers)
            return await run_in_threadpool(answer, form)

        return Route(path, endpoint, methods=["POST"])

    return [
        route("/oauth2/token", server.token),
        route("/oauth2/device_authorization", server.endpoint(DeviceAuthorizationEndpoint.ENDPOINT_NAME)),
        route("/oauth2/revoke", server.endpoint(RevocationEndpoint.ENDPOINT_NAME)),
        route("/oauth2/introspect", server.endpoint(IntrospectionEndpoint.ENDPOINT_NAME)),
    ]
