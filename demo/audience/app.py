"""The room's routes: the talk as it is seen, and an attendee's own agent. By GET nothing changes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demo.audience import page
from demo.audience.agents import Agents
from demo.audience.attendees import COOKIE, MOST, Attendee, Attendees, NoRoom
from demo.audience.feed import Feed, Room
from demo.audience.guard import App, Guard
from demo.audience.hub import Hub, News
from demo.audience.issuer import Issuer
from demo.audience.names import UnsuitableName
from deputize.evidence import Money

WATCHERS: Final = MOST + 200
"""Event streams at the same time: everybody, and some who have two windows."""
POLL_SECONDS: Final = 0.1
"""Between two looks at the recording."""
TOTALS_SECONDS: Final = 1.0
"""Between two countings of the room."""
COOKIE_SECONDS: Final = 4 * 3600


class RoomApp:
    """One room: who is in it, what they see, and the loop that looks for news.

    Args:
        issuer: the attendees' authorization server and shop.
        attendees: who is in it.
        feed: what is on stage.
        shared: whether one network address stands for many people.
    """

    def __init__(self, issuer: Issuer, attendees: Attendees, feed: Feed, *, shared: bool) -> None:
        self._issuer = issuer
        self._attendees = attendees
        self._feed = feed
        self._shared = shared
        self.hub = Hub(WATCHERS)
        self.agents = Agents(issuer.origin, self._changed)
        self._parts = page.parts(Room(), page.Totals())

    def outside(self, more: tuple[BaseRoute, ...] = ()) -> App:
        """The application for phones, guarded.

        Args:
            more: further routes of the same server.
        """
        origin = self._issuer.origin
        ours = [
            Route("/", self._room, methods=["GET"]),
            Route("/feed", self._stream, methods=["GET"]),
            Route("/you", self._you, methods=["GET"]),
            Route("/you", self._join, methods=["POST"]),
            Route("/you/ask", self._ask, methods=["POST"]),
            Route("/you/buy", self._buy, methods=["POST"]),
            Route("/room.css", _static("room.css", "text/css"), methods=["GET"]),
            Route("/room.js", _static("room.js", "text/javascript"), methods=["GET"]),
        ]
        app = Starlette(routes=[*ours, *self._issuer.pages, *more], exception_handlers={404: _nothing, 500: _broken})
        return Guard(app, frozenset({urlsplit(origin).netloc}), frozenset({origin}), shared=self._shared)

    def control(self, secret: str) -> tuple[Route, ...]:
        """The routes for the presenter's command line, which are on loopback.

        Args:
            secret: what it has to bring.
        """

        async def revoke(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), secret.encode()):
                return JSONResponse({"error": "invalid_token"}, 401)
            which = request.path_params["which"]
            number = int(which) if which.isascii() and which.isdecimal() else None
            if which != "all" and (number is None or self._attendees.numbered(number) is None):
                return JSONResponse({"error": "not_found"}, 404)
            return JSONResponse({"revoked": await self.revoke(number)})

        return (Route("/room/revoke/{which}", revoke, methods=["POST"]),)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it lasts, the recording is followed and the room counted."""
        async with self._issuer.lifespan():
            tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._count())]
            try:
                yield
            finally:
                self.hub.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self.agents.close()

    async def revoke(self, number: int | None) -> list[dict[str, object]]:
        """Revoke the agent of one attendee, or with None of all; whose agents they were.

        When this returns, the shop has heard of it.
        """
        subs = [f"user_room_{one}" for one in ((number,) if number is not None else range(1, MOST + 1))]
        revoked = await run_in_threadpool(self._issuer.revoke, tuple(subs))
        await self._issuer.settled()
        whose = [
            attendee
            for one in revoked
            if (attendee := self._attendees.numbered(int(one.rpartition("_")[2]))) is not None
        ]
        self.agents.revoked(whose)
        return [{"number": one.number, "name": one.name} for one in whose]

    # What changes by itself

    async def _follow(self) -> None:
        while True:
            with suppress(Exception):  # whatever a recording holds, the page goes on with its next event
                await self._news()
            await asyncio.sleep(POLL_SECONDS)

    async def _news(self) -> None:
        for room in await run_in_threadpool(self._feed.news, time.monotonic()):
            before, after = self._parts, await run_in_threadpool(self._drawn, room)
            self._parts = after
            for part, html in after.items():
                old = before[part]
                if html == old:
                    continue
                if part == "panels" and old and html.endswith(old):
                    self.hub.publish(part, html.removesuffix(old), added=True)
                else:
                    self.hub.publish(part, html)

    def _drawn(self, room: Room) -> dict[str, str]:
        return page.parts(room, self._totals())

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(TOTALS_SECONDS)
            html = page.render("totals.html", totals=self._totals())
            if html != self._parts["totals"]:
                self._parts = {**self._parts, "totals": html}
                self.hub.publish("totals", html)

    def _totals(self) -> page.Totals:
        deputies = self.agents.all()
        return page.Totals(
            len(self._attendees),
            sum(one.state == "allowed" for one in deputies),
            sum(one.bought for one in deputies),
            str(Money(sum(one.spent for one in deputies))),
            sum(one.state == "revoked" for one in deputies),
        )

    def _changed(self, attendee: Attendee) -> None:
        self._attendees.asks(attendee, self.agents.of(attendee).code)
        self.hub.nudge(attendee.number)

    # What is asked for

    async def _room(self, request: Request) -> Response:
        attendee = self._attendees.of(request.cookies)
        parts = dict(self._parts)
        if attendee is not None:
            parts["short"] = page.WORDS[self.agents.of(attendee).state]
        return page.page("room.html", after=self.hub.last, attendee=attendee, parts=parts)

    async def _stream(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        if self.hub.full:
            busy = "Too many pages are open. This one tries again."
            return Response(busy, 503, {"Retry-After": "15", "Cache-Control": "no-store"})
        attendee = self._attendees.of(request.cookies)
        asked = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 12 else None
        csrf = _csrf(request)

        def own() -> str:
            assert attendee is not None
            return page.own(attendee, self.agents.of(attendee), csrf)

        async def events() -> AsyncIterator[ServerSentEvent]:
            number = attendee.number if attendee is not None else None
            with self.hub.watching(number) as watcher:
                watcher.own = number is not None
                async for news in self.hub.follow(watcher, after, lambda: self._parts, own):
                    yield _event(news)
                    if news.part == "you" and attendee is not None:
                        yield _event(News(news.id, "short", page.WORDS[self.agents.of(attendee).state]))

        # A reverse proxy must not keep events back; nginx and many tunnels obey this header.
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return EventSourceResponse(events(), headers=headers, ping=15, send_timeout=10)

    async def _you(self, request: Request) -> Response:
        attendee = self._attendees.of(request.cookies)
        if attendee is not None and "decided" in request.query_params:
            self.agents.came_back(attendee)  # it only asks sooner what it would ask anyway
        return self._yours(request, attendee)

    def _yours(self, request: Request, attendee: Attendee | None, status: int = 200, **said: str) -> Response:
        parts = {}
        if attendee is not None:
            deputy = self.agents.of(attendee)
            parts = {"you": page.own(attendee, deputy, _csrf(request)), "short": page.WORDS[deputy.state]}
        told = {"typed": "", "fault": "", **said}
        return page.page("you.html", status, after=self.hub.last, attendee=attendee, parts=parts, **told)

    async def _join(self, request: Request) -> Response:
        attendee, secret = self._attendees.of(request.cookies), None
        if attendee is None:
            name = (await _form(request)).get("name", "")
            address = request.client.host if request.client else ""
            try:
                attendee, secret = await run_in_threadpool(self._attendees.join, name, address, shared=self._shared)
            except UnsuitableName as unsuitable:
                return self._yours(request, None, 400, fault=str(unsuitable), typed=name[:24])
            except NoRoom as full:
                return page.page("message.html", 503, after="", title="No place is left", text=str(full))
        assert attendee is not None
        await self.agents.ask(attendee)
        response = _onward()
        if secret is not None:
            secure = self._issuer.origin.startswith("https:")
            # For the whole origin: the authorization server offers this cookie its own account.
            response.set_cookie(
                COOKIE, secret, max_age=COOKIE_SECONDS, path="/", httponly=True, samesite="lax", secure=secure
            )
        return response

    async def _ask(self, request: Request) -> Response:
        attendee = await self._acting(request)
        if attendee is not None:
            await self.agents.ask(attendee)
        return _onward()

    async def _buy(self, request: Request) -> Response:
        attendee = await self._acting(request)
        if attendee is not None:
            self.agents.call(attendee)
        return _onward()

    async def _acting(self, request: Request) -> Attendee | None:
        """The attendee whose form this is; None where it is not one of ours."""
        given = (await _form(request)).get("csrf", "")
        attendee = self._attendees.of(request.cookies)
        return attendee if hmac.compare_digest(given.encode(), _csrf(request).encode()) else None


def _event(news: News) -> ServerSentEvent:
    name = f"+{news.part}" if news.added else news.part
    return ServerSentEvent(news.html, event=name, id=str(news.id), retry=3000)


def _csrf(request: Request) -> str:
    """What an attendee's forms carry; who does not know their cookie cannot compute it."""
    return hmac.new(request.cookies.get(COOKIE, "").encode("utf-8", "replace"), b"room", hashlib.sha256).hexdigest()


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; none where it is not one."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl((await request.body()).decode(), max_num_fields=8))
    except (ValueError, ClientDisconnect):
        return {}


def _onward() -> Response:
    """To the attendee's page, by GET."""
    return RedirectResponse("/you", 303, page.HEADERS)


def _static(name: str, media_type: str) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"}
        return Response(page.static(name), media_type=media_type, headers=headers)

    return answer


async def _nothing(_: Request, __: Exception) -> Response:
    return page.page("message.html", 404, after="", title="Nothing is here", text="The talk is on the first page.")


async def _broken(_: Request, __: Exception) -> Response:
    text = "The talk goes on; try again in a moment."
    return page.page("message.html", 500, after="", title="That did not work", text=text)
