"""Authlib's framework-agnostic server behind Starlette routes: token, device authorization, revoke, introspect.

The authorization endpoint, which a human's browser visits, is among the pages (`pages/authorize.py`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, InvalidScopeError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ..clients.assertions import ClientAssertion
from ..clients.client import Client
from ..clients.document_fetch import DocumentRefused
from ..clients.documents import ClientDocuments
from ..context import Authority
from ..grants.authorization_code import S256, AuthorizationCodeGrant
from ..grants.device import DeviceAuthorizationEndpoint, DeviceCodeGrant
from ..grants.refresh import RefreshTokenGrant
from ..grants.scopes import SCOPES
from .introspection import IntrospectionEndpoint
from .requests import FormRequest, FormUnreadable, read_form, visitor
from .revocation import RevocationEndpoint

# Authlib writes whole tokens into its debug log.
logging.getLogger("authlib").setLevel(logging.INFO)

GRANTS = (DeviceCodeGrant, AuthorizationCodeGrant, RefreshTokenGrant)
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """What Authlib asks of a framework, and no more."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(scopes_supported=list(SCOPES))
        self.authority = authority
        self.documents = ClientDocuments(authority)
        for grant in GRANTS:
            self.register_grant(grant, [S256()] if grant is AuthorizationCodeGrant else None)
        self.register_client_auth_method(ClientAssertion.CLIENT_AUTH_METHOD, ClientAssertion(authority))
        for endpoint in (DeviceAuthorizationEndpoint, RevocationEndpoint, IntrospectionEndpoint):
            self.register_endpoint(endpoint)

    def query_client(self, client_id: str) -> Client | None:
        """The client, or None."""
        return self.authority.client(client_id)

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """The request itself: the routes make it, because reading a body is asynchronous and Authlib is not."""
        return request

    def authenticate_client(self, request: FormRequest, methods: Sequence[str], endpoint: str = "token") -> Client:
        """The client of a request, by the one method that it registered.

        Raises:
            InvalidClientError: it is unknown, its credentials are missing, wrong, or cannot be read.
        """
        try:
            client: Client = super().authenticate_client(request, methods, endpoint)
        except ValueError as error:  # credentials that are not base64 of UTF-8
            raise InvalidClientError("the client's credentials cannot be read", status_code=401) from error
        return client

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        """A JSON response that nobody keeps (RFC 6749 section 5.1), or a browser on its way back to the client.

        Who goes back says from whom it comes, with a code and with an error alike (RFC 9207 section 2). By 303, so
        that no browser posts our form to the client (RFC 9700 section 4.12).
        """
        location = dict(headers).get("Location")
        if location is None:
            return JSONResponse(body, status, {**dict(headers), **NO_STORE})
        back = add_params_to_uri(location, [("iss", self.authority.issuer)])
        return RedirectResponse(back, 303, {**NO_STORE, "Referrer-Policy": "no-referrer"})

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


def oauth_routes(server: OAuthServer) -> list[Route]:
    """The routes of the OAuth endpoints that clients call."""
    authority = server.authority

    def route(path: str, answer: Callable[[FormRequest], Response], *, fetches: bool = False) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                fields = await read_form(request)
            except FormUnreadable as error:
                return server.refused(None, InvalidRequestError(str(error)))
            form = FormRequest(authority.issuer + path, fields, request.headers)
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
