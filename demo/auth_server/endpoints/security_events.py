"""Security events: the resource server hears of each revocation before it is answered.

A resource server asks about each token by introspection, and acts on the answer a moment later. In that moment the
session behind it may be revoked. So each revocation is pushed to it as a signed event (a security event token, RFC
8417, pushed by RFC 8935; the event is CAEP's session-revoked), upon which it trusts no answer that it asked for before.
The revocation is answered when the resource server has acknowledged that. One that does not, because it is stopped or
gone, trusts no answer for longer than its lease: then the revocation is answered when the lease is over.

Events are kept as long as a lease lasts: later nobody acts any more on an answer from before.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..context import Context

TYPE = "secevent+jwt"
"""RFC 8417 section 2.3."""
SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
"""OpenID Continuous Access Evaluation Profile 1.0, section 3.1."""
RETRY_SECONDS = 0.2


class SecurityEvents:
    """The events of one authorization server, and where they go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._receiver = context.config.event_receiver

    def before_answering(self, route: Route) -> Route:
        """The route, whose answers are sent when all that was revoked so far holds at the resource server."""
        inner: ASGIApp = route.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_settled(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await self.settle()
                await send(message)

            await inner(scope, receive, send_settled)

        route.app = app
        return route

    async def settle(self) -> None:
        """Return when each revocation so far is acknowledged, or can be acted against by nobody any more."""
        pending = await run_in_threadpool(self._pending)
        if pending and self._receiver is not None:
            endpoint = self._receiver[1]
            # Without TLS there is nothing to verify, and loading the root certificates takes longer than the rest.
            async with httpx2.AsyncClient(verify=not endpoint.startswith("http:"), trust_env=False) as http:
                await asyncio.gather(*(self._deliver(http, endpoint, event) for event in pending))

    async def _deliver(self, http: httpx2.AsyncClient, endpoint: str, event: sqlite3.Row) -> None:
        headers = {"Content-Type": f"application/{TYPE}", "Accept": "application/json"}
        token = await run_in_threadpool(self._token, event)
        while (left := self._left(event)) > 0:
            try:
                async with asyncio.timeout(left):
                    answer = await http.post(endpoint, content=token, headers=headers, timeout=left)
                if answer.status_code == 202:  # RFC 8935 section 2.2
                    await run_in_threadpool(self._forget, event)
                    return
            except (httpx2.HTTPError, TimeoutError):
                pass  # tried again, until it does not matter any more
            await asyncio.sleep(min(RETRY_SECONDS, max(0.0, self._left(event))))

    def _left(self, event: sqlite3.Row) -> float:
        """Seconds until no answer from before this event is acted on any more."""
        # After a restart of the machine its clock begins again: then what is kept counts from now.
        age: float = time.monotonic() - event["at"]
        return self._context.config.lease_seconds - max(0.0, age)

    def _pending(self) -> list[sqlite3.Row]:
        with self._context.store.transaction(write=False) as connection:
            rows = connection.execute("SELECT * FROM oauth_security_events").fetchall()
        over = [row for row in rows if self._receiver is None or self._left(row) <= 0]
        if over:
            self._forget(*over)
        return [row for row in rows if row not in over]

    def _forget(self, *events: sqlite3.Row) -> None:
        with self._context.store.transaction() as connection:
            connection.executemany("DELETE FROM oauth_security_events WHERE jti = ?", [(one["jti"],) for one in events])

    def _token(self, event: sqlite3.Row) -> str:
        assert self._receiver is not None
        now = int(self._context.now())
        claims: dict[str, Any] = {
            "iss": self._context.issuer,
            "aud": self._receiver[0],
            "jti": event["jti"],
            "iat": now,
            "sub_id": self._subject(event["kind"], event["id"]),
            "events": {SESSION_REVOKED: {"event_timestamp": now}},
        }
        return self._context.keys.sign(claims, typ=TYPE)

    def _subject(self, kind: str, id: str) -> dict[str, Any]:
        """Whose sessions they are, as a complex subject (OpenID Shared Signals Framework 1.0, section 3)."""
        if kind == "user":
            return {"format": "complex", "user": {"format": "iss_sub", "iss": self._context.issuer, "sub": id}}
        # An agent is the software that acts in a session: SSF's "application".
        return {"format": "complex", "session" if kind == "session" else "application": {"format": "opaque", "id": id}}
