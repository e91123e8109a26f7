"""One visit of a human's browser to a page: who it is, by its cookie; read, checked against forgery from elsewhere, and
handed to the page."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..context import Context
from ..grants.server import OAuthServer
from ..requests import FormUnreadable, read_form, visitor
from ..state.accounts import Account
from ..state.store import digest
from .rendering import HEADERS, message

COOKIE = "auth_server_browser"
SIGNED_IN_SECONDS = 3600.0


@dataclass(frozen=True)
class Browser:
    """One browser. `secret` is its cookie; nothing about it is stored before somebody signs in."""

    secret: str
    account: Account | None = None
    signed_in_at: float = 0.0

    @property
    def csrf(self) -> str:
        """What this browser's forms carry. Who does not know the cookie cannot compute it."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()

    def brought(self, csrf: str) -> bool:
        """Whether `csrf` is this browser's; compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


def recognize(context: Context, cookie: str | None) -> Browser:
    """The browser with this cookie, or a new one."""
    if not cookie:
        return Browser(secrets.token_urlsafe(32))
    with context.store.transaction(write=False) as connection:
        row = connection.execute(
            "SELECT sub, signed_in_at FROM oauth_browser_sessions WHERE digest = ? AND expires_at > ?",
            (digest(cookie), context.now()),
        ).fetchone()
    if row is None:
        return Browser(cookie)
    return Browser(cookie, context.account(row["sub"]), row["signed_in_at"])


def signed_in(context: Context, before: Browser, account: Account) -> Browser:
    """A browser signed in as `account`, under a new cookie: anyone who planted the old one has no part in it."""
    after = Browser(secrets.token_urlsafe(32), account, context.now())
    with context.store.transaction() as connection:
        connection.execute(
            "DELETE FROM oauth_browser_sessions WHERE digest = ? OR expires_at <= ?",
            (digest(before.secret), context.now()),
        )
        connection.execute(
            "INSERT INTO oauth_browser_sessions (digest, sub, signed_in_at, expires_at) VALUES (?, ?, ?, ?)",
            (digest(after.secret), account.sub, after.signed_in_at, after.signed_in_at + SIGNED_IN_SECONDS),
        )
    return after


def signed_out(context: Context, before: Browser) -> Browser:
    """The same browser with nobody signed in, under a new cookie."""
    with context.store.transaction() as connection:
        connection.execute("DELETE FROM oauth_browser_sessions WHERE digest = ?", (digest(before.secret),))
    return Browser(secrets.token_urlsafe(32))


def set_cookie(context: Context, response: Response, browser: Browser) -> None:
    """Give the browser its cookie: for these pages only, out of scripts' reach, not sent along from elsewhere."""
    response.set_cookie(
        COOKIE,
        browser.secret,
        max_age=int(SIGNED_IN_SECONDS),
        path="/device",
        httponly=True,
        samesite="lax",
        secure=context.issuer.startswith("https:"),
    )


@dataclass(frozen=True)
class Visit:
    """What a page may know of a request. `fields` are the form's by POST and the query's by GET."""

    server: OAuthServer
    browser: Browser
    fields: dict[str, str]
    address: str
    offered: tuple[Account, ...] = ()
    """Whom this browser may sign in as."""

    @property
    def context(self) -> Context:
        """Of the server whose pages these are."""
        return self.server.context


Page = Callable[[Visit], Response]


class PageRefused(Exception):
    """The visit ends here, with this page."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def onward(path: str, **query: str) -> Response:
    """Send the browser to another of our pages, by GET (303). The path is relative: it stays on its origin."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303, HEADERS)


def page_route(server: OAuthServer, path: str, *, get: Page, post: Page) -> Route:
    """A page that shows itself by GET and acts by POST; only a POST from one of our own forms acts."""

    def respond(request: Request, fields: dict[str, str]) -> Response:
        context = server.context
        browser = recognize(context, request.cookies.get(COOKIE))
        visit = Visit(server, browser, fields, visitor(request), context.config.directory.offered(request.cookies))
        try:
            if request.method == "POST":
                _refuse_forgery(request, visit)
                response = post(visit)
            else:
                response = get(visit)
        except PageRefused as refused:
            response = refused.response
        if COOKIE not in request.cookies and "set-cookie" not in response.headers:
            set_cookie(context, response, visit.browser)
        return response

    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(respond, request, dict(request.query_params))
        try:
            form = await read_form(request)
        except FormUnreadable as error:
            return message(400, "This form cannot be read", f"{str(error).capitalize()}.", again=True)
        if any(len(values) > 1 for values in form.values()):
            return message(400, "This form cannot be read", "A field is given more than once.", again=True)
        return await run_in_threadpool(respond, request, {name: values[0] for name, values in form.items()})

    return Route(path, endpoint, methods=["GET", "POST"])


def _refuse_forgery(request: Request, visit: Visit) -> None:
    """Refuse a form that is not ours. The token is the proof; Origin also distinguishes another port of this machine,
    which shares our cookies (RFC 6265 section 8.5)."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise PageRefused(message(403, "This form came from somewhere else", "Nothing was changed.", again=True))
    if not visit.browser.brought(visit.fields.get("csrf", "")):
        text = "Nothing was changed. The page was open too long, or cookies are switched off. Enter the code again."
        raise PageRefused(message(403, "This form is stale", text, again=True))
