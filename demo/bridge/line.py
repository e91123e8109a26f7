"""One session with a server of the revisions before 2026-07-28, for as long as the host is there."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from demo.client.http.bounded import unwrap
from demo.client.http.connection import Connection, connect
from demo.client.http.exchange import HttpExchange, on_behalf_of
from demo.client.http.recorder import BODY_IN_MEMORY
from demo.client.mcp.asking import session_is_gone
from demo.client.mcp.conversation import EVENTS, FIRST_EVENT, GOODBYE, HANDSHAKE
from demo.client.mcp.held import REVISION, SESSION
from demo.client.mcp.http import McpHttp
from demo.client.mcp.reply import Reply, final, request_in, request_of
from demo.client.oauth.token_auth import presented

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus
    from mcp.client import Client

    from demo.client.mcp.sse import EventChannel
    from demo.client.tokens.stored import StoredToken

CONNECTING = 10.0
"""Seconds for reaching the server at all."""


class Line:
    """The session, in a task of its own, so that it outlasts the requests that are made in it.

    Args:
        url: the MCP endpoint.
        mode: `HANDSHAKE`, or `EVENTS` for the transport of 2024-11-05.
        token: what is presented first; None for nothing.
        seconds: the bound on one request.

    Attributes:
        client: the SDK's, while the session stands; None before and after.
        token: what is presented with each request from now on; a renewed token takes an older one's place.
        recorder: what was on the wire.
    """

    def __init__(self, url: str, mode: str, token: StoredToken | None, seconds: float) -> None:
        self.client: Client | None = None
        self.token = token
        self._url = url
        self._mode = mode
        self._seconds = seconds
        self._connection = Connection(url, seconds)
        self.recorder = self._connection.recorder
        if token is not None:
            self.recorder.guard(*token.secrets)
        self._channel: EventChannel | None = None
        self._end = anyio.Event()
        self._over = anyio.Event()
        self._handshake: list[HttpExchange] = []
        self._before = ExitStack()
        self._trouble: BaseException | None = None
        self._answered = False

    async def open(self, tasks: TaskGroup) -> Reply | None:
        """Begin the session, in a task of `tasks`. None where it stands, else the refusal of a gate before it.

        Raises:
            ServerUnreachable: there is none to be had here; `UnexpectedAnswer` where the server may speak otherwise.
        """
        await tasks.start(self._run)
        if self.client is not None:
            return None
        if self._channel is not None and self._channel.problem is not None:
            raise self._channel.problem
        return final(self._handshake, object(), self._url, self._seconds, self._trouble)

    async def ask(
        self, token: StoredToken | None, work: Callable[[Client], Awaitable[object]], *, last: bool = False
    ) -> Reply | None:
        """Do `work`, which sends one request, and give its answer; None where the session was gone, so that the
        request was not carried out and may be made in a new one.

        Where the caller is cancelled meanwhile the server is told (`notifications/cancelled`): the session goes on.

        Args:
            token: what is presented.
            work: sends it.
            last: whether no other session will be tried: then what is said of this one is the answer.

        Raises:
            ServerUnreachable: nothing answered, or not an MCP server.
        """
        self.token = token
        if token is not None:
            self.recorder.guard(*token.secrets)
        cause, trouble = object(), None
        with self.recorder.collect() as ended:
            try:
                await self._until_over(cause, work)
            except Exception as error:
                # The SDK makes one vague error of HTTP 401, 403 and 429, and of an answer that it cannot read. What it
                # was stands in the record.
                trouble = unwrap(error)
            # The transport of 2024-11-05 has every answer on the one stream, which is under way.
            mine = [raw for raw in (*ended, *self.recorder.under_way()) if raw.cause is cause or raw.method == "GET"]
        never_sent = request_of(mine, cause) is None and not self.stands
        if not last and (never_sent or session_is_gone(mine, cause, resumed=self._answered)):
            return None
        reply = final([*self._handshake, *mine], cause, self._url, self._seconds, trouble)
        if reply.result is not None:
            self._answered = True
            self._before.close()  # from now on nothing is due to how the session was begun
        return reply

    @property
    def stands(self) -> bool:
        """Whether requests can be made in it."""
        return self.client is not None and not self._over.is_set()

    async def close(self) -> None:
        """End the session, and wait until the server has been told."""
        self._end.set()
        await self._over.wait()

    async def _until_over(self, cause: object, work: Callable[[Client], Awaitable[object]]) -> None:
        async with anyio.create_task_group() as beside:

            async def watch() -> None:
                await self._over.wait()
                beside.cancel_scope.cancel()

            beside.start_soon(watch)
            if self.client is not None:
                with on_behalf_of(cause):
                    await work(self.client)
            beside.cancel_scope.cancel()

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        begun = False
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._seconds) as scope:
                async with AsyncExitStack() as stack:
                    self._handshake = self._before.enter_context(self.recorder.collect())
                    self.client = await self._connected(stack, scope)
                    scope.deadline, begun = math.inf, True
                    task_status.started()
                    try:
                        await self._stand()
                    finally:
                        scope.deadline = anyio.current_time() + GOODBYE
        except Exception as error:
            self._trouble = unwrap(error)
        finally:
            self.client = None
            self._before.close()
            self._over.set()
            if not begun:
                task_status.started()

    async def _connected(self, stack: AsyncExitStack, scope: anyio.CancelScope) -> Client:
        from mcp.client import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types import Implementation

        from demo import __version__

        auth = _Current(self)
        if self._mode == EVENTS:
            from demo.client.mcp.sse import EventChannel

            self._channel = EventChannel(self._connection, self._url, auth)
            self._channel.over = scope.cancel
            scope.deadline = anyio.current_time() + FIRST_EVENT
            transport: Any = self._channel.transport(self._seconds)
        else:
            self._http = await stack.enter_async_context(connect(self.recorder, seconds=self._seconds, kind=McpHttp))
            self._http.timeout = httpx2.Timeout(self._seconds, connect=CONNECTING)
            self._http.auth = auth
            transport = streamable_http_client(
                self._url, http_client=self._http, max_sse_event_size=BODY_IN_MEMORY, terminate_on_close=False
            )
        client = Client(
            transport,
            mode=HANDSHAKE,
            client_info=Implementation(name="machine-identity-demo-bridge", version=__version__),
            cache=None,
            read_timeout_seconds=self._seconds,
        )
        return await stack.enter_async_context(client)

    async def _stand(self) -> None:
        """Until the end is wanted; then the server is told, also where this program is being ended."""
        try:
            await self._end.wait()
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GOODBYE):
                await self._part()

    async def _part(self) -> None:
        began = [raw for raw in self._handshake if (request_in(raw) or {}).get("method") == "initialize"]
        name = began[-1].header(SESSION) if began else ""
        if self._mode != HANDSHAKE or not name or self.client is None:
            return
        try:
            await self._http.delete(self._url, headers={SESSION: name, REVISION: self.client.protocol_version})
        except httpx2.HTTPError:
            return  # it is gone, or the server is


class _Current(httpx2.Auth):
    """Presents the token that is the agent's at the time."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = self._line.token
        if token is None:
            yield request
        else:
            yield from presented(token).auth_flow(request)
