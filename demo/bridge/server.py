"""The MCP server that the host sees: it passes on what it is asked, in whichever revision the host speaks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from demo.bridge.refusals import UNREACHABLE, of_error, of_refusal, wants_login
from demo.bridge.upstream import NAME, Method, Upstream, methods
from demo.client.mcp.reply import METHOD_NOT_FOUND, Reply
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, ExplainedError, ServerUnreachable
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.server.context import ServerRequestContext
    from mcp.server.session import ServerSession
    from mcp.shared.dispatcher import ProgressFnT

    from demo.client.mcp.connected import Introduction

WATCHING = 1.0
"""Seconds between two looks at the token store while the agent lacks a token that is accepted."""

PROGRESS = 256
"""Progress notifications that are held for a host that reads slowly."""

READY = 3.0
"""Seconds after which a host is told that the server has not answered yet: many hosts give up after five."""

FLOW = 1.5
"""Seconds for finding out how a person can log in."""

AGAIN = 1.0, 30.0
"""Seconds before the server is tried again: at first, and at most."""

LoginCommand = Callable[[str | None], str]
"""Makes the command by which a person logs in, of the option for its flow; None where that is not known."""

_OURS = ("progress_token", "progressToken")


class Bridge:
    """What one host is served.

    Args:
        upstream: the server behind.
        login: makes the command by which a person logs in, for refusals.
        log: called with one line that a person should know.
    """

    def __init__(self, upstream: Upstream, *, login: LoginCommand, log: Callable[[str], None]) -> None:
        import anyio
        from mcp.server.subscriptions import InMemorySubscriptionBus

        self._upstream = upstream
        self._login = login
        self._flow: str | None = None
        self._log = log
        self._bus = InMemorySubscriptionBus()
        self._older_host: ServerSession | None = None
        self._lacking = anyio.Event()
        self._in_vain: str | None = None
        self._under_way = 0
        self._idle = anyio.Event()
        self._reaching = anyio.Lock()
        self._introduction: Introduction | None = None
        self._trouble: ExplainedError | None = None
        self._tried = 0.0
        self._serving = False
        self._put_off = False
        self.reached = anyio.Event()
        """The server has answered, be it that it wants a token first."""

    def server(self) -> Server[Any]:
        """The SDK's server: with what the server behind says it can do, or with everything while that is unknown."""
        from mcp.server import Server
        from mcp.server.caching import CacheHint
        from mcp.server.subscriptions import ListenHandler

        from demo import __version__

        self._serving = True
        introduction = self._introduction
        able = introduction.capabilities if introduction is not None else None
        instructions = introduction.instructions if introduction is not None else None
        server: Server[Any] = Server(
            NAME,
            version=__version__,
            title=f"{self._upstream.name} by the agent of this machine",
            instructions=safe_text(instructions) if instructions else None,
            # Anyone who lists before a login and after it must not be given the first answer twice.
            cache_hints={
                "tools/list": CacheHint(),
                "resources/list": CacheHint(),
                "resources/templates/list": CacheHint(),
                "resources/read": CacheHint(),
                "prompts/list": CacheHint(),
            },
            on_subscriptions_listen=ListenHandler(self._bus, max_subscriptions=16),
        )
        for method in methods():
            if able is None or getattr(able, method.capability) is not None:
                server.add_request_handler(method.name, method.params, self._handler(method))
        return server

    async def login(self) -> str:
        """The command by which a person logs in, with the flow that exists at this server's authorization
        server, as far as that can be found out."""
        if self._flow is None:
            self._flow = await self._upstream.login_flow(FLOW)
        return self._login(self._flow)

    async def reach(self) -> None:
        """Reach the server, however long that takes, and have the host list the tools when they are known."""
        import anyio

        pause, most = AGAIN
        while (trouble := await self._attempt()) is not None:
            if pause == AGAIN[0]:
                self._log(f"{trouble.what}; it is tried again, and the host is told when it answers")
            await anyio.sleep(pause)
            pause = min(pause * 2, most)
        if self._introduction is None and await self._upstream.stored() is None:
            self._log(f"no token yet: where the server wants one, a person has to run: {await self.login()}")
        if self._put_off or (self._serving and self._introduction is not None):
            await self._announce()

    async def _attempt(self) -> ExplainedError | None:
        """Reach the server: None when it has answered, else why not. Who comes meanwhile takes what is found."""
        async with self._reaching:
            if self.reached.is_set():
                return None
            if self._trouble is None or time.monotonic() - self._tried > AGAIN[0] / 2:
                try:
                    self._introduction = await self._upstream.introduce(READY)
                    self.reached.set()
                    return None
                except (ServerUnreachable, EnvironmentNotReady) as error:
                    self._trouble, self._tried = error, time.monotonic()
            return self._trouble

    async def _announce(self) -> None:
        """Ask the host to list the tools again."""
        from mcp.server.subscriptions import ToolsListChanged

        await self._bus.publish(ToolsListChanged())
        if self._older_host is not None:
            await self._older_host.send_tool_list_changed()

    async def settle(self, seconds: float) -> None:
        """Wait until nothing is under way, at most so many seconds."""
        import anyio

        await anyio.sleep(0.05)  # what was read last is on its way to its handler
        with anyio.move_on_after(seconds):
            while self._under_way:
                self._idle = anyio.Event()
                await self._idle.wait()

    async def watch(self) -> None:
        """While there is no accepted token, look for one, ask whether a person has decided, and have the host list the
        tools again when there is one."""
        import anyio

        while True:
            await self._lacking.wait()
            while (token := await self._upstream.stored()) is None or token.access_token == self._in_vain:
                try:
                    await self._upstream.advance()
                except ExplainedError as ended:
                    self._log(f"{ended.what}: {ended.why}")
                await anyio.sleep(WATCHING)
            self._lacking = anyio.Event()
            self._log("a new token is stored; the host is asked to list the tools again")
            await self._announce()

    def _handler(self, method: Method) -> Callable[[ServerRequestContext[Any], Any], Awaitable[dict[str, Any]]]:
        async def handle(context: ServerRequestContext[Any], params: Any) -> dict[str, Any]:
            with self._counted():
                return await self._pass(method, context, params)

        return handle

    async def _pass(self, method: Method, context: ServerRequestContext[Any], params: Any) -> dict[str, Any]:
        from mcp.shared.exceptions import MCPError
        from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

        if context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            self._older_host = context.session
        trouble = await self._attempt()
        self._put_off |= trouble is not None
        reply = trouble or await self._ask(method, context, params)
        if isinstance(reply, AuthorizationRefused):
            flow, code = await self._upstream.begin_login(FLOW)
            self._flow = flow or self._flow
            refusal = of_error(reply, self._login(self._flow), code)
            await self._miss_token()
        elif isinstance(reply, ExplainedError):
            refusal = of_error(reply, "")
        else:
            if reply.result is not None:
                # Revisions before 2026-07-28 have no resultType; for their hosts the SDK leaves it out again.
                return {"resultType": "complete", **reply.result}
            if not reply.refused:
                return _their_error(method, reply)
            outcome = self._upstream.outcome(reply)
            login = await self.login() if wants_login(outcome) else ""
            refusal = of_refusal(outcome, reply, login, await self._granted())
            if reply.status == 401:
                await self._miss_token()
        self._log(f"{method.name}: {refusal.text}")
        if method.name == "tools/call":
            return refusal.as_tool_result()
        raise MCPError(refusal.code, refusal.text, refusal.data)

    async def _ask(self, method: Method, context: ServerRequestContext[Any], params: Any) -> Reply | ExplainedError:
        import anyio

        request = method.request(params=_without_envelope(params))
        async with _progress_for(context) as on_progress:
            # A list is there or it is not. What the server does for a call or a reading may take it longer.
            with anyio.move_on_after(READY if method.name.endswith("list") else None):
                try:
                    return await self._upstream.ask(request, method.result, on_progress)
                except ExplainedError as error:
                    return error
            return self._upstream.late(READY)

    async def _granted(self) -> tuple[str, ...]:
        token = await self._upstream.stored()
        return token.scope if token is not None else ()

    async def _miss_token(self) -> None:
        token = await self._upstream.stored()
        self._in_vain = token.access_token if token is not None else None
        self._lacking.set()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


@contextlib.asynccontextmanager
async def _progress_for(context: ServerRequestContext[Any]) -> AsyncIterator[ProgressFnT | None]:
    """Passes progress on to a host that asked for it; all that came before the answer is passed on before it."""
    import anyio

    if not any(name in (context.meta or {}) for name in _OURS):
        yield None
        return
    sent, heard = anyio.create_memory_object_stream[tuple[float, float | None, str | None]](PROGRESS)

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        with contextlib.suppress(anyio.WouldBlock, anyio.ClosedResourceError):  # a host that reads slowly misses some
            sent.send_nowait((progress, total, message))

    async def tell() -> None:
        async for one in heard:
            await context.session.report_progress(*one)

    async with heard, anyio.create_task_group() as beside:
        beside.start_soon(tell)
        async with sent:
            yield hear


def _their_error(method: Method, reply: Reply) -> dict[str, Any]:
    """The server's own JSON-RPC error goes on as it is; that a list of what it has none of is not there, is empty."""
    from mcp.shared.exceptions import MCPError

    error = reply.error or {}
    if reply.error_code == METHOD_NOT_FOUND and method.empty is not None:
        return dict(method.empty)
    message = error.get("message")
    raise MCPError(
        reply.error_code if reply.error_code is not None else UNREACHABLE,
        message if isinstance(message, str) else "the server gave no reason",
        error.get("data"),
    )


def _without_envelope(params: Any) -> Any:
    """The host's parameters without what belongs to its own connection: revision, identity, progress token."""
    meta = {
        name: value
        for name, value in (params.meta or {}).items()
        if name not in _OURS and not name.startswith("io.modelcontextprotocol/")
    }
    return params.model_copy(update={"meta": meta or None})
