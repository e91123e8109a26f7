"""Speaking MCP to an endpoint: which revision it wants, and which transport, is found out once and kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from demo.client.http.connection import Connection, connect
from demo.client.http.known_servers import Memory
from demo.client.mcp.asking import HEADER_MISMATCH
from demo.client.mcp.conversation import EVENTS, GOODBYE, HANDSHAKE, MODERN, Conversation, NoStream, Script
from demo.client.mcp.elicitation import ANSWERING, Elicit
from demo.client.mcp.reply import GATES, Reply, UnexpectedAnswer

if TYPE_CHECKING:
    import httpx2

    from demo.client.mcp.held import Held

__all__ = ["Script", "Speaker", "not_understood", "refuses_revision"]

MODES = (MODERN, HANDSHAKE, EVENTS)
METHOD_NOT_FOUND, INVALID_PARAMS = -32601, -32602
UNSUPPORTED_PROTOCOL_VERSION = -32022
_UNDERSTOOD = (407, 408)
"""HTTP statuses below 500, beside those of gates, that say nothing of the request: a proxy's, and one of bad luck."""


class Speaker:
    """Speaks MCP over a connection, and remembers which revision each endpoint wants.

    Args:
        connection: the way to the server.
        elicit: answers what a server asks in mid-call; without it the server is told that nobody does.
        handshake: begin with `initialize` instead of finding out, for a server that answers newer requests wrongly.
        memory: where what was learned is kept for other processes, None for nowhere.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        elicit: Elicit | None = None,
        handshake: bool = False,
        memory: Memory | None = None,
    ) -> None:
        self._connection = connection
        self._elicit = elicit
        self._handshake = handshake
        self._memory = memory
        self._modes: dict[str, str] = {}
        self._mirroring: dict[str, set[str]] = {}
        self._keeping = False
        self._held: dict[tuple[str, str], tuple[Held, httpx2.Auth | None]] = {}

    @contextmanager
    def one_session(self) -> Iterator[None]:
        """While it lasts, conversations of one authority with one endpoint are held in one session, where there are
        any: before 2026-07-28, over HTTP. At the end the sessions are ended, within `GOODBYE` each.
        """
        if self._keeping:
            yield
            return
        self._keeping = True
        try:
            yield
        finally:
            self._keeping = False
            held, self._held = self._held, {}
            for (url, _), (session, auth) in held.items():
                self._part(url, session, auth)

    def _part(self, url: str, session: Held, auth: httpx2.Auth | None) -> None:
        async def part() -> None:
            async with connect(self._connection.recorder, seconds=GOODBYE) as http:
                if auth is not None:
                    http.auth = auth
                await http.delete(url, headers=session.headers)

        # The server may not let clients end a session (405), and one that is gone already needs no end.
        with suppress(Exception):
            self._connection.bounded(url, part, GOODBYE)

    def converse(
        self, url: str, auth: httpx2.Auth | None, script: Script, *, at_most: int = 1, whose: str = ""
    ) -> list[Reply]:
        """Send requests in one session, as `script` has them.

        The newest revision is tried first. Only where the answer says that the request was not understood, and
        so not carried out, is it sent again in an older one: a purchase must not happen twice.

        Args:
            auth: what puts authority on each request, None for none.
            at_most: requests that may be sent; the timeout is for each.
            whose: tells one authority from another. A session that was begun with one is not gone on in with another.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server.
            whatever `elicit` raises.
        """
        _load()
        seconds = self._connection.timeout * at_most + GOODBYE + (ANSWERING if self._elicit else 0.0)
        return self._connection.bounded(url, lambda: self._converse(url, auth, script, whose), seconds)

    async def _converse(self, url: str, auth: httpx2.Auth | None, script: Script, whose: str) -> list[Reply]:
        if self._handshake:
            return await self._attempt(HANDSHAKE, url, auth, script, whose)
        known = self._known(url)
        if known not in (None, MODERN):
            told = await self._told(known, url, auth, script, whose)
            if not isinstance(told, UnexpectedAnswer):
                return told
            # It is spoken to otherwise by now, and has not carried the request out: it is found out again.
            self._learn(url, None)
            if not not_understood(told.status):
                raise told
        told = await self._told(MODERN, url, auth, script, whose)
        if not isinstance(told, UnexpectedAnswer) and wants_the_newest(told[-1]):
            told = await self._told(MODERN, url, auth, script, whose)
        if not isinstance(told, UnexpectedAnswer):
            if not refuses_revision(told[-1]):
                return told
        elif not not_understood(told.status):
            raise told
        # MCP 2026-07-28, Versioning, "Compatibility matrix": what a server of the newest revision would not have said
        # leads to `initialize`, and where that is no message of its either, to the transport of 2024-11-05.
        older = await self._told(HANDSHAKE, url, auth, script, whose)
        if not isinstance(older, UnexpectedAnswer):
            return older
        if not isinstance(told, UnexpectedAnswer):
            return told
        if not not_understood(older.status):
            raise older
        try:
            return await self._attempt(EVENTS, url, auth, script, whose)
        except NoStream:
            raise told from None

    async def _told(
        self, mode: str, url: str, auth: httpx2.Auth | None, script: Script, whose: str
    ) -> list[Reply] | UnexpectedAnswer:
        try:
            return await self._attempt(mode, url, auth, script, whose)
        except NoStream as none:
            return UnexpectedAnswer(none, 405)
        except UnexpectedAnswer as stranger:
            return stranger

    async def _attempt(self, mode: str, url: str, auth: httpx2.Auth | None, script: Script, whose: str) -> list[Reply]:
        standing, _ = self._held.pop((url, whose), (None, None))
        keep = self._keeping and mode == HANDSHAKE
        conversation = Conversation(
            self._connection,
            url,
            auth,
            mode=mode,
            mirroring=self._mirroring.setdefault(url, set()),
            elicit=self._elicit,
            held=standing,
            keep=keep,
        )
        try:
            answered = await conversation.hold(script)
        finally:
            if keep and conversation.held is not None:
                self._held[url, whose] = conversation.held, auth
        if answered[-1].result is not None:
            self._learn(url, mode)
        return answered

    def _known(self, url: str) -> str | None:
        if url not in self._modes and self._memory is not None and (mode := self._memory.spoken(url)) in MODES:
            self._modes[url] = mode
        return self._modes.get(url)

    def _learn(self, url: str, mode: str | None) -> None:
        if mode is None:
            self._modes.pop(url, None)
        else:
            self._modes[url] = mode
        if self._memory is not None:
            # The newest revision is tried first in any case.
            self._memory.learn(url, None if mode == MODERN else mode)


def refuses_revision(reply: Reply) -> bool:
    """Whether this reply says that the request was not understood in the revision it was sent in.

    Bad arguments and a missing header are complaints of a server that understood.
    """
    code = reply.error_code
    if code in (UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND):
        return True
    return code is not None and code not in (INVALID_PARAMS, HEADER_MISMATCH) and not_understood(reply.status)


def wants_the_newest(reply: Reply) -> bool:
    """Whether a refusal of the revision names that very one as supported, so that the request is sent once more in it
    (MCP 2026-07-28, Versioning: `UnsupportedProtocolVersionError` lists what to choose from)."""
    data = (reply.error or {}).get("data")
    supported = data.get("supported") if isinstance(data, dict) else None
    return reply.error_code == UNSUPPORTED_PROTOCOL_VERSION and isinstance(supported, list) and MODERN in supported


def not_understood(status: int | None) -> bool:
    """Whether this HTTP status is that of a server that made no sense of a request, and so did not carry it out.

    Any of 4xx, save what a gate says (`GATES`): servers of earlier revisions answer what comes without a session with
    400, 404, 405, 406, 415 or 422.
    """
    return status is not None and 400 <= status < 500 and status not in (*GATES, *_UNDERSTOOD)


def _load() -> None:
    """Import the SDK before the clock runs: the first time takes seconds on a busy machine, and no server's fault.

    Its logging goes nowhere unless an application asks for it: the terminal is a stage.
    """
    import mcp.client
    import mcp.client.sse
    import mcp.client.streamable_http  # noqa: F401  imported for its sake alone

    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
