"""The authorization endpoint (OAuth 2.1 section 4.1.1), where a client sends its human's browser; the question that the
browser brought, and the redirect that answers it.

Nothing is kept of it before the human's yes: every page carries the request as it came, and checks it again.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clients.document_fetch import DocumentRefused
from ..grants.authorization_code import AuthorizationCodeGrant
from ..grants.server import OAuthServer
from ..requests import FormRequest, FormUnreadable, parse_fields, read_form, visitor
from ..state.accounts import Account
from ..state.credentials import unused_session, void_unused_approvals
from ..state.sessions import Session, find_session, revoke_session
from .question import Consented, Question, carried
from .rendering import message, page
from .visit import Browser, PageRefused, Visit, onward

LONGEST_REQUEST = 8 * 1024
"""Characters of an authorization request's parameters. The largest honest one is a quarter of it."""
WORDS = {
    "invalid_client": "No client of this name is known here.",
    "invalid_request": "It does not say where to send you back to, or names a place that is not this client's.",
}


def authorize_route(server: OAuthServer) -> Route:
    """`/oauth2/authorize`, by GET and POST (OpenID Connect Core section 3.1.2.1): checks, and goes on to the pages.

    It knows no cookie and decides nothing; a request that the client must hear of goes back to it at once.
    """

    def check(text: str, address: str) -> Response:
        try:
            redirect_question(Visit(server, Browser(""), {"request": text}, address))
        except PageRefused as refused:
            return refused.response
        return onward("/device/consent", request=text)

    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "POST":
                fields = await read_form(request)
            else:
                fields = parse_fields(request.url.query.encode())
        except FormUnreadable as error:
            return message(400, "This request cannot be read", f"{str(error).capitalize()}.")
        named = fields.get("client_id", [])
        if len(named) == 1:
            try:
                back = fields.get("redirect_uri", [])
                await server.documents.ensure(named[0], visitor(request), back[0] if len(back) == 1 else None)
            except DocumentRefused as error:
                return _refusal("invalid_client", f"The client's description at its own URL is no good: {error}.")
        return await run_in_threadpool(check, _as_text(fields), visitor(request))

    return Route("/oauth2/authorize", endpoint, methods=["GET", "POST"])


@dataclass(frozen=True, kw_only=True)
class RedirectQuestion(Question):
    """A question by redirect."""

    redirect_uri: str
    grant: AuthorizationCodeGrant

    @property
    def came(self) -> str:
        """This browser brought it; how a link got there nobody knows."""
        return "just now, by the link that opened this page"

    def settled(self) -> None:
        """None: it can be answered as long as it can be asked."""

    def approved(self, connection: sqlite3.Connection, account: Account, to: Consented) -> Response:
        """The session opens now, and the browser takes a code to the client.

        A yes that comes twice (a double click, a reload) opens no second session: the same one gets a new code, and
        the old code is void. A yes to anything else ends what the last one opened: what the human saw last is granted.
        """
        request = self.grant.request
        unused = self._unused(connection, account)
        if unused is not None and unused.grants(to.scope, self.resources, to.details):
            request.session = unused
        else:
            self._end(connection, unused)
            session_id = self._open_session(connection, account, to)
            request.session = find_session(connection, session_id)
        return self._answer(account)

    def approved_once(self, connection: sqlite3.Connection, account: Account, detail: dict[str, Any]) -> Response:
        """The browser takes a code for this purchase to the client; of a yes that comes twice only the last counts."""
        self._void(connection, account)
        request = self.grant.request
        request.approval = self._approve(connection, detail)
        request.session = find_session(connection, request.approval.session_id)
        return self._answer(account)

    def _void(self, connection: sqlite3.Connection, account: Account) -> None:
        void_unused_approvals(
            connection,
            sub=account.sub,
            client_id=self.client.client_id,
            redirect_uri=self.redirect_uri,
            code_challenge=self.grant.request.form["code_challenge"],
        )

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The browser takes `access_denied` to the client (RFC 6749 section 4.1.2.1); a yes before it is void."""
        self._void(connection, account)
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
            now=self.visit.context.now(),
        )

    def _end(self, connection: sqlite3.Connection, session: Session | None) -> None:
        """Revoke a session that nobody has a token of yet; its code is refused from now on."""
        if session is not None:
            now = self.visit.context.now()
            revoke_session(connection, session.id, kind="session", by=session.sub, now=now)

    def _answer(self, account: Account | None) -> Response:
        response: Response = self.visit.server.create_authorization_response(
            self.grant.request, grant_user=account, grant=self.grant
        )
        return response


def redirect_question(visit: Visit) -> RedirectQuestion:
    """The question in this visit's `request` field.

    Raises:
        PageRefused: with a redirect where the client can learn what is wrong and is known here, else with a page:
            nobody is sent to a place that is not certainly the client's, or that nobody here knows.
    """
    text = visit.fields["request"]
    if len(text) > LONGEST_REQUEST:
        raise PageRefused(_refusal("invalid_request", "The request is too long."))
    try:
        fields = parse_fields(text.encode())
    except (FormUnreadable, UnicodeError) as error:
        raise PageRefused(_refusal("invalid_request", "The request cannot be read.")) from error
    request = FormRequest(f"{visit.context.issuer}/oauth2/authorize", fields, Headers())
    try:
        grant: AuthorizationCodeGrant = visit.server.get_consent_grant(request)
    except OAuth2Error as error:
        if error.redirect_uri:
            raise PageRefused(_sent_back(visit, request, error)) from error
        raise PageRefused(_refusal(error.error, WORDS.get(error.error, ""))) from error
    return RedirectQuestion(
        visit=visit,
        client=grant.request.client,
        scope=grant.asked_scope,
        resources=grant.request.resources,
        details=grant.request.details,
        carried=carried(visit),
        redirect_uri=grant.redirect_uri,
        grant=grant,
    )


def _sent_back(visit: Visit, request: FormRequest, error: OAuth2Error) -> Response:
    """An error on its way to the client. A client that made itself known chose the place, and it may be any: there a
    human goes by their own click, and sees where, or we would be an open redirector (RFC 9700 section 4.11.2)."""
    back: Response = visit.server.refused(request, error)
    client = visit.server.query_client(request.form["client_id"])
    if client is not None and client.source == "known":
        return back
    return page(
        "leaving.html",
        400,
        client=client,
        error=error.error,
        why=error.description or "it is not well-formed",
        place=request.form["redirect_uri"],
        back=back.headers["location"],
    )


def _refusal(error: str, why: str) -> Response:
    """The page for a request that can be neither asked nor sent back."""
    text = f"{why} You are not sent anywhere, and nothing was granted. Go back, and start again. ({error})"
    return message(400, "This request cannot be trusted", text)


def _as_text(fields: dict[str, list[str]]) -> str:
    """A request's parameters, as the pages carry them."""
    return urlencode([(name, value) for name, values in fields.items() for value in values])
