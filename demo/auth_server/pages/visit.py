"""One visit of a browser to a page: read, checked against forgery from elsewhere, and handed to the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..context import Authority
from ..endpoints.oauth import OAuthServer
from ..endpoints.requests import FormUnreadable, read_form, visitor
from .browser import COOKIE, Browser, recognize, set_cookie
from .rendering import HEADERS, message


@dataclass(frozen=True)
class Visit:
    """What a page may know of a request. `fields` are the form's by POST and the query's by GET."""

    server: OAuthServer
    browser: Browser
    fields: dict[str, str]
    address: str

    @property
    def authority(self) -> Authority:
        """The authority whose pages these are."""
        return self.server.authority


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
        authority = server.authority
        visit = Visit(server, recognize(authority, request.cookies.get(COOKIE)), fields, visitor(request))
        try:
            if request.method == "POST":
                _refuse_forgery(request, visit)
                response = post(visit)
            else:
                response = get(visit)
        except PageRefused as refused:
            response = refused.response
        if COOKIE not in request.cookies and "set-cookie" not in response.headers:
            set_cookie(authority, response, visit.browser)
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
    """Refuse a form that is not ours. The token is the proof; Origin also tells apart another port of this machine,
    which shares our cookies (RFC 6265 section 8.5)."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise PageRefused(message(403, "This form came from somewhere else", "Nothing was changed.", again=True))
    if not visit.browser.brought(visit.fields.get("csrf", "")):
        text = "Nothing was changed. The page was open too long, or cookies are switched off. Enter the code again."
        raise PageRefused(message(403, "This form is stale", text, again=True))
