"""The server behind the bridge: the methods that are passed on to it, each sent with the stored token."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from demo.client.mcp.calling import check_arguments
from demo.client.mcp.outcome import CallOutcome, call_outcome, expired
from demo.client.mcp.reply import Reply
from demo.client.mcp.session import Session
from deputize.errors import AuthorizationRefused, ExplainedError, ServerUnreachable
from deputize.http.errors import OAuthRefused, no_answer, not_logged_in
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import map_strings
from deputize.oauth.device_flow import DEVICE
from deputize.oauth.pending import PendingLogins
from deputize.tokens.claims import take_apart

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT

    from demo.client.agent import Agent
    from demo.client.mcp.connected import Connected, Introduction
    from deputize.evidence import DeviceCode
    from deputize.tokens.stored import StoredToken

T = TypeVar("T")

NAME = "machine-identity-demo-bridge"
"""What the bridge calls itself, to the host and to the server."""

SECONDS = 120.0
"""Seconds for one request; a host that gives up earlier says so (`notifications/cancelled`)."""

CONNECTING = 3.0
"""Seconds for reaching the server at all: many hosts give up after five."""

LOCAL = "the local server"
"""What is started where none runs."""

WITHHELD = "[the agent's token, withheld]"


class Upstream:
    """One server, asked with one agent's stored token; many requests may be under way at a time.

    A server of the revisions before 2026-07-28 has one session, which is begun with the first request and ended with
    the host's connection; a new one is begun where the server ended it, or where another human has logged in.

    Args:
        find: gives the agent whose token it is, once; it may take as long as a local server takes to start. The token
            is looked up again for each request, so that a login is seen at once. Without one the server is asked
            without one: many want none.
        name: what a person knows the server by, until the agent is found.
        seconds: the bound on one request.

    Use it within `connected`.
    """

    def __init__(self, find: Callable[[], Agent], *, name: str = LOCAL, seconds: float = SECONDS) -> None:
        self._name = name
        self._find = find
        self._finding = threading.Lock()
        self._found: Agent | None = None
        self._seconds = seconds
        # The agent's own is fed by other threads.
        self.recorder = Recorder()
        self._connected: Connected
        self._pending: PendingLogins
        self._secrets: tuple[tuple[str, ...], tuple[str, ...]] = (), ()
        """Those of the token before, which requests that are under way may still carry, and of the present one."""
        self._session = Session(self.recorder, seconds, name=NAME, connecting=CONNECTING, for_host=True)

    @property
    def name(self) -> str:
        """What a person knows the server by: its MCP URL, once its agent is found."""
        return self._name if self._found is None else self._url

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Upstream]:
        """The time of one host's connection. At its end the session is ended, within a few seconds."""
        async with self._session.connected() as self._connected:
            yield self

    async def stored(self) -> StoredToken | None:
        """The agent's token as it lies there; None where there is none, or none that can be read."""
        try:
            return await _in_a_thread(lambda: self._agent.stored())
        except ExplainedError:
            return None

    async def login_flow(self, seconds: float) -> str | None:
        """The option of `demo login` for the flow that this server's authorization server offers; None where it does
        not say so within `seconds`."""
        import anyio

        with anyio.move_on_after(seconds):
            try:
                return f"--{(await _in_a_thread(lambda: self._agent.choose_flow())).flow.name}"
            except ExplainedError:
                return None
        return None

    async def begin_login(self, seconds: float) -> tuple[str | None, DeviceCode | None]:
        """How a person can log in: the option of `demo login`, as `login_flow`, and the code of the login that waits
        for one. It is begun now where none does, and kept for the next bridge; None where this server has no login by
        a code."""
        import anyio

        with anyio.move_on_after(seconds):
            try:
                return await _in_a_thread(self._join)
            except ExplainedError:
                return None, None
        return None, None

    async def advance(self) -> None:
        """Ask whether a person has decided, where a login waits and it is time.

        Raises:
            AuthorizationRefused: the login has ended without a token.
        """
        await _in_a_thread(self._advance)

    async def introduce(self, seconds: float) -> Introduction | None:
        """Find the agent, and ask the server what it can do; None where it does not say so to this agent yet.

        Raises:
            ServerUnreachable: it does not answer within `seconds`.
            EnvironmentNotReady: a local server cannot be started.
        """
        import anyio

        with anyio.move_on_after(seconds):
            try:
                token = await self._token()
                return await self._connected.introduce(self._url, token, holder=_login(token))
            except AuthorizationRefused:
                return None
        raise self.late(seconds)

    async def ask(self, request: Any, result_type: Any, on_progress: ProgressFnT | None = None) -> Reply:
        """Send one request, once; one refused because its token has expired is sent again with a renewed one.

        Args:
            request: a request of the SDK's types, without an envelope.
            result_type: its result's type.
            on_progress: asks the server for progress, and is called with it.

        Raises:
            AuthorizationRefused: the server wants a token and nothing is stored, or the authorization server does not
                renew it.
            ServerUnreachable: no answer in time, or not an MCP server's.
            UsageError: an argument cannot be sent.
        """
        import anyio

        if request.method == "tools/call":
            check_arguments(request.params.name, request.params.arguments or {})
        with anyio.move_on_after(self._seconds):
            token = await self._token()
            reply = await self._send(request, result_type, token, on_progress)
            if token is None and reply.status == 401:
                raise not_logged_in(self._agent.name)
            if token is not None and reply.status == 401 and expired(self.outcome(reply)):
                # By our clock it was good for longer. Nothing was carried out (RFC 6750 section 3.1).
                fresh = await _in_a_thread(partial(self._renewed, token))
                reply = reply if fresh is None else await self._send(request, result_type, fresh, on_progress)
            return reply
        raise self.late(self._seconds)

    def late(self, seconds: float) -> ServerUnreachable:
        """The error where nothing came within so many seconds."""
        if self._found is None:
            return ServerUnreachable(
                f"{self._name} is still starting", why=f"it did not answer within {seconds:g} s", do="try again"
            )
        return no_answer(self._url, seconds)

    def outcome(self, reply: Reply) -> CallOutcome:
        """A reply, read and safe to show."""
        return call_outcome("", reply, self.recorder)

    @property
    def _agent(self) -> Agent:
        """Blocks until it is found: until then it is for threads alone."""
        if self._found is not None:
            return self._found
        if not self._finding.acquire(timeout=CONNECTING):  # a request that was given up left a thread that is at it
            raise self.late(CONNECTING)
        try:
            if self._found is None:
                agent = self._find()
                self._pending = PendingLogins(agent.authorizer, agent.store, agent.slot)
                self._found = agent
            return self._found
        finally:
            self._finding.release()

    @property
    def _url(self) -> str:
        return self._agent.endpoint()

    async def _send(
        self, request: Any, result_type: Any, token: StoredToken | None, on_progress: ProgressFnT | None
    ) -> Reply:
        secrets = token.secrets if token is not None else ()
        if secrets != self._secrets[-1]:
            self._secrets = self._secrets[-1], secrets
            self.recorder.guard_only(itertools.chain(*self._secrets))
        try:
            reply = await self._connected.ask(
                self._url, request, result_type, token, holder=_login(token), on_progress=on_progress
            )
        finally:
            self.recorder.take()  # nobody looks at them, and a host stays for days
        # A server that repeats a secret must not hand it to the host: the human deputized the agent, and nobody else.
        if not _repeats(reply.exchange.response_body, secrets):
            return reply
        result, error = (map_strings(part, partial(_without, secrets)) for part in (reply.result, reply.error))
        return replace(reply, result=result, error=error)

    async def _token(self) -> StoredToken | None:
        """The stored token, renewed when it is due; None where nothing is stored.

        Raises:
            AuthorizationRefused: it cannot be renewed. Without it nothing is tried: the human revoked it or
                let it expire.
        """
        try:
            return await _in_a_thread(lambda: self._agent.token())
        except OAuthRefused as refused:
            if refused.oauth_error == "not_logged_in":
                return None
            raise

    def _join(self) -> tuple[str, DeviceCode | None]:
        flow = self._agent.choose_flow().flow
        if flow is not DEVICE:
            return f"--{flow.name}", None
        scopes = self._agent.wanted_scopes()
        begin = partial(self._agent.start_login, scopes)
        login = self._pending.join(self._agent.authorizer.metadata_today(), scopes, None, begin)
        return f"--{flow.name}", login.code

    def _advance(self) -> None:
        if self._pending.now() is not None:
            self._pending.step(self._agent.stored())

    def _renewed(self, refused: StoredToken) -> StoredToken | None:
        """The token instead of one that was refused, None where it cannot be renewed: then the refusal stands."""
        try:
            return self._agent.authorizer.credentials.refresh(instead_of=refused.access_token)
        except AuthorizationRefused:
            return None


def _login(token: StoredToken | None) -> str:
    """What stays the same as long as a login is renewed, as far as it can be read: a session is not handed on from one
    human's login to another's."""
    if token is None:
        return ""
    jwt = take_apart(token.access_token)
    said = jwt.claims if jwt is not None else {}
    return json.dumps([token.issuer, token.client_id, said.get("sub"), said.get("sid")], default=str)


def _repeats(body: bytes | bytearray, secrets: tuple[str, ...]) -> bool:
    """Whether one of them is in a body, as it is or as JSON spells it: a key has lines."""
    return any(form.encode() in body for secret in secrets for form in (secret, json.dumps(secret)[1:-1]))


def _without(secrets: tuple[str, ...], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, WITHHELD)
    return text


async def _in_a_thread(work: Callable[[], T]) -> T:
    """Work that blocks (a keyring, a lock, a refresh), in a thread that nobody waits for once it is given up."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


@dataclass(frozen=True)
class Method:
    """One method that is passed on, with the SDK's types for it.

    Attributes:
        capability: the server's that it belongs to.
        empty: what it answers where the server has no such thing; None where that is an error.
    """

    name: str
    request: type[Any]
    params: type[Any]
    result: type[Any]
    capability: str
    empty: dict[str, Any] | None = None


def methods() -> tuple[Method, ...]:
    """All of them. Subscriptions, sampling and elicitation are not among them: what the server asks or tells on its own
    is not passed on to the host."""
    import mcp_types as types

    page = types.PaginatedRequestParams
    return (
        Method("tools/list", types.ListToolsRequest, page, types.ListToolsResult, "tools"),
        Method("tools/call", types.CallToolRequest, types.CallToolRequestParams, types.CallToolResult, "tools"),
        Method(
            "resources/list",
            types.ListResourcesRequest,
            page,
            types.ListResourcesResult,
            "resources",
            {"resources": []},
        ),
        Method(
            "resources/templates/list",
            types.ListResourceTemplatesRequest,
            page,
            types.ListResourceTemplatesResult,
            "resources",
            {"resourceTemplates": []},
        ),
        Method(
            "resources/read",
            types.ReadResourceRequest,
            types.ReadResourceRequestParams,
            types.ReadResourceResult,
            "resources",
        ),
        Method("prompts/list", types.ListPromptsRequest, page, types.ListPromptsResult, "prompts", {"prompts": []}),
        Method("prompts/get", types.GetPromptRequest, types.GetPromptRequestParams, types.GetPromptResult, "prompts"),
        Method(
            "completion/complete",
            types.CompleteRequest,
            types.CompleteRequestParams,
            types.CompleteResult,
            "completions",
        ),
    )
