"""The second screen as a web page, on a laptop or phone: the same view, sent as it changes, and buttons for the stage.

Who has the secret is the presenter. It comes once in the address that `demo presenter --web` prints, and then in two
halves: a cookie, and what the tab keeps for itself, since a cookie is sent to every port of its host (RFC 6265 section
8.5). Nobody else sees anything, and no page of another origin leads the stage: `Host` and `Origin` are held against the
names that this server was given (DNS rebinding, CSRF).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from demo.presenter.desk import Desk, as_line
from deputize import net
from talk.recording.remote import Do

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOK_SECONDS: Final = 0.2
PING_SECONDS: Final = 10
READERS: Final = 16
"""Pages that are followed at the same time; more are told to try later."""
LARGEST_BODY: Final = 1000
PAGE: Final = Path(__file__).with_name("page.html")
UNKNOWN_BROWSER: Final = (
    "This page is the presenter's alone.\n"
    "Open the whole address that `demo presenter --web` printed: it carries the key.\n"
)


class Feed:
    """The view as the latest line of JSON. One task looks, however many pages follow; and none looks where none do."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.readers = 0
        self._line = ""
        self._changed = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None

    async def lines(self) -> AsyncIterator[str]:
        """The present line, and then each new one."""
        if self._looking is None or self._looking.done():
            self._line = ""
            self._looking = asyncio.create_task(self._look())
        sent = ""
        while True:
            async with self._changed:
                while self._line == sent:
                    await self._changed.wait()
                sent = self._line
            yield sent

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        while self.readers > 0:
            line = as_line(await run_in_threadpool(self.desk.view))
            if line != self._line:
                async with self._changed:
                    self._line = line
                    self._changed.notify_all()
            await asyncio.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class Place:
    """An origin at which the page is reached, and its path there, which ends with a slash."""

    origin: str
    path: str = "/"

    @property
    def host(self) -> str:
        """The `Host` of requests that come by it."""
        return urlsplit(self.origin).netloc


class Guard:
    """ASGI wrapper: a foreign `Host` or `Origin` is refused on every path, before the secret is looked at.

    Args:
        places: where the page is reached at this moment.
    """

    def __init__(self, app: ASGIApp, places: Callable[[], Iterable[Place]]) -> None:
        self.app = app
        self.places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            host, origin = headers.get(b"host", ""), headers.get(b"origin")
            place = next((one for one in self.places() if one.host == host), None)
            if place is None:
                await _plainly(403, f"this server is not {host or 'nameless'}\n")(scope, receive, send)
                return
            if origin not in (None, place.origin):
                await _plainly(403, f"requests from pages of {origin} are not served\n")(scope, receive, send)
                return
            scope["state"] = {**scope.get("state", {}), "place": place}
        await self.app(scope, receive, send)


def presenter_app(desk: Desk, secret: str, places: Callable[[], Iterable[Place]]) -> Guard:
    """The second screen as an ASGI app, which asks for its secret itself.

    Args:
        places: where it is reached at this moment; elsewhere it is not served.
    """
    feed = Feed(desk)
    # By its secret: the pages of two state folders may stand on two ports, and a cookie knows no port (RFC 6265 8.5).
    cookie = f"demo_presenter_{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
    browser, tab = half(secret, "browser"), half(secret, "tab")

    def known(request: Request) -> bool:
        return hmac.compare_digest(request.cookies.get(cookie, "").encode(), browser.encode())

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def asked(request: Request) -> Response:
            own = hmac.compare_digest(request.query_params.get("tab", "").encode(), tab.encode())
            return await answer(request) if own and known(request) else _plainly(401, UNKNOWN_BROWSER)

        return asked

    async def home(request: Request) -> Response:
        given, place = request.query_params.get("key"), request.state.place
        if given is not None:
            if not hmac.compare_digest(given.encode(), secret.encode()):
                return _plainly(401, UNKNOWN_BROWSER)
            # Out of the address bar, which an audience may see, and out of the history. A fragment is sent to no
            # server, and the page takes it out of its address.
            answer = RedirectResponse(f"{place.path}#{tab}", 303, _headers())
            secure = place.origin.startswith("https://")
            # Lax: with Strict a browser that came from a link in somebody's chat would leave it out of this redirect.
            answer.set_cookie(cookie, browser, path=place.path, httponly=True, samesite="lax", secure=secure)
            return answer
        if not known(request):
            return _plainly(401, UNKNOWN_BROWSER)
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(PAGE.read_text("utf-8").replace("NONCE", nonce), headers=_headers(nonce))

    async def events(_: Request) -> Response:
        from sse_starlette import EventSourceResponse, ServerSentEvent

        class Followed(EventSourceResponse):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                feed.readers += 1
                try:
                    await super().__call__(scope, receive, send)
                finally:
                    feed.readers -= 1

        async def views() -> AsyncIterator[ServerSentEvent]:
            async for line in feed.lines():
                yield ServerSentEvent(line, event="view")

        if feed.readers >= READERS:
            return _plainly(503, "too many pages are open\n")
        # A comment, which is what a ping is by default, reaches no script: a page could not tell silence from an end.
        return Followed(
            views(),
            ping=PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent("", event="still"),
            headers=_headers(),
            send_timeout=10,
        )

    async def remote(request: Request) -> Response:
        # Of a page of ours each browser says so; what says nothing is no browser, and has the secret all the same.
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _plainly(403, "only this page's own buttons lead the stage\n")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _plainly(415, "a command is JSON\n")
        try:
            if int(request.headers.get("content-length") or LARGEST_BODY + 1) > LARGEST_BODY:
                return _plainly(413, "too long for a command\n")
            asked = json.loads(await request.body())
            do, beat = asked["do"], asked.get("beat")
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            return _plainly(400, "no such command\n")
        shown = await run_in_threadpool(desk.view)
        if do not in get_args(Do) or (do == "goto") != (beat is not None):
            return _plainly(400, "no such command\n")
        if beat is not None and beat not in [one.id for one in shown.beats]:
            return _plainly(400, "no such beat\n")
        trouble = shown.detached if do not in ("hold", "resume") else ""
        trouble = trouble or await run_in_threadpool(desk.send, do, beat)
        return JSONResponse({"trouble": trouble}, 409 if trouble else 200, _headers())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await feed.close()

    routes = [
        Route("/", home),
        Route("/events", guarded(events)),
        Route("/remote", guarded(remote), methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), places)


def half(secret: str, what: str) -> str:
    """A half of a page's key: it takes both, neither is the secret, and neither leads to the other."""
    return hmac.new(secret.encode(), what.encode(), hashlib.sha256).hexdigest()


def on_loopback(port: int) -> tuple[Place, ...]:
    """The places of a server on loopback."""
    return tuple(Place(f"http://{name}:{port}") for name in net.LOOPBACK_NAMES)


def _plainly(status: int, text: str) -> Response:
    return PlainTextResponse(text, status, _headers())


def _headers(nonce: str = "") -> dict[str, str]:
    own = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; " if nonce else ""
    policy = f"default-src 'none'; {own}frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
