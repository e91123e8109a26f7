"""The device authorization endpoint and the device code grant (RFC 8628 sections 3.1 to 3.5)."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint as AuthlibDeviceAuthorizationEndpoint
from authlib.oauth2.rfc8628 import DeviceCodeGrant as AuthlibDeviceCodeGrant

from ..clients.client import Client
from ..clients.metadata import ENDPOINT_AUTH_METHODS
from ..requests import FormRequest
from ..state.accounts import Account, ordered
from ..state.approvals import find_approval
from ..state.device_requests import DeviceRequest, find_request, new_user_code, poll, redeem, save_request
from ..state.sessions import find_session, session_revocation
from .authorization_details import requested_details
from .resources import requested_resources
from .server import Grant, OAuthServer, still_good

SLOW_DOWN_SECONDS = 5.0
"""By how much the interval grows for good when a device polls too fast (section 3.5)."""
WORDS = {
    "authorization_pending": "the human has not decided yet",
    "slow_down": "polled too fast: wait 5 seconds longer between polls from now on",
    "access_denied": "the human said no",
    "expired_token": "the device code has expired: ask for a new one",
}
JITTER_SECONDS = 0.1
"""How much earlier than its interval a poll may arrive: the network delays one request more than the next."""


class DeviceAuthorizationEndpoint(AuthlibDeviceAuthorizationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """Answers a device with a pair of codes, once all it asks for is known to be possible."""

    CLIENT_AUTH_METHODS = ENDPOINT_AUTH_METHODS

    def __init__(self, server: OAuthServer) -> None:
        super().__init__(server)
        self.context = server.context
        self.EXPIRES_IN = server.context.config.device_code_seconds
        self.INTERVAL = server.context.config.poll_interval

    def authenticate_client(self, request: FormRequest) -> Client:
        """As Authlib, which asks twice; an assertion is good once (RFC 7523 section 3)."""
        if request.auth_method is None:
            super().authenticate_client(request)
        client: Client = request.client
        return client

    def create_endpoint_response(self, request: FormRequest) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """As Authlib, with RFC 8707 resources and RFC 9396 authorization details.

        Raises:
            UnauthorizedClientError: the client did not register this grant.
            InvalidScopeError, InvalidTargetError, InvalidAuthorizationDetailsError: each from its own RFC.
        """
        self.authenticate_client(request)
        if not request.client.check_grant_type(DeviceCodeGrant.GRANT_TYPE):
            raise UnauthorizedClientError("this client did not register the device code grant")
        request.refuse_repeated(but=("resource",))
        # RFC 6749 section 3.3 lets us choose between a default and an error: a default would be granted unasked.
        if not request.form.get("scope"):
            raise InvalidScopeError("name the scopes that are needed")
        request.resources = requested_resources(self.context, request.payload.datalist.get("resource", []))
        scope = ordered(request.form["scope"].split())
        details = request.form.get("authorization_details")
        request.details = requested_details(self.context, request.client, details, scope)
        for _ in range(5):
            try:
                return self._answer(request)
            except sqlite3.IntegrityError:  # a user code that is taken: one in ten thousand millions, and then again
                continue
        return self._answer(request)

    def _answer(self, request: FormRequest) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        status, answer, headers = super().create_endpoint_response(request)
        if request.client.delegated:
            # Whoever sends somebody a link has typed the code for them (RFC 8628 section 5.4). What is to act for a
            # human has its code typed, from the device that shows it. Nobody else can be the human's own console.
            del answer["verification_uri_complete"]
        with self.context.store.transaction() as connection:
            save_request(
                connection,
                device_code=answer["device_code"],
                user_code=answer["user_code"],
                client_id=request.client.client_id,
                address=request.address,
                scope=ordered(request.form["scope"].split()),
                resources=request.resources,
                authorization_details=request.details,
                now=self.context.now(),
                seconds=self.EXPIRES_IN,
                interval=self.INTERVAL,
            )
        return status, answer, headers

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        """Nothing: `_answer` saves, because Authlib does not hand the resources and the details on."""

    def generate_user_code(self) -> str:
        """A fresh user code."""
        return new_user_code()

    def generate_device_code(self) -> str:
        """A fresh device code, 256 bits."""
        return secrets.token_urlsafe(32)

    def get_verification_uri(self) -> str:
        """Where the human types the user code."""
        return f"{self.context.issuer}/device"


class DeviceCodeGrant(Grant, AuthlibDeviceCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    """Redeems a device code, once, for the client that asked for it."""

    def authenticate_token_endpoint_client(self) -> Client:
        """As Authlib, which sets the request's client only after the code was looked up."""
        self.request.client = super().authenticate_token_endpoint_client()
        client: Client = self.request.client
        return client

    def query_device_credential(self, device_code: str) -> DeviceRequest:
        """The request behind `device_code`.

        Raises:
            InvalidGrantError: unknown, another client's, or used (RFC 6749 section 5.2).
        """
        context = self.server.context
        with context.store.transaction() as connection:
            found = find_request(connection, "device_code", device_code, context.now())
        if found is None:
            raise InvalidGrantError("the device code is unknown")
        if found.client_id != self.request.client.client_id:
            raise InvalidGrantError("the device code belongs to another client")
        if found.redeemed_at is not None:
            raise InvalidGrantError("the device code was used before")
        return found

    def validate_token_request(self) -> None:
        """As Authlib; then the session that the human's answer opened, which may have been revoked since."""
        super().validate_token_request()
        with self.server.context.store.transaction() as connection:
            session = find_session(connection, self.request.credential.session_id)
            assert session is not None, "an approved request has a session"
            approval_id = self.request.credential.approval_id
            if approval_id is not None:
                self.request.approval = still_good(find_approval(connection, approval_id), self.server.context.now())
            revoked = session_revocation(connection, session)
        if revoked is not None:
            raise AccessDeniedError(f"this {revoked.kind} was revoked")
        self.check_token_wishes(session)

    def validate_device_credential(self, credential: DeviceRequest) -> Account:
        """As Authlib, which leaves its errors without a description for anyone who reads the device's log.

        Raises:
            OAuth2Error: `authorization_pending`, `slow_down`, `access_denied` or `expired_token` (section 3.5).
        """
        try:
            account: Account = super().validate_device_credential(credential)
        except OAuth2Error as error:
            error.description = WORDS.get(error.error, error.description)
            raise
        return account

    def query_user_grant(self, user_code: str) -> tuple[Account | None, bool] | None:
        """The human's answer, or None while there is none."""
        context = self.server.context
        with context.store.transaction() as connection:
            found = find_request(connection, "id", user_code, context.now())
            if found is None or found.decision is None:
                return None
            if found.decision == "denied" or found.session_id is None:
                return None, False
            session = find_session(connection, found.session_id)
        assert session is not None, "the foreign key holds"
        return context.account(session.sub), True

    def should_slow_down(self, credential: DeviceRequest) -> bool:
        """Whether the device polled faster than its interval."""
        with self.server.context.store.transaction() as connection:
            return poll(connection, credential, tolerance=JITTER_SECONDS, step=SLOW_DOWN_SECONDS)

    def generate_token(
        self,
        user: Account | None = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token response, with the scopes that the human granted and not those the device asked for."""
        assert self.request.session is not None, "validated before"
        approval = self.request.approval
        granted = " ".join(self.request.session.scope if approval is None else approval.scope)
        return super().generate_token(user, granted, grant_type, expires_in, include_refresh_token)

    def save_token(self, token: dict[str, Any]) -> None:
        """Save, and use the device code up, in one transaction."""
        super().save_token(token)
        with self.server.context.store.transaction() as connection:
            redeem(connection, self.request.credential)
