"""The server behind the bridge: a request goes there with the stored authority, and is answered or refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from demo.client.asking import HEADER_MISMATCH, PAGES
from demo.client.bounded import unwrap
from demo.client.connection import Connection
from demo.client.conversation import EVENTS, GOODBYE, HANDSHAKE, MODERN, OLDER, Conversation, NoStream, Requests
from demo.client.mcp_session import not_understood, refuses_revision
from demo.client.outcome import CallOutcome, call_outcome, expired
from demo.client.refusal import no_answer
from demo.client.reply import Reply, Stranger, final
from demo.client.safe_text import map_strings
from demo.client.wire import BODY_IN_MEMORY, Recorder, connect, on_behalf_of
from demo.errors import AuthorityRefused, DemoError, ServerUnreachable

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import ServerCapabilities

    from demo.client.agent import Agent
    from demo.client.tokens import StoredToken

T = TypeVar("T")
Work = Callable[["Client"], Awaitable[object]]

SECONDS = 120.0
"""Seconds for one request; a host that gives up earlier says so (`notifications/cancelled`)."""

CONNECTING = 10.0
"""Seconds for reaching the server at all."""

WITHHELD = "[the agent's token, withheld]"
_REFUSING = (401, 403, 429, 503)


@dataclass(frozen=True)
class Answer:
    """What came back: `result` or `error` as it was sent; `outcome` is the same, read and safe to show."""

    reply: Reply
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    outcome: CallOutcome

    @property
    def refused(self) -> bool:
        """Whether a gate in front of the server refused, which is no answer of the server itself."""
        return self.result is None and self.outcome.status in _REFUSING


@dataclass(frozen=True)
class Introduction:
    """What the server says of itself before anything is asked."""

    capabilities: ServerCapabilities
    instructions: str | None


class Upstream:
    """One server, asked with one agent's stored authority; many requests may be under way at a time.

    Args:
        agent: whose authority it is. Its token is looked up anew for each request, so that a login is seen at once.
        seconds: the bound on one request.
    """

    def __init__(self, agent: Agent, *, seconds: float = SECONDS) -> None:
        self._agent = agent
        self._seconds = seconds
        self._mode: str | None = None

    @property
    def url(self) -> str:
        """The MCP URL."""
        return self._agent.endpoint()

    async def stored(self) -> StoredToken | None:
        """The agent's token as it lies there; None where there is none, or none that can be read."""
        try:
            return await _aside(self._agent.stored)
        except DemoError:
            return None

    async def introduce(self, seconds: float) -> Introduction | None:
        """Ask the server what it can do; None where it does not say so within `seconds`, or not to this agent yet."""
        import anyio

        found: list[Introduction] = []

        async def look(client: Client) -> None:
            found.append(Introduction(client.server_capabilities, client.instructions))

        with anyio.move_on_after(seconds):
            try:
                await self._attempt(OLDER, await _aside(self._agent.token), look)
            except (AuthorityRefused, ServerUnreachable):
                return None
        return found[0] if found else None

    async def ask(self, request: Any, result_type: Any, on_progress: ProgressFnT | None = None) -> Answer:
        """Send one request, once; one refused because its token has expired is sent again with a renewed one.

        Args:
            request: a request of the SDK's types, without an envelope.
            result_type: its result's type.
            on_progress: asks the server for progress, and is told it.

        Raises:
            AuthorityRefused: nothing is stored, or the authority does not renew it.
            ServerUnreachable: no answer in time, or not an MCP server's.
        """
        import anyio

        async def send(client: Client) -> None:
            await client.session.send_request(request, result_type, progress_callback=on_progress)

        asked = _Asked(request, result_type, send)
        with anyio.move_on_after(self._seconds):
            held = await _aside(self._agent.token)
            answer = await self._negotiated(held, asked)
            if expired(answer.outcome):
                # By our clock it was good for longer. Nothing was carried out (RFC 6750 section 3.1).
                fresh = await _aside(partial(self._renewed, held))
                answer = answer if fresh is None else await self._negotiated(fresh, asked)
            return answer
        raise no_answer(self.url, self._seconds)

    def _renewed(self, held: StoredToken) -> StoredToken | None:
        """The token instead of one that was refused, None where it cannot be renewed: then the refusal stands."""
        try:
            return self._agent.authorizer.wallet.refresh(instead_of=held.access_token)
        except AuthorityRefused:
            return None

    async def _negotiated(self, token: StoredToken, asked: _Asked) -> Answer:
        """The newest revision first; an older one only where the request was not understood, and so not carried out."""
        if self._mode == EVENTS:
            return await self._by_events(token, asked)
        if self._mode is not None:
            return await self._attempt(self._mode, token, asked.send, asked.tool)
        answer: Answer | None = None
        try:
            answer = await self._attempt(MODERN, token, asked.send, asked.tool)
            if not refuses_revision(answer.reply):
                if answer.result is not None:
                    self._mode = MODERN
                return answer
        except Stranger as stranger:
            if not not_understood(stranger.status):
                raise
            answer, refused = None, stranger
        try:
            older = await self._attempt(HANDSHAKE, token, asked.send, asked.tool)
        except Stranger as stranger:
            if answer is not None:
                return answer
            if not not_understood(stranger.status):
                raise
        else:
            if older.result is not None:
                self._mode = HANDSHAKE
            return older
        try:
            return await self._by_events(token, asked)
        except NoStream:
            raise refused from None

    async def _by_events(self, token: StoredToken, asked: _Asked) -> Answer:
        """The HTTP+SSE transport of 2024-11-05, for a server that takes no POST at its URL; it tells no progress."""
        from demo.client.oauth.presenting import presented

        connection = Connection(self.url, self._seconds)
        connection.recorder.guard(*token.secrets)
        way = Conversation(connection, self.url, presented(token), mode=EVENTS, mirroring=set(), elicit=None)
        answered = await way.hold(asked.script)
        if answered[-1].reply.result is not None:
            self._mode = EVENTS
        return _read(answered[-1].reply, connection.recorder, token)

    async def _attempt(self, mode: str, token: StoredToken, work: Work, tool: str | None = None) -> Answer:
        import anyio.lowlevel
        from mcp.shared.exceptions import MCPError

        recorder = Recorder()
        recorder.guard(*token.secrets)
        cause, trouble = object(), None
        with recorder.collect() as raws:
            try:
                with anyio.CancelScope() as scope:
                    async with _session(self.url, recorder, token, mode, self._seconds) as client:
                        if mode == OLDER:
                            self._mode = MODERN if client.protocol_version == MODERN else HANDSHAKE
                        try:
                            with on_behalf_of(cause):
                                await work(client)
                        except MCPError as error:
                            if error.error.code != HEADER_MISMATCH:
                                raise
                            await _look_up(client, tool)
                            cause = object()
                            with on_behalf_of(cause):
                                await work(client)
                        scope.deadline = anyio.current_time() + GOODBYE
            except ServerUnreachable:
                raise
            except Exception as error:
                # The SDK makes one vague error of a refused handshake, of HTTP 401, 403 and 429, and of an answer
                # that it cannot read. What it was stands in the record.
                trouble = unwrap(error)
                await anyio.lowlevel.checkpoint()
            return _read(final(raws, cause, self.url, self._seconds, trouble), recorder, token)


@dataclass(frozen=True)
class _Asked:
    """One request of the host: as the SDK sends it, and as a conversation of its own."""

    request: Any
    result_type: Any
    send: Work

    @property
    def tool(self) -> str | None:
        """The tool that is called, None where it is no call."""
        return self.request.params.name if self.request.method == "tools/call" else None

    def script(self) -> Requests:
        """The conversation: this one request."""
        yield self.request, self.result_type


@asynccontextmanager
async def _session(
    url: str, recorder: Recorder, token: StoredToken, mode: str, seconds: float
) -> AsyncIterator[Client]:
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation

    from demo import __version__
    from demo.client.mcp_http import McpHttp
    from demo.client.oauth.presenting import presented

    async with connect(recorder, seconds=seconds, kind=McpHttp) as http:
        http.timeout = httpx2.Timeout(seconds, connect=CONNECTING)
        http.auth = presented(token)
        client = Client(
            streamable_http_client(url, http_client=http, max_sse_event_size=BODY_IN_MEMORY),
            mode=mode,
            client_info=Implementation(name="machine-identity-demo-bridge", version=__version__),
            cache=None,
            read_timeout_seconds=seconds,
        )
        async with client:
            yield client


async def _look_up(client: Client, tool: str | None) -> None:
    """Have the SDK see the tool in the server's list, so that it puts arguments into headers."""
    cursor: str | None = None
    with suppress(Exception):  # then what the server says of the call is the answer, and not what it says of its list
        for _ in range(PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            cursor = page.next_cursor
            if cursor is None or any(one.name == tool for one in page.tools):
                return


def _read(reply: Reply, recorder: Recorder, token: StoredToken) -> Answer:
    result, error = reply.result, reply.error
    # A server that repeats a secret must not hand it to the host: the human deputized the agent, and nobody else.
    if _repeats(reply.raw.response_body or b"", token.secrets):
        result, error = (map_strings(part, lambda text: _without(text, token.secrets)) for part in (result, error))
    return Answer(reply, result, error, call_outcome("", reply, (), recorder))


def _repeats(body: bytes, secrets: tuple[str, ...]) -> bool:
    """Whether one of them is in a body, as it is or as JSON spells it: a key has lines."""
    return any(form.encode() in body for secret in secrets for form in (secret, json.dumps(secret)[1:-1]))


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, WITHHELD)
    return text


async def _aside(work: Callable[[], T]) -> T:
    """Work that blocks (a keyring, a lock, a refresh), in a thread that nobody waits for once it is given up."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
