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
ENTERED = "entered"
"""The field with the mark of a browser that entered this code."""
QUESTIONS = ("request", "purchase", "user_code")
"""The fields by which a visit names its question."""
MOST_SIGNED_IN = 5000
"""Sign-ins that are remembered at once; of more the oldest are forgotten, and sign in again."""


@dataclass(frozen=True)
class Browser:
    """One browser. `secret` is its cookie; nothing about it is stored before somebody signs in.

    Somebody is signed in on one tab, which knows a secret of its own. It is in the tab's forms and addresses and in no
    cookie, because a cookie is sent to every port of its host (RFC 6265 section 8.5): on loopback to whoever of this
    machine's users has the browser sent there. A decision takes both.
    """

    secret: str
    tab: str = ""
    account: Account | None = None
    signed_in_at: float = 0.0

    @property
    def csrf(self) -> str:
        """What this browser's forms carry. Who does not know the cookie cannot compute it."""
        return self.mark("csrf")

    def mark(self, *what: str) -> str:
        """A mark that says something of this browser, and that only this server's pages and this browser can make."""
        return hmac.new(self.secret.encode(), " ".join(what).encode(), hashlib.sha256).hexdigest()

    def bears(self, mark: str, *what: str) -> bool:
        """Whether that is this browser's mark; compared in constant time."""
        return hmac.compare_digest(self.mark(*what).encode(), mark.encode())


def recognize(context: Context, cookie: str | None, tab: str) -> Browser:
    """The browser with this cookie, or a new one; with its account where this tab is signed in."""
    if not cookie:
        return Browser(secrets.token_urlsafe(32))
    with context.store.transaction(write=False) as connection:
        row = connection.execute(
            "SELECT sub, signed_in_at FROM oauth_browser_sessions WHERE digest = ? AND expires_at > ?",
            (_session(cookie, tab), context.now()),
        ).fetchone()
    if row is None:
        return Browser(cookie)
    return Browser(cookie, tab, context.account(row["sub"]), row["signed_in_at"])


def _session(cookie: str, tab: str) -> str:
    return digest(f"{cookie} {tab}")


def signed_in(context: Context, before: Browser, account: Account) -> Browser:
    """The same browser, with `account` signed in on this tab. Who planted its cookie does not know the tab's secret."""
    after = Browser(before.secret, secrets.token_urlsafe(32), account, context.now())
    with context.store.transaction() as connection:
        connection.execute(
            "DELETE FROM oauth_browser_sessions WHERE digest = ? OR expires_at <= ? OR rowid IN"
            " (SELECT rowid FROM oauth_browser_sessions ORDER BY signed_in_at DESC LIMIT -1 OFFSET ?)",
            (_session(before.secret, before.tab), context.now(), MOST_SIGNED_IN - 1),
        )
        connection.execute(
            "INSERT INTO oauth_browser_sessions (digest, sub, signed_in_at, expires_at) VALUES (?, ?, ?, ?)",
            (
                _session(after.secret, after.tab),
                account.sub,
                after.signed_in_at,
                after.signed_in_at + SIGNED_IN_SECONDS,
            ),
        )
    return after


def signed_out(context: Context, before: Browser) -> Browser:
    """The same browser with nobody signed in on this tab."""
    with context.store.transaction() as connection:
        session = _session(before.secret, before.tab)
        connection.execute("DELETE FROM oauth_browser_sessions WHERE digest = ?", (session,))
    return Browser(before.secret)


def cookie_name(context: Context) -> str:
    """The cookie's name: over https one that no other host and no plain http can set or read (RFC 6265bis, `__Host-`).
    On loopback there is no https."""
    return COOKIE if context.on_loopback else f"__Host-{COOKIE}"


def set_cookie(context: Context, response: Response, browser: Browser) -> None:
    """Give the browser its cookie: out of scripts' reach, not sent along from elsewhere, and for these pages only;
    `__Host-` wants the path `/`."""
    response.set_cookie(
        cookie_name(context),
        browser.secret,
        max_age=int(SIGNED_IN_SECONDS),
        path="/device" if context.on_loopback else "/",
        httponly=True,
        samesite="lax",
        secure=not context.on_loopback,
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
    started: str | None = None
    """The user code that this browser was shown by a page of this very server, where it started that request."""

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
        cookies, directory, name = request.cookies, context.config.directory, cookie_name(context)
        browser = recognize(context, cookies.get(name), fields.get("tab", ""))
        visit = Visit(server, browser, fields, visitor(request), directory.offered(cookies), directory.started(cookies))
        try:
            _refuse_two_questions(visit)
            if request.method == "POST":
                _refuse_forgery(request, visit)
                response = post(visit)
            else:
                response = get(visit)
        except PageRefused as refused:
            response = refused.response
        if not cookies.get(name):
            set_cookie(context, response, visit.browser)
        return response

    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            query = dict(request.query_params)
            if not _is_our_own_step(request):
                query.pop(ENTERED, None)
            return await run_in_threadpool(respond, request, query)
        try:
            form = await read_form(request)
        except FormUnreadable as error:
            return message(400, "This form cannot be read", f"{str(error).capitalize()}.", again=True)
        if any(len(values) > 1 for values in form.values()):
            return message(400, "This form cannot be read", "A field is given more than once.", again=True)
        return await run_in_threadpool(respond, request, {name: values[0] for name, values in form.items()})

    return Route(path, endpoint, methods=["GET", "POST"])


def _is_our_own_step(request: Request) -> bool:
    """Whether one of our pages led here, as far as a browser says (Fetch Metadata, `Sec-Fetch-Site`). Somebody else's
    link may hold the mark of a code that was entered under a cookie which they planted."""
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _refuse_two_questions(visit: Visit) -> None:
    """Refuse a visit that names two questions: one could be shown, and the other answered."""
    if sum(name in visit.fields for name in QUESTIONS) > 1:
        text = "The link names more than one question. Nothing was granted. Start again from where it came."
        raise PageRefused(message(400, "This link cannot be trusted", text))


def _refuse_forgery(request: Request, visit: Visit) -> None:
    """Refuse a form that is not ours. The token is the proof; Origin also distinguishes another port of this machine,
    which shares our cookies (RFC 6265 section 8.5)."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise PageRefused(message(403, "This form came from somewhere else", "Nothing was changed.", again=True))
    if not visit.browser.bears(visit.fields.get("csrf", ""), "csrf"):
        text = "Nothing was changed. The page was open too long, or cookies are switched off. Enter the code again."
        raise PageRefused(message(403, "This form is stale", text, again=True))
