"""Speaking MCP: one conversation in which requests go out, and what came back is read from the wire."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.client.connection import Connection
from demo.client.reply import Reply, Stranger, final
from demo.client.wire import Raw, connect
from demo.errors import ServerUnreachable

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client

MODERN = "2026-07-28"
"""Tried first: stateless, so that one call is one POST."""

OLDER = "auto"
"""The SDK's own negotiation: `server/discover`, then the `initialize` handshake of earlier revisions."""

HANDSHAKE = "legacy"
"""Straight to `initialize`, for a server that is known to want it."""

GOODBYE = 2.0
"""Seconds for ending a session that has already answered; an answer is not lost to a server slow to part."""

METHOD_NOT_FOUND, INVALID_PARAMS = -32601, -32602
UNSUPPORTED_PROTOCOL_VERSION, HEADER_MISMATCH = -32022, -32020
_NOT_UNDERSTOOD = (400, 404, 405, 406, 415)

Script = Callable[[], Generator[tuple[Any, Any], Reply, None]]
"""Begins a conversation: gives one request after the other, each with its result's type, and is sent each reply."""


@dataclass(frozen=True)
class Answered:
    """A reply, and every exchange that led to it (the handshake's too, for the first)."""

    reply: Reply
    raws: tuple[Raw, ...]


class Speaker:
    """Speaks MCP over a connection, and remembers which revision each endpoint wants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._modes: dict[str, str] = {}

    def converse(self, url: str, auth: httpx2.Auth | None, script: Script, *, at_most: int = 1) -> list[Answered]:
        """Send requests in one session, as `script` has them.

        The newest revision is tried first. Only where the answer says that the request was not understood, and
        so not carried out, is it sent again in an older one: a purchase must not happen twice.

        Args:
            auth: what puts authority on each request, None for none.
            at_most: requests that may be sent; the timeout is for each.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server.
        """
        seconds = self._connection.timeout * at_most + GOODBYE
        return self._connection.bounded(url, lambda: self._converse(url, auth, script), seconds)

    async def _converse(self, url: str, auth: httpx2.Auth | None, script: Script) -> list[Answered]:
        if url in self._modes:
            return await self._attempt(self._modes[url], url, auth, script)
        refusal: ServerUnreachable | None = None
        refused: list[Answered] = []
        try:
            refused = await self._attempt(MODERN, url, auth, script)
            if not refuses_revision(refused[-1].reply):
                return refused
        except Stranger as error:
            if error.status != 400:
                raise
            refusal = error
        try:
            return await self._attempt(OLDER, url, auth, script)
        except ServerUnreachable:
            if refusal is not None:
                raise refusal from None
            return refused

    async def _attempt(self, mode: str, url: str, auth: httpx2.Auth | None, script: Script) -> list[Answered]:
        import anyio

        answered: list[Answered] = []
        over = False
        begun = 0
        with self._connection.recorder.collect() as whole:
            try:
                with anyio.CancelScope() as scope:
                    async with _session(self._connection, url, auth, mode) as client:
                        requests = script()
                        request = _next(requests, None)
                        while request is not None:
                            reply = await self._ask(client, request, whole, begun, url)
                            answered.append(_answered(reply, whole[begun:]))
                            begun = len(whole)
                            request = _next(requests, reply)
                        over = True
                        if answered and answered[-1].reply.result is not None:
                            self._modes[url] = _known_mode(mode, client.protocol_version)
                        scope.deadline = anyio.current_time() + GOODBYE
            except ServerUnreachable:
                raise
            except Exception:
                # The SDK makes one vague error of a refused handshake, of HTTP 401, 403 and 429, and of an answer
                # that it cannot read. What it was stands in the record.
                over = over and bool(answered)
            if not over or not answered:
                answered.append(_answered(final(whole[begun:], url, self._connection.timeout), whole[begun:]))
        return answered

    async def _ask(self, client: Client, request: tuple[Any, Any], whole: list[Raw], begun: int, url: str) -> Reply:
        import anyio

        for attempt in range(2):
            with anyio.move_on_after(self._connection.timeout):
                try:
                    await client.session.send_request(*request)
                except Exception:  # see _attempt: read from the record
                    await anyio.lowlevel.checkpoint()
            reply = final(whole[begun:], url, self._connection.timeout)
            if reply.error_code != HEADER_MISMATCH or attempt:
                break
            # The server wants arguments in headers that only its tool list names: list, then send once more.
            with anyio.move_on_after(self._connection.timeout):
                try:
                    await client.list_tools(cache_mode="bypass")
                except Exception:
                    break
            begun = len(whole)
        return reply


@asynccontextmanager
async def _session(connection: Connection, url: str, auth: httpx2.Auth | None, mode: str) -> AsyncIterator[Any]:
    _silence()
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.types import Implementation

    from demo import __version__

    async with connect(connection.recorder, seconds=connection.timeout) as http:
        if auth is not None:
            http.auth = auth
        client = Client(
            streamable_http_client(url, http_client=http),
            mode=mode,
            client_info=Implementation(name="machine-identity-demo", version=__version__),
            cache=None,
            read_timeout_seconds=connection.timeout,
        )
        async with client:
            yield client


def refuses_revision(reply: Reply) -> bool:
    """Whether this reply says that the request was not understood in the revision it was sent in.

    Bad arguments and a missing header are complaints of a server that understood.
    """
    code = reply.error_code
    if code in (UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND):
        return True
    return code is not None and code not in (INVALID_PARAMS, HEADER_MISMATCH) and reply.raw.status in _NOT_UNDERSTOOD


def _answered(reply: Reply, raws: list[Raw]) -> Answered:
    """The reply's own exchange stands last; what an older session does beside it (a stream, its end) is left out."""
    at = next(i for i, raw in enumerate(raws) if raw is reply.raw)
    return Answered(reply, tuple(raws[: at + 1]))


def _next(requests: Generator[tuple[Any, Any], Reply, None], reply: Reply | None) -> tuple[Any, Any] | None:
    try:
        return next(requests) if reply is None else requests.send(reply)
    except StopIteration:
        return None


def _known_mode(mode: str, negotiated: str) -> str:
    return HANDSHAKE if mode == OLDER and negotiated != MODERN else mode


def _silence() -> None:
    """The SDK's logging goes nowhere unless an application asks for it: the terminal is a stage."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
