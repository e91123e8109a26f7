"""Security events: each resource server hears of a revocation before it is answered.

A resource server acts on what it was told a moment before: an answer of introspection, or a stream that was verified.
In that moment a session may be revoked. So each revocation is pushed to it as a signed event (a security event token,
RFC 8417, pushed by RFC 8935; the event is CAEP's session-revoked), upon which it relies on nothing that it was told
before. The revocation is answered when each resource server has acknowledged that. One that does not, because it is
stopped or gone, relies on nothing for longer than its lease: then the revocation is answered when the lease is over. So
it is with one that has no stream by which it could be told, or has deleted it.

A stream is not verified, and so its lease does not become longer, while its resource server has not acknowledged all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..context import Context
from ..state.sessions import cause_of, find_session, owner_of_agent
from ..state.store import new_id
from ..state.streams import (
    Pending,
    Stream,
    acknowledge,
    count_from_now,
    last_revocation,
    origins_told,
    pending,
    use_stream,
)

TYPE: Final = "secevent+jwt"
"""RFC 8417 section 2.3."""
SESSION_REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
"""OpenID Continuous Access Evaluation Profile 1.0, section 3.1."""
VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"
"""OpenID Shared Signals Framework 1.0, section 8.1.4."""
RETRY_SECONDS: Final = 0.2
VERIFY_SECONDS: Final = 2.0
"""For all that a verification sends."""


@dataclass(frozen=True)
class Receipt:
    """What came of telling one resource server of one revocation.

    Args:
        kind, id: what was revoked.
        resource: the audience of the event.
        seconds: until it acknowledged, or until its lease was over.
    """

    jti: str
    kind: str
    id: str
    resource: str
    acknowledged: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As the account API tells it."""
        told = {"event": self.jti, "resource": self.resource, "acknowledged": self.acknowledged}
        return told | {"milliseconds": round(self.seconds * 1000)}


class SecurityEvents:
    """The events of one authorization server, and where they go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        with context.store.transaction() as connection:
            count_from_now(connection)

    def before_answering(self, route: Route) -> Route:
        """The route, whose answers are sent when all that was revoked so far holds at the resource servers."""
        inner: ASGIApp = route.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_settled(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await self.settle()
                await send(message)

            await inner(scope, receive, send_settled)

        route.app = app
        return route

    async def settle(self) -> tuple[Receipt, ...]:
        """Return when each revocation so far is acknowledged, or can be acted against by nobody any more."""
        waited = [one for one in await run_in_threadpool(self._pending) if self._context.leases.live(one.stream)]
        told = await self._deliver(waited)
        await asyncio.sleep(await run_in_threadpool(self._untold))
        return told

    async def verify(self, stream: Stream, state: str | None) -> None:
        """Push a verification event, if the stream's resource server acknowledges what is pending before."""
        # Before looking: what is revoked from now on waits for this resource server.
        self._context.leases.extend(stream.resource)
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                told = await self._deliver(await run_in_threadpool(self._pending, stream))
                if all(one.acknowledged for one in told):
                    event = {VERIFICATION: {} if state is None else {"state": state}}
                    subject = {"format": "opaque", "id": stream.id}
                    async with self._client([stream]) as http:
                        await self._push(http, stream, await self._token(stream, new_id("event"), subject, event))
        except TimeoutError:
            return  # not verified
        await run_in_threadpool(self._use, stream)

    async def _deliver(self, waiting: Iterable[Pending]) -> tuple[Receipt, ...]:
        waiting = tuple(waiting)
        if not waiting:
            return ()
        async with self._client([one.stream for one in waiting]) as http:
            return tuple(await asyncio.gather(*(self._tell(http, one) for one in waiting)))

    async def _tell(self, http: httpx2.AsyncClient, one: Pending) -> Receipt:
        began, acknowledged = time.monotonic(), False
        now = int(self._context.now())
        event = {SESSION_REVOKED: {"event_timestamp": now, **await run_in_threadpool(self._cause, one)}}
        token = await self._token(one.stream, one.jti, await run_in_threadpool(self._subject, one), event)
        while not acknowledged and (left := self._left(one)) > 0:
            try:
                async with asyncio.timeout(left):
                    acknowledged = await self._push(http, one.stream, token)
            except TimeoutError:
                break
            if not acknowledged:  # tried again, until it does not matter any more
                await asyncio.sleep(min(RETRY_SECONDS, max(0.0, self._left(one))))
        if acknowledged:
            await run_in_threadpool(self._acknowledge, one)
        return Receipt(one.jti, one.kind, one.id, one.stream.resource, acknowledged, time.monotonic() - began)

    async def _push(self, http: httpx2.AsyncClient, stream: Stream, token: str) -> bool:
        """Push an event once; whether it is acknowledged (RFC 8935 section 2.2)."""
        headers = {"Content-Type": f"application/{TYPE}", "Accept": "application/json"}
        try:
            async with http.stream("POST", stream.endpoint_url, content=token, headers=headers) as answer:
                return bool(answer.status_code == 202)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False

    def _client(self, streams: list[Stream]) -> httpx2.AsyncClient:
        # Without TLS there is nothing to verify, and loading the root certificates takes longer than the rest.
        secure = any(not one.endpoint_url.startswith("http:") for one in streams)
        return httpx2.AsyncClient(verify=secure, trust_env=False, timeout=self._context.config.lease_seconds)

    def _left(self, one: Pending) -> float:
        """Seconds until no answer from before this event is acted on any more."""
        return self._context.config.lease_seconds - (time.monotonic() - one.at)

    def _pending(self, stream: Stream | None = None) -> tuple[Pending, ...]:
        with self._context.store.transaction() as connection:
            return pending(connection, lease=self._context.config.lease_seconds, stream=stream)

    def _untold(self) -> float:
        """Seconds until nobody relies any more on what was said before the last revocation, of those who have no stream
        by which they were told of it."""
        with self._context.store.transaction(write=False) as connection:
            at, told = last_revocation(connection), origins_told(connection)
        if at is None:
            return 0.0
        over = min(at + self._context.config.lease_seconds, self._context.leases.longest(told))
        return max(0.0, over - time.monotonic())

    def _acknowledge(self, one: Pending) -> None:
        with self._context.store.transaction() as connection:
            acknowledge(connection, one)

    def _use(self, stream: Stream) -> None:
        with self._context.store.transaction() as connection:
            use_stream(connection, stream, self._context.now())

    async def _token(self, stream: Stream, jti: str, subject: dict[str, Any], events: dict[str, Any]) -> str:
        claims = {
            "iss": self._context.issuer,
            "aud": stream.resource,
            "jti": jti,
            "iat": int(self._context.now()),
            "sub_id": subject,
            "events": events,
        }
        return await run_in_threadpool(self._context.keys.sign, claims, typ=TYPE)

    def _cause(self, one: Pending) -> dict[str, Any]:
        """Who revoked it, and why (CAEP 1.0, section 2): for the resource server's records."""
        with self._context.store.transaction(write=False) as connection:
            found = cause_of(connection, one.kind, one.id)
        return {} if found is None else {"initiating_entity": found[0], "reason_admin": {"en": found[1]}}

    def _subject(self, one: Pending) -> dict[str, Any]:
        """Whose sessions they are, as a complex subject (OpenID Shared Signals Framework 1.0, section 3.3): always with
        the user, by whom a resource server may have sorted what it keeps."""
        sub: str | None = one.id
        with self._context.store.transaction(write=False) as connection:
            if one.kind == "session":
                session = find_session(connection, one.id)
                sub = None if session is None else session.sub
            elif one.kind == "agent":
                sub = owner_of_agent(connection, one.id)
        subject: dict[str, Any] = {"format": "complex"}
        if sub is not None:
            subject["user"] = {"format": "iss_sub", "iss": self._context.issuer, "sub": sub}
        if one.kind != "user":
            # An agent is the software that acts in a session: SSF's "application".
            name = "session" if one.kind == "session" else "application"
            subject[name] = {"format": "opaque", "id": one.id}
        return subject
