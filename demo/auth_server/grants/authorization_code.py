"""The authorization code grant with PKCE (OAuth 2.1 section 4.1, RFC 7636): the request, and the code's redemption."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as AuthlibAuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from demo.proofs import THUMBPRINT

from ..clients.client import Client
from ..requests import FormRequest
from ..state.accounts import Account, ordered
from ..state.approvals import void
from ..state.credentials import AuthorizationCode, find_code, save_code, use_up
from ..state.sessions import revoke_session, session_revocation
from .authorization_details import requested_details
from .bound import require_key
from .resources import requested_resources
from .server import Grant, still_good

LONGEST_STATE = 2048
"""Characters of a `state`, and of a `nonce`: they come back in a URL and in a token."""


class S256(CodeChallenge):  # type: ignore[misc]  # Authlib ships no types
    """PKCE for every client, and S256 alone: `plain` shows the verifier to anyone who sees the request."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: AuthorizationCodeGrant, redirect_uri: str) -> None:
        """As Authlib, and neither challenge nor method may be missing (a missing method would mean `plain`)."""
        given = grant.request.form
        if not given.get("code_challenge") or given.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: code_challenge with code_challenge_method=S256 (RFC 7636)")
        super().validate_code_challenge(grant, redirect_uri)


class AuthorizationCodeGrant(Grant, AuthlibAuthorizationCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    """Checks what a browser is sent with, gives the code, and redeems it once for the client that asked."""

    EXTENSIONS = (S256,)

    @classmethod
    def check_authorization_endpoint(cls, request: FormRequest) -> bool:
        """True: it is the only grant with this endpoint, and says itself which response types there are."""
        return True

    @staticmethod
    def validate_no_multiple_request_parameter(request: FormRequest) -> None:
        """Refuse a second `client_id` or `redirect_uri`. Others are refused by redirect, once it is known whereto."""
        for name in ("client_id", "redirect_uri"):
            if len(request.payload.datalist.get(name, [])) > 1:
                raise InvalidRequestError(f"{name} is given more than once")

    @staticmethod
    def validate_authorization_redirect_uri(request: FormRequest, client: Client) -> str:
        """The redirect URI, when it is this client's."""
        asked: str | None = request.payload.redirect_uri
        if not asked:
            raise InvalidRequestError("redirect_uri is missing")
        if not client.check_redirect_uri(asked):
            raise InvalidRequestError("redirect_uri is not one that this client registered")
        return asked

    def validate_authorization_request(self) -> str:
        """The redirect URI of a request that a human may be asked about; its client, resources and details are set.

        Raises:
            OAuth2Error: with `redirect_uri` where the client and its redirect URI are right, so that the client may
                be told; without it where they are not, so that nobody is sent anywhere (RFC 6749 section 4.1.2.1).
        """
        client = self.server.query_client(self.request.form.get("client_id", ""))
        if client is None:
            raise InvalidClientError("no such client here")
        redirect_uri = self.validate_authorization_redirect_uri(self.request, client)
        try:
            self._check_request(client)
            super().validate_authorization_request()
        except OAuth2Error as error:
            error.redirect_uri = redirect_uri
            raise
        return redirect_uri

    def _check_request(self, client: Client) -> None:
        request, context = self.request, self.server.context
        given = request.form
        request.refuse_repeated(but=("resource",))
        # Before Authlib, which would put what it was sent into a description that must be ASCII.
        if not given.get("response_type"):
            raise InvalidRequestError("response_type is missing")
        if given["response_type"] != "code":
            raise OAuth2Error("the only response_type is code", error="unsupported_response_type")
        # OpenID Connect Core section 6: what is in a request object would be ignored, and it may say something else.
        for name in ("request", "request_uri"):
            if name in given:
                raise OAuth2Error(f"{name} is not supported", error=f"{name}_not_supported")
        if "none" in given.get("prompt", "").split():
            raise OAuth2Error("a human decides here, and sees the page", error="interaction_required")
        if given.get("response_mode", "query") != "query":
            raise InvalidRequestError("the only response_mode is query")
        if any(len(given.get(name, "")) > LONGEST_STATE for name in ("state", "nonce")):
            raise InvalidRequestError(f"state and nonce are at most {LONGEST_STATE} characters long")
        if "dpop_jkt" in given and not THUMBPRINT.fullmatch(given["dpop_jkt"]):
            raise InvalidRequestError("dpop_jkt is the thumbprint of a key: 43 characters of base64url (RFC 9449)")
        # RFC 6749 section 3.3: an MCP client that heard of no scopes names none. The consent page shows these.
        request.payload.datalist.setdefault("scope", [" ".join(client.default_scope)])
        request.resources = requested_resources(context, request.payload.datalist.get("resource", []))
        details = given.get("authorization_details")
        request.details = requested_details(context, client, details, self.asked_scope)

    @property
    def asked_scope(self) -> tuple[str, ...]:
        """The scopes that the request asks for, in the order of a consent page."""
        return ordered(self.request.form["scope"].split())

    def save_authorization_code(self, code: str, request: FormRequest) -> None:
        """Keep the code's digest, for the session that the human's yes opened."""
        session, context = request.session, self.server.context
        assert session is not None, "the consent page opened it"
        with context.store.transaction() as connection:
            save_code(
                connection,
                code,
                client_id=request.client.client_id,
                redirect_uri=request.form["redirect_uri"],
                code_challenge=request.form["code_challenge"],
                nonce=request.form.get("nonce"),
                key=request.form.get("dpop_jkt"),
                session_id=session.id,
                approval_id=None if request.approval is None else request.approval.id,
                now=context.now(),
            )

    def query_authorization_code(self, code: str, client: Client) -> AuthorizationCode:
        """The code, when it may be redeemed now by this client.

        Raises:
            InvalidGrantError: unknown, another client's, for another redirect URI, used before (then what it opened is
                revoked, OAuth 2.1 section 4.1.3: its session, or the one approval that it was for), or expired.
        """
        context = self.server.context
        now = context.now()
        with context.store.transaction() as connection:
            found = find_code(connection, code)
            if found is None:
                raise InvalidGrantError("the authorization code is unknown")
            # Before anything is changed, so that somebody with a stolen code can learn and change nothing.
            if found.client_id != client.client_id:
                raise InvalidGrantError("the authorization code belongs to another client")
            if found.redeemed_at is not None and found.approval_id is not None:
                void(connection, found.approval_id)
                raise InvalidGrantError("the authorization code was used before: ask the human again")
            if found.redeemed_at is not None:
                revoke_session(connection, found.session.id, kind="reuse", by=client.client_id, now=now)
                raise InvalidGrantError("the authorization code was used before: its session is revoked; log in again")
        if now >= found.expires_at:
            raise InvalidGrantError("the authorization code has expired; log in again")
        if found.key is not None:
            require_key(self.request, found.key, "the authorization code")
        # OAuth 2.1 section 10.2: a client need not send it any more, but where it does it must be the same.
        if self.request.form.get("redirect_uri", found.redirect_uri) != found.redirect_uri:
            raise InvalidGrantError("redirect_uri is not the one of the authorization request")
        return found

    def validate_token_request(self) -> None:
        """As Authlib with PKCE; then the session, which may have been revoked since the human's yes."""
        super().validate_token_request()
        session = self.request.authorization_code.session
        with self.server.context.store.transaction() as connection:
            revoked = session_revocation(connection, session)
        if revoked is not None:
            raise InvalidGrantError(f"this {revoked.kind} was revoked")
        self.request.nonce = self.request.authorization_code.nonce
        if self.request.authorization_code.approval_id is not None:
            self.request.approval = still_good(self.request.authorization_code.approval, self.server.context.now())
        self.check_token_wishes(session)

    def authenticate_user(self, authorization_code: AuthorizationCode) -> Account | None:
        """The human who said yes."""
        return self.server.context.account(authorization_code.session.sub)

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Mark it as used, in the transaction that made the token; it is kept to be known again."""
        with self.server.context.store.transaction() as connection:
            use_up(connection, authorization_code, self.server.context.now())
