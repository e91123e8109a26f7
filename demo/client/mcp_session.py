"""Speaking MCP to an endpoint: which revision it wants, and which transport, is found out once and kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from demo.client.asking import HEADER_MISMATCH
from demo.client.connection import Connection
from demo.client.conversation import (
    EVENTS,
    GOODBYE,
    HANDSHAKE,
    MODERN,
    Answered,
    Conversation,
    NoStream,
    Script,
)
from demo.client.elicitation import ANSWERING, Elicit
from demo.client.reply import GATES, Reply, Stranger

if TYPE_CHECKING:
    import httpx2

__all__ = ["Answered", "Script", "Speaker", "not_understood", "refuses_revision"]

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
    """

    def __init__(self, connection: Connection, *, elicit: Elicit | None = None, handshake: bool = False) -> None:
        self._connection = connection
        self._elicit = elicit
        self._handshake = handshake
        self._modes: dict[str, str] = {}
        self._mirroring: dict[str, set[str]] = {}

    def converse(self, url: str, auth: httpx2.Auth | None, script: Script, *, at_most: int = 1) -> list[Answered]:
        """Send requests in one session, as `script` has them.

        The newest revision is tried first. Only where the answer says that the request was not understood, and
        so not carried out, is it sent again in an older one: a purchase must not happen twice.

        Args:
            auth: what puts authority on each request, None for none.
            at_most: requests that may be sent; the timeout is for each.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server.
            whatever `elicit` raises.
        """
        _load()
        seconds = self._connection.timeout * at_most + GOODBYE + (ANSWERING if self._elicit else 0.0)
        return self._connection.bounded(url, lambda: self._converse(url, auth, script), seconds)

    async def _converse(self, url: str, auth: httpx2.Auth | None, script: Script) -> list[Answered]:
        if url in self._modes:
            return await self._attempt(self._modes[url], url, auth, script)
        if self._handshake:
            return await self._attempt(HANDSHAKE, url, auth, script)
        told = await self._told(MODERN, url, auth, script)
        if not isinstance(told, Stranger):
            if not refuses_revision(told[-1].reply):
                return told
        elif not not_understood(told.status):
            raise told
        # MCP 2026-07-28, Versioning, "Compatibility matrix": what a server of the newest revision would not have said
        # leads to `initialize`, and where that is no message of its either, to the transport of 2024-11-05.
        older = await self._told(HANDSHAKE, url, auth, script)
        if not isinstance(older, Stranger):
            return older
        if not isinstance(told, Stranger):
            return told
        if not not_understood(older.status):
            raise older
        try:
            return await self._attempt(EVENTS, url, auth, script)
        except NoStream:
            raise told from None

    async def _told(self, mode: str, url: str, auth: httpx2.Auth | None, script: Script) -> list[Answered] | Stranger:
        try:
            return await self._attempt(mode, url, auth, script)
        except Stranger as stranger:
            return stranger

    async def _attempt(self, mode: str, url: str, auth: httpx2.Auth | None, script: Script) -> list[Answered]:
        held = Conversation(
            self._connection,
            url,
            auth,
            mode=mode,
            mirroring=self._mirroring.setdefault(url, set()),
            elicit=self._elicit,
        )
        answered = await held.hold(script)
        if answered[-1].reply.result is not None:
            self._modes[url] = mode
        return answered


def refuses_revision(reply: Reply) -> bool:
    """Whether this reply says that the request was not understood in the revision it was sent in.

    Bad arguments and a missing header are complaints of a server that understood.
    """
    code = reply.error_code
    if code in (UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND):
        return True
    return code is not None and code not in (INVALID_PARAMS, HEADER_MISMATCH) and not_understood(reply.raw.status)


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
