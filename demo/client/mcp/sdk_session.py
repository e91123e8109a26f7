"""One session of the MCP SDK's with an endpoint: it stands in a task of its own, and answers are read from the wire."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from mcp.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation, PaginatedRequestParams

from demo import __version__
from demo.client.mcp.elicitation import ANSWERING, ROUNDS, Answerer, next_round
from demo.client.mcp.reading import mirroring
from demo.client.mcp.reply import HEADER_MISMATCH, Reply, UnexpectedAnswer, final, request_in, request_of, understood
from demo.client.mcp.resumable import SESSION, Resumable
from demo.client.mcp.revisions import EVENTS, GOODBYE, GOODBYE_UNANSWERED, HANDSHAKE, NoStream
from demo.client.mcp.transports import EventChannel, McpHttp
from deputize.errors import ExplainedError, ServerUnreachable
from deputize.http.bounded import unwrap
from deputize.http.connection import connect
from deputize.http.errors import no_answer
from deputize.http.exchange import HttpExchange, current_cause, on_behalf_of
from deputize.http.recorder import BODY_IN_MEMORY
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus
    from mcp.shared.dispatcher import ProgressFnT

    from demo.client.mcp.session import Terms

FIRST_EVENT = 5.0
"""Seconds in which a stream of the oldest transport must have begun, and its handshake be over."""

PAGES = 20
"""Pages of `tools/list` that are read at most."""

SETTLING = 20
"""Looks, 5 ms apart, after which an exchange that has answered and not ended is read as it stands."""


@dataclass(eq=False)
class Sending:
    """One message on its way: the `cause` of its exchanges, and what presents a token on them.

    `log` tells the messages that one request takes from those of others that are under way.
    """

    auth: httpx2.Auth | None
    log: Sequence[HttpExchange]


class SdkSession:
    """One session. Many requests may be under way in it at a time.

    Args:
        url: the MCP endpoint.
        mode: `MODERN` (then it is no session to the server), `HANDSHAKE` or `EVENTS`.
        terms: what holds for each session of this client.
        auth: what presents a token on the requests that begin and end it.
        answerer: answers what the server asks in mid-call, None where nobody does.
        mirrored: names of tools with arguments in headers; what is learned on the way is added.
        resume: the session to go on in, of `HANDSHAKE`; None for a new one.
        keep: whether it is left open at the server when it is closed here; then `resumable` says how to go on in it.
    """

    def __init__(
        self,
        url: str,
        mode: str,
        terms: Terms,
        auth: httpx2.Auth | None,
        *,
        answerer: Answerer | None,
        mirrored: set[str],
        resume: Resumable | None = None,
        keep: bool = False,
    ) -> None:
        self.auth = auth
        self.sdk: ClientSession | None = None
        """The SDK's, while it stands."""
        self.resumable = resume
        self._url = url
        self._mode = mode
        self._terms = terms
        self._answerer = answerer
        self._mirrored = mirrored
        self._listed: set[str] = set()
        self._keep = keep
        self._answered = resume is not None
        self._late = False
        self._gone = False
        self._events = EventChannel(url, terms.recorder, terms.seconds) if mode == EVENTS else None
        self._end = anyio.Event()
        self._over = anyio.Event()
        self._trouble: BaseException | None = None

    @property
    def stands(self) -> bool:
        """Whether requests can be made in it."""
        return self.sdk is not None and not self._over.is_set()

    async def open(self, tasks: TaskGroup) -> Reply | None:
        """Begin the session, in a task of `tasks`. None where it stands, else the refusal of a gate before it.

        Raises:
            ServerUnreachable: there is none to be had here; `UnexpectedAnswer` where the server may speak otherwise.
        """
        with self._terms.recorder.collect() as exchanges:
            await tasks.start(self._run)
        if self.sdk is not None:
            return None
        if self._events is not None and self._events.problem is not None:
            raise self._events.problem
        try:
            ours = [one for one in (*exchanges, *self._terms.recorder.under_way()) if one.cause is self]
            return self._final(ours, object(), self._trouble)
        except ServerUnreachable:
            if self._events is None or self._events.begun:
                raise
        shown = safe_text(self._url, one_line=True)
        none = ServerUnreachable(
            f"{shown} opens no stream of events", why="it takes no POST either", do="check --server"
        )
        raise NoStream(none, 405)

    async def ask(
        self,
        request: Any,
        kind: Any,
        auth: httpx2.Auth | None,
        exchanges: Sequence[HttpExchange],
        *,
        on_progress: ProgressFnT | None = None,
        last: bool = False,
    ) -> Reply | None:
        """Send one request, and what it takes to have it answered: its tool's list, answers to questions.

        None where the session was gone, so that the request was not carried out and may be made in a new one. Where the
        caller is cancelled meanwhile the server is informed: the session goes on.

        Args:
            request: a request of the SDK's types, and `kind`, its result's type.
            auth: what presents a token on it.
            exchanges: where those that end are collected; the same list for the same request in another session.
            on_progress: asks the server for progress, and is called with it.
            last: whether no other session will be tried: then what is said of this one is the answer.

        Raises:
            ServerUnreachable: nothing answered, or not an MCP server.
        """
        self.auth = auth
        tool = request.params.name if request.method == "tools/call" else None
        if tool in self._mirrored and tool not in self._listed:
            await self._look_up(tool)
        if self._answerer is not None:
            self._answerer.begin()
        looked = False
        for _ in range(ROUNDS + 1):
            cause = Sending(auth, exchanges)
            trouble, late = await self._send(request, kind, cause, on_progress)
            self._late = late
            seen = (*exchanges, *self._terms.recorder.under_way())
            ours = [one for one in seen if not isinstance(one.cause, Sending) or one.cause.log is exchanges]
            carrier = request_of(ours, cause)
            never_sent = carrier is None and not self.stands and not isinstance(trouble, ExplainedError)
            if not last and (never_sent or _is_gone(carrier, answered=self._answered)):
                self._gone = True
                return None
            try:
                reply = self._final(ours, cause, trouble)
            except UnexpectedAnswer:
                if late:  # what came is no answer because it was cut short
                    raise no_answer(self._url, self._terms.seconds) from None
                raise
            if reply.error_code == HEADER_MISMATCH and tool is not None and tool not in self._listed and not looked:
                # The server wants arguments in headers that only its tool list names: list, then send once more. Also
                # where no page names the tool: what the server says of the call, not of the list, is the answer.
                looked = True
                await self._look_up(tool)
                continue
            if request.method == "tools/list":
                self._mirrored.update(mirroring(reply.result))
            result = reply.result or {}
            if self._answerer is None or result.get("resultType") != "input_required":
                break
            following = await next_round(request, result, self._answerer)
            if following is None:
                break
            request = following
        self._answered = self._answered or (self._terms.for_host and reply.result is not None)
        return reply

    async def close(self) -> None:
        """End the session, and wait until the server has been informed."""
        self._end.set()
        await self._over.wait()

    def _final(self, exchanges: Sequence[HttpExchange], cause: object, trouble: BaseException | None) -> Reply:
        return final(exchanges, cause, self._url, self._terms.seconds, trouble)

    async def _send(
        self, request: Any, kind: Any, cause: Sending, on_progress: ProgressFnT | None
    ) -> tuple[BaseException | None, bool]:
        """Send one message and wait for its answer: what the SDK ran into, and whether the time was over."""
        trouble: BaseException | None = None
        with anyio.move_on_after(self._terms.seconds) as clock:
            if self._answerer is not None:
                self._answerer.clock = clock
            try:
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._when_over, beside.cancel_scope)
                    if self.sdk is not None:
                        with on_behalf_of(cause):
                            await self.sdk.send_request(request, kind, progress_callback=on_progress)
                    beside.cancel_scope.cancel()
            except Exception as error:
                # The SDK makes one vague error of a refused handshake, of HTTP 401, 403 and 429, and of an answer that
                # it cannot read. What it was is read from the wire.
                trouble = unwrap(error)
            for _ in range(SETTLING):
                await anyio.lowlevel.checkpoint()
                if not any(one.cause is cause and request_in(one) for one in self._terms.recorder.under_way()):
                    break
                await anyio.sleep(0.005)
        return trouble or self._trouble, clock.cancelled_caught

    async def _when_over(self, scope: anyio.CancelScope) -> None:
        await self._over.wait()
        scope.cancel()

    async def _look_up(self, tool: str) -> None:
        """Have the SDK see the tool in the server's list, so that it puts arguments into headers."""
        cursor: str | None = None
        with anyio.move_on_after(self._terms.seconds), suppress(Exception), on_behalf_of(self):
            for _ in range(PAGES):
                assert self.sdk is not None
                page = await self.sdk.list_tools(params=PaginatedRequestParams(cursor=cursor))
                cursor = page.next_cursor
                if any(one.name == tool for one in page.tools):
                    self._listed.add(tool)
                    return
                if cursor is None:
                    return

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        standing = False
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._terms.seconds) as scope:
                if self._events is not None:
                    self._events.over = scope.cancel
                    scope.deadline = anyio.current_time() + FIRST_EVENT
                async with AsyncExitStack() as stack:
                    kept = stack.enter_context(self._terms.recorder.collect()) if self._keep else []
                    with self._terms.recorder.collect() as exchanges, on_behalf_of(self):
                        http, sdk = await self._connected(stack)
                    begun = [one for one in exchanges if (request_in(one) or {}).get("method") == "initialize"]
                    name = self.resumable.id if self.resumable else begun[-1].header(SESSION) if begun else ""
                    self.sdk = sdk
                    scope.deadline, standing = math.inf, True
                    task_status.started()
                    try:
                        await self._end.wait()
                    finally:
                        # The server is informed also where this program is being ended.
                        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GOODBYE):
                            await self._leave(http, sdk, name, kept)
                        scope.deadline = anyio.current_time() + GOODBYE
        except Exception as error:
            self._trouble = unwrap(error)
        finally:
            self.sdk = None
            self._over.set()
            if not standing:
                task_status.started()

    async def _connected(self, stack: AsyncExitStack) -> tuple[httpx2.AsyncClient | None, ClientSession]:
        terms, resume = self._terms, self.resumable
        seconds = terms.seconds + (ANSWERING if self._answerer else 0.0)
        auth = _Presenting(self)
        http: httpx2.AsyncClient | None = None
        if self._events is not None:
            transport: Any = self._events.transport(seconds, auth)
        else:
            http = connect(terms.recorder, seconds=seconds, kind=McpHttp)
            http.timeout = httpx2.Timeout(seconds, connect=terms.connecting or seconds)
            http.auth = auth
            if resume is not None:
                http.headers.update(resume.headers)
            await stack.enter_async_context(http)
            transport = streamable_http_client(
                self._url, http_client=http, max_sse_event_size=BODY_IN_MEMORY, terminate_on_close=False
            )
        about: dict[str, Any] = {
            "client_info": Implementation(name=terms.name, version=__version__),
            "read_timeout_seconds": seconds,
            "elicitation_callback": self._answerer,
        }
        if resume is None:
            mode = HANDSHAKE if self._mode == EVENTS else self._mode
            client = Client(transport, mode=mode, cache=None, **about)
            return http, (await stack.enter_async_context(client)).session
        read, write = await stack.enter_async_context(transport)
        return http, await stack.enter_async_context(resume.resume(read, write, **about))

    async def _leave(
        self, http: httpx2.AsyncClient | None, sdk: ClientSession, name: str, kept: Sequence[HttpExchange]
    ) -> None:
        """End the session at the server, or note how to go on in it."""
        if self._mode != HANDSHAKE or not name or http is None or sdk.initialize_result is None:
            return
        session = self.resumable or Resumable(name, sdk.initialize_result, 0)
        if self._keep:
            self.resumable = None if self._gone else session.after(kept)
            return
        # The server is gone, or the session is. One that answered nothing in time is not waited for once more.
        with suppress(httpx2.HTTPError), anyio.move_on_after(GOODBYE_UNANSWERED if self._late else GOODBYE):
            await http.delete(self._url, headers=session.headers)


def _is_gone(carrier: HttpExchange | None, *, answered: bool) -> bool:
    """Whether the server has ended the session that this request came in, and so has not carried it out.

    MCP 2025-11-25, Transports, "Session Management": it answers HTTP 404, and the client begins a new session. Servers
    that have been restarted since answer 400 as well, as the examples of the TypeScript SDK do.

    Args:
        carrier: what carried the request.
        answered: whether the session has answered before, so that 400 cannot mean that it was never right: one that is
            resumed has, and a host's once it did.
    """
    if carrier is None or carrier.request_header(SESSION) is None:
        return False
    return carrier.status == 404 or (answered and carrier.status == 400 and not understood(carrier))


class _Presenting(httpx2.Auth):
    """Presents the token of the message that is sent; of what the session does by itself, the last one's."""

    def __init__(self, session: SdkSession) -> None:
        self._session = session

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        cause = current_cause()
        auth = cause.auth if isinstance(cause, Sending) else self._session.auth
        if auth is None:
            yield request
        else:
            yield from auth.auth_flow(request)
