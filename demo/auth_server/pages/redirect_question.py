"""The question that a client's redirect brought (OAuth 2.1 section 4.1), and the redirect that answers it.

Nothing is kept of it before the human's yes: every page carries the request as it came, and checks it anew.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from starlette.responses import Response

from ..clients.client import Client
from ..endpoints.requests import FormRequest, FormUnreadable, parse_fields
from ..grants.authorization_code import AuthorizationCodeGrant
from ..state.accounts import Account
from ..state.authorization_codes import unused_session
from ..state.sessions import Session, find_session, open_session
from ..state.standing import revoke_session
from .rendering import message
from .visit import PageRefused, Visit

LONGEST_REQUEST = 8 * 1024
"""Characters of an authorization request's parameters. The largest honest one is a quarter of it."""
WORDS = {
    "invalid_client": "No client of this name is known here.",
    "invalid_request": "It does not say where to send you back to, or names a place that is not this client's.",
}


@dataclass(frozen=True)
class RedirectQuestion:
    """A `question.Question` by redirect."""

    visit: Visit
    grant: AuthorizationCodeGrant
    text: str
    code: None = None

    @property
    def client(self) -> Client:
        """Who asks."""
        client: Client = self.grant.request.client
        return client

    @property
    def scope(self) -> tuple[str, ...]:
        """The scopes it asks for."""
        return self.grant.asked_scope

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources it asks for."""
        return self.grant.request.resources

    @property
    def details(self) -> tuple[dict[str, Any], ...]:
        """The limit it names."""
        return self.grant.request.details

    @property
    def carried(self) -> dict[str, str]:
        """The whole request."""
        return {"request": self.text}

    @property
    def redirect_uri(self) -> str:
        """Where the answer goes."""
        uri: str = self.grant.redirect_uri
        return uri

    def settled(self) -> None:
        """None: it can be answered as long as it can be asked."""

    def approved(
        self,
        connection: sqlite3.Connection,
        account: Account,
        scope: tuple[str, ...],
        details: tuple[dict[str, Any], ...],
    ) -> Response:
        """The session opens now, and the browser takes a code to the client.

        A yes that comes twice (a double click, a reload) opens no second session: the same one gets a new code, and
        the old code is void. A yes to anything else ends what the last one opened: what the human saw last is granted.
        """
        authority, request = self.visit.authority, self.grant.request
        unused = self._unused(connection, account)
        if unused is not None and unused.grants(scope, self.resources, details):
            request.session = unused
        else:
            self._end(connection, unused)
            session_id = open_session(
                connection,
                account=account,
                client=self.client,
                scope=scope,
                resources=self.resources,
                authorization_details=details,
                auth_time=self.visit.browser.signed_in_at,
                now=authority.now(),
            )
            request.session = find_session(connection, session_id)
        return self._answer(account)

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The browser takes `access_denied` to the client (RFC 6749 section 4.1.2.1); a yes before it is void."""
        self._end(connection, self._unused(connection, account))
        return self._answer(None)

    def _unused(self, connection: sqlite3.Connection, account: Account) -> Session | None:
        """What the same human's yes to this very request opened, while its code is not used."""
        return unused_session(
            connection,
            sub=account.sub,
            client_id=self.client.client_id,
            redirect_uri=self.redirect_uri,
            code_challenge=self.grant.request.form["code_challenge"],
            now=self.visit.authority.now(),
        )

    def _end(self, connection: sqlite3.Connection, session: Session | None) -> None:
        """Revoke a session that nobody has a token of yet; its code is refused from now on."""
        if session is not None:
            now = self.visit.authority.now()
            revoke_session(connection, session.id, kind="session", by=session.sub, now=now)

    def _answer(self, account: Account | None) -> Response:
        response: Response = self.visit.server.create_authorization_response(
            self.grant.request, grant_user=account, grant=self.grant
        )
        return response


def redirect_question(visit: Visit) -> RedirectQuestion:
    """The question in this visit's `request` field.

    Raises:
        PageRefused: with a redirect where the client can be told what is wrong, else with a page: nobody is sent to
            a place that is not certainly the client's.
    """
    text = visit.fields["request"]
    if len(text) > LONGEST_REQUEST:
        raise PageRefused(refusal("invalid_request", "The request is too long."))
    try:
        fields = parse_fields(text.encode())
    except (FormUnreadable, UnicodeError) as error:
        raise PageRefused(refusal("invalid_request", "The request cannot be read.")) from error
    request = FormRequest(f"{visit.authority.issuer}/oauth2/authorize", fields, {})
    try:
        grant: AuthorizationCodeGrant = visit.server.get_consent_grant(request)
    except OAuth2Error as error:
        if error.redirect_uri:
            raise PageRefused(visit.server.refused(request, error)) from error
        raise PageRefused(refusal(error.error, WORDS.get(error.error, ""))) from error
    return RedirectQuestion(visit, grant, text)


def refusal(error: str, why: str) -> Response:
    """The page for a request that can be neither asked nor sent back."""
    text = f"{why} You are not sent anywhere, and nothing was granted. Go back, and start again. ({error})"
    return message(400, "This request cannot be trusted", text)


def as_text(fields: dict[str, list[str]]) -> str:
    """A request's parameters, as the pages carry them."""
    return urlencode([(name, value) for name, values in fields.items() for value in values])
