"""The server behind the bridge: a request goes there with the stored authority, and is answered or refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from demo.bridge.line import CONNECTING, Line
from demo.client.http.bounded import unwrap
from demo.client.http.connection import connect
from demo.client.http.errors import OAuthRefused, no_answer, not_logged_in
from demo.client.http.exchange import on_behalf_of
from demo.client.http.recorder import BODY_IN_MEMORY, Recorder
from demo.client.http.sanitizing import map_strings
from demo.client.mcp.asking import HEADER_MISMATCH, PAGES
from demo.client.mcp.calling import check_arguments
from demo.client.mcp.conversation import EVENTS, GOODBYE, HANDSHAKE, MODERN
from demo.client.mcp.mcp_session import not_understood, refuses_revision, wants_the_newest
from demo.client.mcp.outcome import CallOutcome, call_outcome, expired
from demo.client.mcp.reply import Reply, UnexpectedAnswer, final
from demo.client.tokens.claims import take_apart
from demo.errors import AuthorizationRefused, DemoError, ServerUnreachable

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from mcp.client import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import ServerCapabilities

    from demo.client.agent import Agent
    from demo.client.tokens.stored import StoredToken

T = TypeVar("T")
Work = Callable[["Client"], Awaitable[object]]

SECONDS = 120.0
"""Seconds for one request; a host that gives up earlier says so (`notifications/cancelled`)."""

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

    A server of the revisions before 2026-07-28 has one session, which is begun with the first request and ended with
    the host's connection; a new one is begun where the server ended it, or where another human has logged in.

    Args:
        agent: whose authority it is. Its token is looked up anew for each request, so that a login is seen at once.
            Without one the server is asked without one: many want none.
        seconds: the bound on one request.

    Use it within `connected`.
    """

    def __init__(self, agent: Agent, *, seconds: float = SECONDS) -> None:
        import anyio

        self._agent = agent
        self._seconds = seconds
        self._mode: str | None = None
        self._tasks: TaskGroup | None = None
        self._line: Line | None = None
        self._opening = anyio.Lock()

    @property
    def url(self) -> str:
        """The MCP URL."""
        return self._agent.endpoint()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Upstream]:
        """The time of one host's connection. At its end the session is ended, within a few seconds."""
        import anyio

        async with anyio.create_task_group() as self._tasks:
            try:
                yield self
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2 * GOODBYE):
                    if self._line is not None:
                        await self._line.close()
                self._tasks.cancel_scope.cancel()

    async def stored(self) -> StoredToken | None:
        """The agent's token as it lies there; None where there is none, or none that can be read."""
        try:
            return await _aside(self._agent.stored)
        except DemoError:
            return None

    async def login_flow(self, seconds: float) -> str | None:
        """The option of `demo login` for the flow that this server's authorization server offers; None where it does
        not say so within `seconds`."""
        import anyio

        with anyio.move_on_after(seconds):
            try:
                return (await _aside(self._agent.choose_flow)).flow.option
            except DemoError:
                return None
        return None

    async def introduce(self, seconds: float) -> Introduction | None:
        """Ask the server what it can do; None where it does not say so within `seconds`, or not to this agent yet."""
        import anyio

        with anyio.move_on_after(seconds):
            try:
                return await self._introduced(await self._token())
            except (AuthorizationRefused, ServerUnreachable):
                return None
        return None

    async def ask(self, request: Any, result_type: Any, on_progress: ProgressFnT | None = None) -> Answer:
        """Send one request, once; one refused because its token has expired is sent again with a renewed one.

        Args:
            request: a request of the SDK's types, without an envelope.
            result_type: its result's type.
            on_progress: asks the server for progress, and is told it.

        Raises:
            AuthorizationRefused: the server wants a token and nothing is stored, or the authorization server does not
                renew it.
            ServerUnreachable: no answer in time, or not an MCP server's.
            UsageError: an argument cannot be sent.
        """
        import anyio

        async def send(client: Client) -> None:
            await client.session.send_request(request, result_type, progress_callback=on_progress)

        if request.method == "tools/call":
            check_arguments(request.params.name, request.params.arguments or {})
        asked = _Asked(request, send)
        with anyio.move_on_after(self._seconds):
            held = await self._token()
            answer = await self._negotiated(held, asked)
            if held is None and answer.outcome.status == 401:
                raise not_logged_in(self._agent.name)
            if held is not None and expired(answer.outcome):
                # By our clock it was good for longer. Nothing was carried out (RFC 6750 section 3.1).
                fresh = await _aside(partial(self._renewed, held))
                answer = answer if fresh is None else await self._negotiated(fresh, asked)
            return answer
        raise no_answer(self.url, self._seconds)

    async def _token(self) -> StoredToken | None:
        """The stored token, renewed when it is due; None where nothing is stored.

        Raises:
            AuthorizationRefused: it cannot be renewed. Without it nothing is tried: the human revoked it or
                let it expire.
        """
        try:
            return await _aside(self._agent.token)
        except OAuthRefused as refused:
            if refused.oauth_error == "not_logged_in":
                return None
            raise

    def _renewed(self, held: StoredToken) -> StoredToken | None:
        """The token instead of one that was refused, None where it cannot be renewed: then the refusal stands."""
        try:
            return self._agent.authorizer.credentials.refresh(instead_of=held.access_token)
        except AuthorizationRefused:
            return None

    async def _introduced(self, token: StoredToken | None) -> Introduction | None:
        from mcp_types import DiscoverResult
        from pydantic import ValidationError

        async def discover(client: Client) -> None:
            await client.session.send_discover(MODERN)

        try:
            answer = await self._attempt(token, _Asked(None, discover))
            if answer.refused:
                return None
            told = DiscoverResult.model_validate(answer.result, by_name=False)
            if MODERN in told.supported_versions:
                self._mode = MODERN
                return Introduction(told.capabilities, told.instructions)
        except UnexpectedAnswer as stranger:
            if not not_understood(stranger.status):
                raise
        except ValidationError:
            pass  # an error, or something else than was asked for: a server of an earlier revision
        line = await self._opened(token)
        if isinstance(line, Line) and (client := line.client) is not None:
            return Introduction(client.server_capabilities, client.instructions)
        return None

    async def _negotiated(self, token: StoredToken | None, asked: _Asked) -> Answer:
        """The newest revision first; an older one only where the request was not understood, and so not carried out."""
        if self._mode not in (None, MODERN):
            return await self._in_session(token, asked)
        answer, refused = None, None
        try:
            answer = await self._attempt(token, asked)
            if wants_the_newest(answer.reply):
                answer = await self._attempt(token, asked)
            if self._mode == MODERN or not refuses_revision(answer.reply):
                self._mode = MODERN if answer.result is not None else self._mode
                return answer
        except UnexpectedAnswer as stranger:
            if not not_understood(stranger.status):
                raise
            refused = stranger
        try:
            return await self._in_session(token, asked)
        except UnexpectedAnswer as stranger:
            if answer is not None:
                return answer
            if refused is None or not not_understood(stranger.status):
                raise
            raise refused from None

    async def _in_session(self, token: StoredToken | None, asked: _Asked) -> Answer:
        """Ask in the session, and once more in a new one where the server had ended it."""
        for last in (False, True):
            line = await self._opened(token)
            if isinstance(line, Answer):
                return line
            if (reply := await line.ask(token, asked.send, last=last)) is not None:
                return _read(reply, line.recorder, token)
            await self._let_go(line)
        raise AssertionError("the last session's answer is an answer")

    async def _opened(self, token: StoredToken | None) -> Line | Answer:
        """The session, begun where there is none, or none of this login; the refusal of a gate where there is one.

        Raises:
            ServerUnreachable: there is none to be had; `UnexpectedAnswer` where nothing here speaks MCP.
        """
        assert self._tasks is not None, "an Upstream is used within connected()"
        async with self._opening:
            line = self._line
            if line is not None and line.stands and _login(line.token) == _login(token):
                return line
            if line is not None:
                await self._let_go(line)
            for mode in (HANDSHAKE, EVENTS) if self._mode in (None, MODERN) else (self._mode,):
                line = Line(self.url, mode, token, self._seconds)
                try:
                    refused = await line.open(self._tasks)
                except UnexpectedAnswer as stranger:
                    if mode == EVENTS or not not_understood(stranger.status):
                        raise
                    continue
                if refused is not None:
                    return _read(refused, line.recorder, token)
                self._mode, self._line = mode, line
                return line
        raise AssertionError("the last mode that is tried answers or raises")

    async def _let_go(self, line: Line) -> None:
        if self._line is line:
            self._line = None
        await line.close()

    async def _attempt(self, token: StoredToken | None, asked: _Asked) -> Answer:
        """Ask in the newest revision, which has no sessions."""
        import anyio.lowlevel
        from mcp.shared.exceptions import MCPError

        recorder = Recorder()
        if token is not None:
            recorder.guard(*token.secrets)
        cause, trouble = object(), None
        with recorder.collect() as raws:
            try:
                with anyio.CancelScope() as scope:
                    async with _stateless(self.url, recorder, token, self._seconds) as client:
                        try:
                            with on_behalf_of(cause):
                                await asked.send(client)
                        except MCPError as error:
                            if error.error.code != HEADER_MISMATCH:
                                raise
                            # A server may want arguments in headers that only its tool list names, on whichever page.
                            await _look_up(client, asked.tool)
                            cause = object()
                            with on_behalf_of(cause):
                                await asked.send(client)
                        scope.deadline = anyio.current_time() + GOODBYE
            except ServerUnreachable:
                raise
            except Exception as error:
                # The SDK makes one vague error of HTTP 401, 403 and 429, and of an answer that it cannot read. What it
                # was stands in the record.
                trouble = unwrap(error)
                await anyio.lowlevel.checkpoint()
            return _read(final(raws, cause, self.url, self._seconds, trouble), recorder, token)


@dataclass(frozen=True)
class _Asked:
    """One request of the host, and how the SDK sends it; None for one of our own."""

    request: Any
    send: Work

    @property
    def tool(self) -> str | None:
        """The tool that is called, None where it is no call."""
        if self.request is None or self.request.method != "tools/call":
            return None
        name: str = self.request.params.name
        return name


@asynccontextmanager
async def _stateless(url: str, recorder: Recorder, token: StoredToken | None, seconds: float) -> AsyncIterator[Client]:
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation

    from demo import __version__
    from demo.client.mcp.http import McpHttp
    from demo.client.oauth.token_auth import presented

    async with connect(recorder, seconds=seconds, kind=McpHttp) as http:
        http.timeout = httpx2.Timeout(seconds, connect=CONNECTING)
        if token is not None:
            http.auth = presented(token)
        client = Client(
            streamable_http_client(url, http_client=http, max_sse_event_size=BODY_IN_MEMORY),
            mode=MODERN,
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


def _read(reply: Reply, recorder: Recorder, token: StoredToken | None) -> Answer:
    result, error = reply.result, reply.error
    secrets = token.secrets if token is not None else ()
    # A server that repeats a secret must not hand it to the host: the human deputized the agent, and nobody else.
    if _repeats(reply.exchange.response_body, secrets):
        result, error = (map_strings(part, lambda text: _without(text, secrets)) for part in (result, error))
    return Answer(reply, result, error, call_outcome("", reply, recorder))


def _login(token: StoredToken | None) -> tuple[object, ...]:
    """What stays the same as long as a login is renewed, as far as it can be read: a session is not handed on from one
    human's login to another's."""
    if token is None:
        return ()
    jwt = take_apart(token.access_token)
    said = jwt.claims if jwt is not None else {}
    return token.issuer, token.client_id, said.get("sub"), said.get("sid")


def _repeats(body: bytes | bytearray, secrets: tuple[str, ...]) -> bool:
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
