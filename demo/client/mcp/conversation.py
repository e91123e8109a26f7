"""One conversation over MCP: a script of requests on its way through a session, each answer read from the wire."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from demo.client.http.bounded import unwrap
from demo.client.http.connection import Connection, connect
from demo.client.http.exchange import HttpExchange
from demo.client.http.recorder import BODY_IN_MEMORY
from demo.client.http.sanitizing import safe_text
from demo.client.mcp.asking import Asker, Record
from demo.client.mcp.elicitation import ANSWERING, Answerer, Elicit
from demo.client.mcp.reply import Reply, request_in
from demo.errors import ServerUnreachable

if TYPE_CHECKING:
    import httpx2
    from mcp.client.session import ClientSession

    from demo.client.mcp.held import Held
    from demo.client.mcp.sse import EventChannel

MODERN = "2026-07-28"
"""Stateless, so that one call is one POST."""

HANDSHAKE = "legacy"
"""The `initialize` handshake of the revisions before it."""

EVENTS = "sse"
"""The HTTP+SSE transport of 2024-11-05, for a server that takes no POST at its URL."""

GOODBYE = 2.0
"""Seconds for ending a session that has already answered; an answer is not lost to a server slow to part."""

FIRST_EVENT = 5.0
"""Seconds in which a stream of the oldest transport must have begun, and its handshake be over."""

SESSIONS = 2
"""Sessions that one conversation may take: where the server ends one (HTTP 404), a new one is begun, once."""

Requests = Generator[tuple[Any, Any], Reply, None]
Script = Callable[[], Requests]
"""Begins a conversation: gives one request after the other, each with its result's type, and is sent each reply."""


class NoStream(ServerUnreachable):
    """There is no stream of events of the oldest transport."""


class Conversation:
    """A script on its way. It outlasts a session that the server ends.

    Args:
        connection: the way to the server.
        url: the MCP endpoint.
        auth: what puts authority on each request, None for none.
        mode: `MODERN`, `HANDSHAKE` or `EVENTS`.
        mirroring: names of tools with arguments in headers; what is learned on the way is added.
        elicit: answers what the server asks in mid-call.
        held: the session to go on in, of `HANDSHAKE`; None for a new one.
        keep: whether its session is left standing for the next, and not ended.

    After `hold`, `held` is the session that stands, None where none does.
    """

    def __init__(
        self,
        connection: Connection,
        url: str,
        auth: httpx2.Auth | None,
        *,
        mode: str,
        mirroring: set[str],
        elicit: Elicit | None,
        held: Held | None = None,
        keep: bool = False,
    ) -> None:
        self._connection = connection
        self._url = url
        self._auth = auth
        self._mode = mode
        self._mirroring = mirroring
        self._answerer = None if elicit is None else Answerer(elicit, connection.recorder.masked)
        self._record = Record(connection, url)
        self.answered: list[Reply] = []
        self.held = held
        self._keep = keep

    async def hold(self, script: Script) -> list[Reply]:
        """Hold the conversation to its end, or to where the server ends it.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server; `NoStream` or `Stranger` where it spoke otherwise.
            whatever `elicit` raises.
        """
        requests = script()
        following = next(requests, None)
        with self._connection.recorder.collect() as self._record.whole:
            for remaining in reversed(range(SESSIONS)):
                following, gone = await self._session(requests, following, may_end=remaining > 0)
                if not gone:
                    break
        if self._answerer is not None and self._answerer.failure is not None:
            raise self._answerer.failure
        return self.answered

    async def _session(
        self, requests: Requests, request: tuple[Any, Any] | None, *, may_end: bool
    ) -> tuple[tuple[Any, Any] | None, bool]:
        """One session: the request it left without an answer, and whether that was because the server had ended it."""
        import anyio

        channel = self._channel()
        opened = over = gone = False
        with anyio.CancelScope() as scope:
            if channel is not None:
                channel.over, scope.deadline = scope.cancel, anyio.current_time() + FIRST_EVENT
            try:
                async with self._opened(channel) as session:
                    opened, scope.deadline = True, math.inf
                    asker = Asker(session, self._connection, self._record, self._mirroring, self._answerer)
                    while request is not None and not gone:
                        await asker.ask(request)
                        raws = self._record.raws()
                        gone = may_end and self._record.session_is_gone(raws)
                        if not gone:
                            request = self._take(requests, raws)
                    over = True
                    scope.deadline = anyio.current_time() + GOODBYE
            except ServerUnreachable:
                raise
            except Exception as error:
                # The SDK makes one vague error of a refused handshake, of HTTP 401, 403 and 429, and of an answer
                # that it cannot read. What it was stands in the record.
                self._record.trouble = self._record.trouble or unwrap(error)
                over = over and bool(self.answered or gone)
        if gone:
            self._record.next()  # what the old session answered is no answer to what is sent in the new one
            self.held = None
            return request, True
        if not over or not self.answered:
            if channel is not None and channel.problem is not None:
                raise channel.problem
            try:
                self._take(None, self._record.raws())
            except ServerUnreachable:
                if channel is not None and not opened and not channel.begun:
                    raise NoStream(
                        f"{safe_text(self._url, one_line=True)} opens no stream of events",
                        why="it takes no POST either",
                        do="check --server",
                    ) from None
                raise
        return None, False

    @asynccontextmanager
    async def _opened(self, channel: EventChannel | None) -> AsyncIterator[ClientSession]:
        from mcp.client import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.types import Implementation

        from demo import __version__
        from demo.client.mcp.http import McpHttp

        seconds = self._connection.timeout + (ANSWERING if self._answerer else 0.0)
        async with AsyncExitStack() as stack:
            if channel is not None:
                transport = channel.transport(seconds)
            else:
                http = await stack.enter_async_context(
                    connect(self._connection.recorder, seconds=seconds, kind=McpHttp)
                )
                if self._auth is not None:
                    http.auth = self._auth
                transport = streamable_http_client(
                    self._url, http_client=http, max_sse_event_size=BODY_IN_MEMORY, terminate_on_close=not self._keep
                )
            about = Implementation(name="machine-identity-demo", version=__version__)
            self._record.resumed = self.held is not None
            if self.held is not None:
                from demo.client.mcp.held import resumed

                http.headers.update(self.held.headers)
                read, write = await stack.enter_async_context(transport)
                session = resumed(
                    self.held,
                    read,
                    write,
                    client_info=about,
                    read_timeout_seconds=seconds,
                    elicitation_callback=self._answerer,
                )
                await stack.enter_async_context(session)
            else:
                client = Client(
                    transport,
                    mode=HANDSHAKE if channel is not None else self._mode,
                    client_info=about,
                    cache=None,
                    read_timeout_seconds=seconds,
                    elicitation_callback=self._answerer,
                )
                session = (await stack.enter_async_context(client)).session
            try:
                yield session
            finally:
                if self._keep and self._mode == HANDSHAKE:
                    self.held = self._standing(session)

    def _standing(self, session: ClientSession) -> Held | None:
        """The session as the next conversation can go on in it; None where the server gave it no name."""
        from demo.client.mcp.held import SESSION, Held

        asked_here = [(raw, message) for raw in self._record.whole if (message := request_in(raw)) is not None]
        begun = [raw for raw, message in asked_here if message["method"] == "initialize"]
        name = self.held.id if self.held is not None else begun[-1].header(SESSION) if begun else ""
        if not name or session.initialize_result is None:
            return None
        used = [message["id"] for _, message in asked_here if isinstance(message["id"], int)]
        next_id = max([*used, self.held.next_id - 1 if self.held is not None else 0]) + 1
        return Held(name, session.initialize_result, next_id)

    def _channel(self) -> EventChannel | None:
        if self._mode != EVENTS:
            return None
        from demo.client.mcp.sse import EventChannel

        return EventChannel(self._connection, self._url, self._auth)

    def _take(self, requests: Requests | None, raws: list[HttpExchange]) -> tuple[Any, Any] | None:
        """Take the answer that `raws` hold; the next request is what the script makes of it.

        Raises:
            ServerUnreachable: they hold none.
        """
        reply = self._record.final(raws)
        self.answered.append(reply)
        self._record.taken()
        try:
            return None if requests is None else requests.send(reply)
        except StopIteration:
            return None
