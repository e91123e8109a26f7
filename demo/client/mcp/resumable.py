"""Sessions of the revisions before 2026-07-28 that are left open at the server, and gone on in later."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp.client.session import ClientSession
from mcp.shared.dispatcher import CallOptions
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types import InitializeResult

from demo.client.mcp.reply import request_in
from deputize.http.exchange import HttpExchange

SESSION = "mcp-session-id"
"""The header that names the session (MCP 2025-11-25, Transports, "Session Management")."""

REVISION = "mcp-protocol-version"


@dataclass(frozen=True)
class Resumable:
    """What it takes to go on in a session of the revisions before 2026-07-28 that is still open at the server.

    Attributes:
        id: the server's name for it.
        begun: what the server said of itself at its beginning.
        next_id: the first request id that was not used in it: none may be used twice (MCP 2025-11-25, Base Protocol,
            "Requests").
    """

    id: str
    begun: InitializeResult
    next_id: int

    @property
    def headers(self) -> dict[str, str]:
        """What each request in it carries."""
        return {SESSION: self.id, REVISION: str(self.begun.protocol_version)}

    def after(self, exchanges: Iterable[HttpExchange]) -> Resumable:
        """The same once these have been made in it."""
        used = [request["id"] for one in exchanges if (request := request_in(one)) is not None]
        return replace(self, next_id=max([self.next_id, *(number + 1 for number in used if isinstance(number, int))]))

    def resume(self, read: Any, write: Any, **given: Any) -> ClientSession:
        """A session of the SDK's that goes on in it, without another handshake.

        Args:
            read, write: the transport's streams of messages that come and that go.
            given: as for `ClientSession`.
        """
        session = ClientSession(dispatcher=_Counting(self.next_id, read, write), **given)
        session.adopt(self.begun)
        return session


class _Counting(JSONRPCDispatcher):
    """Numbers its requests from a given number on."""

    def __init__(self, first: int, read: Any, write: Any) -> None:
        super().__init__(read, write)
        self._numbers = itertools.count(first)

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None, **related: Any
    ) -> dict[str, Any]:
        """Send a request under the next number (see the base class)."""
        numbered: CallOptions = {**(opts or {}), "request_id": next(self._numbers)}
        return await super().send_raw_request(method, params, numbered, **related)
