"""Authlib's framework-agnostic server as ours: its clients, its errors and its one transaction; and what every grant
has in common, which is to issue tokens (RFC 6749 section 5.1)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidGrantError, InvalidRequestError, InvalidScopeError
from starlette.responses import JSONResponse, RedirectResponse, Response

from demo.scopes import SCOPES

from ..clients.assertions import ClientAssertion
from ..clients.client import Client, find_client
from ..clients.documents import ClientDocuments
from ..clients.metadata import ENDPOINT_AUTH_METHODS, PRIVATE_KEY_JWT
from ..context import Context
from ..requests import NO_STORE, FormRequest, Rate
from ..state.accounts import Account, ordered
from ..state.approvals import Approval
from ..state.credentials import save_refresh_token
from ..state.sessions import Session, bind_session, session_revocation
from ..state.sub_agents import SubAgent, line_of
from .bound import InvalidProofError, prove, remember, require_key
from .resources import audience
from .tokens import details_of, sign_access_token, sign_id_token

# Authlib writes whole tokens into its debug log.
logging.getLogger("authlib").setLevel(logging.INFO)

EXCHANGES_A_MINUTE = 60
"""Token exchanges in one session. Each sub-agent needs another token every few minutes."""


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """What Authlib asks of a framework, and no more."""

    def __init__(self, context: Context, grants: Sequence[type[Grant]], endpoints: Sequence[type]) -> None:
        super().__init__(scopes_supported=list(SCOPES))
        self.context = context
        self.grant_types = tuple(grant.GRANT_TYPE for grant in grants)
        self.exchanges = Rate("token-exchange", EXCHANGES_A_MINUTE)
        self.documents = ClientDocuments(context, self.grant_types)
        for grant in grants:
            self.register_grant(grant, [extension() for extension in grant.EXTENSIONS])
        self.register_client_auth_method(ClientAssertion.CLIENT_AUTH_METHOD, ClientAssertion(context))
        for endpoint in endpoints:
            self.register_endpoint(endpoint)

    def query_client(self, client_id: str) -> Client | None:
        """The client, or None."""
        return find_client(self.context, client_id)

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """The request itself: the routes make it, because reading a body is asynchronous and Authlib is not."""
        return request

    def authenticate_client(self, request: FormRequest, methods: Sequence[str], endpoint: str = "token") -> Client:
        """The client of a request, by the one method that it registered, and the only one that the request uses (RFC
        6749 section 2.3): of two that say different clients, one parser reads the one and another the other.

        Raises:
            InvalidClientError: it is unknown, its credentials are missing, wrong, or cannot be read; or it comes in two
                ways, or as two clients.
        """
        try:
            client: Client = super().authenticate_client(request, methods, endpoint)
        except ValueError as error:  # credentials that are not base64 of UTF-8
            raise InvalidClientError("the client's credentials cannot be read", status_code=401) from error
        _check_one_identity(client, request)
        return client

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        """A JSON response that nobody keeps (RFC 6749 section 5.1), or a browser on its way back to the client.

        Who goes back says from whom it comes, with a code and with an error alike (RFC 9207 section 2). By 303, so
        that no browser posts our form to the client (RFC 9700 section 4.12).
        """
        location = dict(headers).get("Location")
        if location is None:
            return JSONResponse(body, status, {**dict(headers), **NO_STORE})
        back = add_params_to_uri(location, [("iss", self.context.issuer)])
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
            if request.form["grant_type"] not in self.grant_types:
                known = ", ".join(self.grant_types)
                raise OAuth2Error(f"grant_type is one of: {known}", error="unsupported_grant_type")
        except OAuth2Error as error:
            return self.refused(request, error)
        with self.context.store.transaction() as connection:
            try:
                prove(self.context, connection, request)
            except OAuth2Error as error:
                return self.refused(request, error)
            response: Response = self.create_token_response(request)
            if request.proof is not None and response.status_code == 200:
                remember(connection, request.proof, self.context.now())
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


def lifetime(context: Context, request: FormRequest) -> int:
    """The seconds for which an access token is issued: what is asked for, and no more than this server's own.

    Raises:
        InvalidRequestError: `requested_expires_in` is not a positive whole number of seconds.
    """
    longest = context.config.access_token_seconds
    asked = request.form.get("requested_expires_in")
    if asked is None:
        return longest
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and int(asked) > 0):
        raise InvalidRequestError("requested_expires_in is a positive whole number of seconds")
    return min(int(asked), longest)


def _check_one_identity(client: Client, request: FormRequest) -> None:
    form = request.form
    ways = {
        "client_secret_basic": request.headers.get("authorization", "").lower().startswith("basic "),
        "client_secret_post": "client_secret" in form,
        PRIVATE_KEY_JWT: "client_assertion" in form,
    }
    used = [name for name, there in ways.items() if there] or ["none"]
    if used != [client.auth_method] or form.get("client_id", client.client_id) != client.client_id:
        raise InvalidClientError("a request names one client, which authenticates in one way (RFC 6749 section 2.3)")


def still_good(approval: Approval | None, now: float) -> Approval:
    """The approval of one purchase, where a token may still be had for it: without it a token would be for all that the
    session was granted.

    Raises:
        InvalidGrantError: it is not known any more, or too old.
    """
    if approval is None or now >= approval.until:
        raise InvalidGrantError("this approval is over: ask the human again")
    return approval


class Grant:
    """Mixed into a grant whose request has a session: checks what is asked of the token, then makes it.

    Authlib's grants call `generate_token` and then `save_token`; the token endpoint holds one transaction around both.
    """

    GRANT_TYPE: ClassVar[str]
    TOKEN_ENDPOINT_AUTH_METHODS = ENDPOINT_AUTH_METHODS
    EXTENSIONS: ClassVar[tuple[type, ...]] = ()
    """Authlib's extensions of the grant."""
    BEGINS: ClassVar[bool] = True
    """Whether its token is the first of a session, or one for a purchase within it."""
    request: FormRequest
    server: OAuthServer

    def check_token_wishes(self, session: Session) -> None:
        """Refuse a `resource` or `requested_expires_in` that cannot be, before anything is used up.

        Raises:
            InvalidTargetError: the resource was not granted (RFC 8707 section 2.2).
            InvalidRequestError: `requested_expires_in` is not a positive whole number of seconds.
            InvalidProofError: it proves no key, and its client said that it always would.
        """
        self.request.session = session
        if self.request.client.bound and self.request.proof is None:
            raise InvalidProofError("this client registered dpop_bound_access_tokens: send a proof in the DPoP header")
        audience(self.server.context, session, self.request.form.get("resource"))
        lifetime(self.server.context, self.request)
        if self.request.approval is not None:
            self.request.line = self._buyers(session, self.request.approval)

    def _buyers(self, session: Session, approval: Approval) -> tuple[SubAgent, ...]:
        """The sub-agent whose purchase was approved, then each above it; none where it is the session's own agent.

        Its token is for its own key, like any that was handed on to it, and that of the session's own agent for the
        session's key: who asked the human in another's name has nothing.

        Raises:
            InvalidGrantError: it does not act in this session any more, it or one above it may not buy any more, or
                another key was proved.
            InvalidProofError: no key was.
        """
        with self.server.context.store.transaction(write=False) as connection:
            line = line_of(connection, session, approval.detail["agent"])
            revoked = session_revocation(connection, session, [one.id for one in line or ()])
        if line is None or revoked is not None or any(one.until <= self.server.context.now() for one in line[:1]):
            raise InvalidGrantError("what was handed on to this sub-agent has ended")
        if not all(set(approval.scope) <= set(one.scope) for one in line):
            raise InvalidGrantError("what was handed on since, to this sub-agent or above it, is not to buy")
        for one in line[:1]:
            require_key(self.request, one.key, "what was handed on to this sub-agent")
        if not line and session.key is not None:
            require_key(self.request, session.key, "the grant within which this purchase was approved")
        return line

    def generate_token(
        self,
        user: Account | None = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token response; not yet saved."""
        context, session, approval = self.server.context, self.request.session, self.request.approval
        assert session is not None and user is not None, "validated before"
        granted = ordered((scope or "").split())
        seconds = lifetime(context, self.request)
        line = self.request.line
        for end in (*([] if approval is None else [approval.until]), *(one.until for one in line[:1])):
            seconds = min(seconds, max(1, int(end - context.now())))
        token: dict[str, Any] = {
            "access_token": sign_access_token(
                context,
                session,
                audience=audience(context, session, self.request.form.get("resource")),
                scope=granted,
                seconds=seconds,
                key=self.request.key,
                through=[*(one.id for one in line), session.agent_id] if line and session.agent_id else (),
                details=details_of(session, approval, line),
            ),
            "token_type": "Bearer" if self.request.key is None else "DPoP",
            "expires_in": seconds,
            "scope": " ".join(granted),
        }
        # By what the session was granted, not by a narrowed scope: the next refresh may ask for all of it again.
        if include_refresh_token and approval is None and "offline_access" in session.scope:
            token["refresh_token"] = secrets.token_urlsafe(32)
        if "openid" in granted:
            token["id_token"] = sign_id_token(context, session, user, self.request.nonce)
        if details := details_of(session, approval, line):
            token["authorization_details"] = details  # RFC 9396 section 7
        return token

    def save_token(self, token: dict[str, Any]) -> None:
        """Keep the refresh token's digest, and by which key the agent is known from now on; an access token needs no
        keeping, its session says if it stands."""
        session = self.request.session
        assert session is not None, "validated before"
        # A client with credentials of its own is bound by these already, and may change its key (RFC 9449 section 5).
        key = self.request.key if self.request.client.auth_method == "none" else None
        with self.server.context.store.transaction() as connection:
            if self.BEGINS and self.request.approval is None and key is not None:
                bind_session(connection, session.id, key)
            if "refresh_token" in token:
                save_refresh_token(connection, token["refresh_token"], session, key, self.server.context.now())
