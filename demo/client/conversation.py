"""One conversation over MCP: a script of requests on its way through a session, each answer read from the wire."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.client.connection import Connection
from demo.client.elicitation import ANSWERING, ROUNDS, Answerer, Elicit, next_round
from demo.client.mirrored import mirroring
from demo.client.refusal import no_answer
from demo.client.reply import Reply, Stranger, asked, final, request_of
from demo.client.safe_text import safe_text
from demo.client.wire import BODY_IN_MEMORY, Raw, connect
from demo.errors import ServerUnreachable

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client

    from demo.client.sse import EventChannel

MODERN = "2026-07-28"
"""Stateless, so that one call is one POST."""

OLDER = "auto"
"""The SDK's own negotiation: `server/discover`, then the `initialize` handshake of earlier revisions."""

HANDSHAKE = "legacy"
"""Straight to `initialize`, for a server that is known to want it."""

EVENTS = "sse"
"""The HTTP+SSE transport of 2024-11-05, for a server that takes no POST at its URL."""

GOODBYE = 2.0
"""Seconds for ending a session that has already answered; an answer is not lost to a server slow to part."""

FIRST_EVENT = 5.0
"""Seconds in which a stream of the oldest transport must have begun, and its handshake be over."""

SESSIONS = 2
"""Sessions that one conversation may take: where the server ends one (HTTP 404), a new one is begun, once."""

PAGES = 20
"""Pages of `tools/list` in which a tool's headers are looked up."""

SETTLING = 20
"""Looks, 5 ms apart, after which an exchange that has answered and not ended is read as it stands."""

SESSION = "mcp-session-id"
HEADER_MISMATCH = -32020

Requests = Generator[tuple[Any, Any], Reply, None]
Script = Callable[[], Requests]
"""Begins a conversation: gives one request after the other, each with its result's type, and is sent each reply."""


class NoStream(ServerUnreachable):
    """There is no stream of events of the oldest transport."""


@dataclass(frozen=True)
class Answered:
    """A reply, and every exchange that led to it (the handshake's too, for the first)."""

    reply: Reply
    raws: tuple[Raw, ...]


class Conversation:
    """A script on its way. It outlasts a session that the server ends.

    Args:
        connection: the way to the server.
        url: the MCP endpoint.
        auth: what puts authority on each request, None for none.
        mode: `MODERN`, `OLDER`, `HANDSHAKE` or `EVENTS`.
        mirroring: names of tools with arguments in headers; what is learned on the way is added.
        elicit: answers what the server asks in mid-call.

    After `hold`, `revision` is the one that was spoken, None where none was agreed on.
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
    ) -> None:
        self._connection = connection
        self._url = url
        self._auth = auth
        self._mode = mode
        self._mirroring = mirroring
        self._answerer = None if elicit is None else Answerer(elicit, connection.recorder.masked)
        self._whole: list[Raw] = []
        self._begun = 0
        self._seen: set[str] = set()
        self._late = False
        self.answered: list[Answered] = []
        self.revision: str | None = None

    async def hold(self, script: Script) -> list[Answered]:
        """Hold the conversation to its end, or to where the server ends it.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server; `NoStream` or `Stranger` where it spoke otherwise.
            whatever `elicit` raises.
        """
        requests = script()
        following = next(requests, None)
        with self._connection.recorder.collect() as self._whole:
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
        self._seen.clear()
        opened = over = gone = False
        with anyio.CancelScope() as scope:
            if channel is not None:
                channel.over, scope.deadline = scope.cancel, anyio.current_time() + FIRST_EVENT
            try:
                async with self._client(channel) as client:
                    opened, scope.deadline = True, math.inf
                    while request is not None and not gone:
                        await self._ask(client, request)
                        raws = self._raws()
                        gone = may_end and _session_is_gone(raws)
                        if not gone:
                            request = self._take(requests, raws)
                    over = True
                    self.revision = client.protocol_version
                    scope.deadline = anyio.current_time() + GOODBYE
            except ServerUnreachable:
                raise
            except Exception:
                # The SDK makes one vague error of a refused handshake, of HTTP 401, 403 and 429, and of an answer
                # that it cannot read. What it was stands in the record.
                over = over and bool(self.answered or gone)
        if gone:
            self._mode = HANDSHAKE if self._mode == OLDER else self._mode  # what has sessions wants the handshake
            return request, True
        if not over or not self.answered:
            if channel is not None and channel.problem is not None:
                raise channel.problem
            try:
                self._take(None, self._raws())
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
    async def _client(self, channel: EventChannel | None) -> AsyncIterator[Client]:
        from mcp.client import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.types import Implementation

        from demo import __version__

        seconds = self._connection.timeout + (ANSWERING if self._answerer else 0.0)
        async with AsyncExitStack() as stack:
            if channel is not None:
                transport = channel.transport(seconds)
            else:
                http = await stack.enter_async_context(connect(self._connection.recorder, seconds=seconds))
                if self._auth is not None:
                    http.auth = self._auth
                transport = streamable_http_client(self._url, http_client=http, max_sse_event_size=BODY_IN_MEMORY)
            client = Client(
                transport,
                mode=HANDSHAKE if channel is not None else self._mode,
                client_info=Implementation(name="machine-identity-demo", version=__version__),
                cache=None,
                read_timeout_seconds=seconds,
                elicitation_callback=self._answerer,
            )
            yield await stack.enter_async_context(client)

    def _channel(self) -> EventChannel | None:
        if self._mode != EVENTS:
            return None
        from demo.client.sse import EventChannel

        return EventChannel(self._connection, self._url, self._auth)

    def _raws(self) -> list[Raw]:
        """The exchanges since the last answer, those under way too."""
        return [*self._whole[self._begun :], *self._connection.recorder.under_way()]

    def _final(self, raws: list[Raw]) -> Reply:
        try:
            return final(raws, self._url, self._connection.timeout)
        except Stranger:
            if self._late:  # what came is no answer, because it was not waited for any longer
                raise no_answer(self._url, self._connection.timeout) from None
            raise

    def _take(self, requests: Requests | None, raws: list[Raw]) -> tuple[Any, Any] | None:
        """Take the answer that `raws` hold; the next request is what the script makes of it.

        Raises:
            ServerUnreachable: they hold none.
        """
        reply = self._final(raws)
        self.answered.append(_answered(reply, raws))
        self._begun = len(self._whole)
        try:
            return None if requests is None else requests.send(reply)
        except StopIteration:
            return None

    async def _ask(self, client: Client, request: tuple[Any, Any]) -> None:
        """Send one request, and what it takes to have it answered: its tool's list, answers to questions."""
        wanted, kind = request
        name = wanted.params.name if wanted.method == "tools/call" else None
        if name in self._mirroring and name not in self._seen:
            await self._look_up(client, name)
        if self._answerer is not None:
            self._answerer.begin()
        for _ in range(ROUNDS + 1):
            await self._send(client, wanted, kind)
            raws = self._raws()
            if _session_is_gone(raws):
                return
            reply = self._final(raws)
            if reply.error_code == HEADER_MISMATCH and name is not None and name not in self._seen:
                # The server wants arguments in headers that only its tool list names: list, then send once more.
                await self._look_up(client, name)
                if name not in self._seen:
                    return
                continue
            if wanted.method == "tools/list":
                self._mirroring.update(mirroring(reply.result))
            result = reply.result or {}
            if self._answerer is None or result.get("resultType") != "input_required":
                return
            wanted = await next_round(wanted, result, self._answerer)
            if wanted is None:
                return

    async def _send(self, client: Client, wanted: Any, kind: Any) -> None:
        import anyio

        with anyio.move_on_after(self._connection.timeout) as clock:
            if self._answerer is not None:
                self._answerer.clock = clock
            with contextlib.suppress(Exception):  # see _session: read from the record
                await client.session.send_request(wanted, kind)
            for _ in range(SETTLING):
                await anyio.lowlevel.checkpoint()
                if not any(asked(raw) for raw in self._connection.recorder.under_way()):
                    break
                await anyio.sleep(0.005)
        self._late = clock.cancelled_caught

    async def _look_up(self, client: Client, name: str) -> None:
        """Have the SDK see the tool in the server's list, so that it puts arguments into headers."""
        import anyio

        cursor: str | None = None
        with anyio.move_on_after(self._connection.timeout), contextlib.suppress(Exception):
            for _ in range(PAGES):
                page = await client.list_tools(cursor=cursor, cache_mode="bypass")
                cursor = page.next_cursor
                if any(tool.name == name for tool in page.tools):
                    self._seen.add(name)
                    return
                if cursor is None:
                    return


def _session_is_gone(raws: list[Raw]) -> bool:
    """Whether the server has ended the session that the last request came in, and so has not carried it out.

    MCP 2025-11-25, Transports, "Session Management": it answers HTTP 404, and the client begins a new session.
    """
    raw = request_of(raws)
    return raw is not None and raw.status == 404 and any(key.lower() == SESSION for key, _ in raw.request_headers)


def _answered(reply: Reply, raws: list[Raw]) -> Answered:
    """The reply's own exchange stands last; what an older session does beside it (a stream, its end) is left out."""
    at = next((i for i, raw in enumerate(raws) if raw is reply.raw), None)
    if at is not None:
        return Answered(reply, tuple(raws[: at + 1]))
    return Answered(reply, (*(raw for raw in raws if raw.method == "POST"), reply.raw))
