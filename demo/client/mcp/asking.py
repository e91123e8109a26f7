"""Asking one request in a session: with what it takes to have it answered, and the answer read from the record."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from demo.client.http.connection import Connection
from demo.client.http.errors import no_answer
from demo.client.http.exchange import HttpExchange, on_behalf_of
from demo.client.mcp.elicitation import ROUNDS, Answerer, next_round
from demo.client.mcp.mirrored import mirroring
from demo.client.mcp.reply import Reply, UnexpectedAnswer, final, request_in, request_of, understood

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

PAGES = 20
"""Pages of `tools/list` in which a tool's headers are looked up."""

SETTLING = 20
"""Looks, 5 ms apart, after which an exchange that has answered and not ended is read as it stands."""

SESSION = "mcp-session-id"
HEADER_MISMATCH = -32020


class Record:
    """What one conversation has on record, and how far it has been taken.

    Args:
        connection: the way to the server.
        url: the MCP endpoint.
    """

    def __init__(self, connection: Connection, url: str) -> None:
        self._recorder = connection.recorder
        self._seconds = connection.timeout
        self._url = url
        self._begun = 0
        self.whole: list[HttpExchange] = []
        """Every exchange that has ended, in this order."""
        self.late = False
        """Whether the last answer was not waited for any longer."""
        self.cause: object = object()
        """The request that was sent last: its exchanges are recorded with this cause (`on_behalf_of`)."""
        self.trouble: BaseException | None = None
        """What the SDK ran into with it, None where nothing is known."""
        self.resumed = False
        """Whether the session was begun in an earlier conversation."""

    def raws(self) -> list[HttpExchange]:
        """The exchanges since the last answer was taken, those under way too."""
        return [*self.whole[self._begun :], *self._recorder.under_way()]

    def final(self, raws: list[HttpExchange]) -> Reply:
        """The answer in `raws` to the request that was sent last.

        Raises:
            as `demo.client.mcp.reply.final`.
        """
        try:
            return final(raws, self.cause, self._url, self._seconds, self.trouble)
        except UnexpectedAnswer:
            if self.late:  # what came is no answer because it was cut short
                raise no_answer(self._url, self._seconds) from None
            raise

    def taken(self) -> None:
        """The answer has been taken; what follows belongs to the next."""
        self._begun = len(self.whole)
        self.next()

    def next(self) -> None:
        """A request is about to be sent: nothing that is on record is its answer."""
        self.cause, self.trouble, self.late = object(), None, False

    def session_is_gone(self, raws: list[HttpExchange]) -> bool:
        """Whether the server has ended the session that the last request came in (`session_is_gone`)."""
        return session_is_gone(raws, self.cause, resumed=self.resumed)


class Asker:
    """Asks requests in one session.

    Args:
        session: the SDK's.
        connection: the way to the server.
        record: where the answers are read.
        mirrored: names of tools with arguments in headers; what is learned on the way is added.
        answerer: answers what the server asks in mid-call, None where nobody does.
    """

    def __init__(
        self,
        session: ClientSession,
        connection: Connection,
        record: Record,
        mirrored: set[str],
        answerer: Answerer | None,
    ) -> None:
        self._session = session
        self._connection = connection
        self._record = record
        self._mirrored = mirrored
        self._answerer = answerer
        self._seen: set[str] = set()

    async def ask(self, request: tuple[Any, Any]) -> None:
        """Send one request, and what it takes to have it answered: its tool's list, answers to questions."""
        wanted, kind = request
        name = wanted.params.name if wanted.method == "tools/call" else None
        if name in self._mirrored and name not in self._seen:
            await self._look_up(name)
        if self._answerer is not None:
            self._answerer.begin()
        looked = False
        for _ in range(ROUNDS + 1):
            await self._send(wanted, kind)
            raws = self._record.raws()
            if self._record.session_is_gone(raws):
                return
            reply = self._record.final(raws)
            if reply.error_code == HEADER_MISMATCH and name is not None and name not in self._seen and not looked:
                # The server wants arguments in headers that only its tool list names: list, then send once more. Also
                # where no page names the tool: what the server says of the call, not of the list, is the answer.
                looked = True
                await self._look_up(name)
                continue
            if wanted.method == "tools/list":
                self._mirrored.update(mirroring(reply.result))
            result = reply.result or {}
            if self._answerer is None or result.get("resultType") != "input_required":
                return
            wanted = await next_round(wanted, result, self._answerer)
            if wanted is None:
                return

    async def _send(self, wanted: Any, kind: Any) -> None:
        import anyio

        with anyio.move_on_after(self._connection.timeout) as clock:
            if self._answerer is not None:
                self._answerer.clock = clock
            self._record.next()
            try:
                with on_behalf_of(self._record.cause):
                    await self._session.send_request(wanted, kind)
            except Exception as error:  # see Conversation: what it was is read from the record
                self._record.trouble = error
            for _ in range(SETTLING):
                await anyio.lowlevel.checkpoint()
                under_way = self._connection.recorder.under_way()
                if not any(raw.cause is self._record.cause and request_in(raw) for raw in under_way):
                    break
                await anyio.sleep(0.005)
        self._record.late = clock.cancelled_caught

    async def _look_up(self, name: str) -> None:
        """Have the SDK see the tool in the server's list, so that it puts arguments into headers."""
        import anyio
        from mcp.types import PaginatedRequestParams

        cursor: str | None = None
        with anyio.move_on_after(self._connection.timeout), contextlib.suppress(Exception):
            for _ in range(PAGES):
                page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                cursor = page.next_cursor
                if any(tool.name == name for tool in page.tools):
                    self._seen.add(name)
                    return
                if cursor is None:
                    return


def session_is_gone(raws: Sequence[HttpExchange], cause: object, *, resumed: bool = False) -> bool:
    """Whether the server has ended the session that this request came in, and so has not carried it out.

    MCP 2025-11-25, Transports, "Session Management": it answers HTTP 404, and the client begins a new session. Servers
    that have been restarted since answer 400 as well, as the examples of the TypeScript SDK do.

    Args:
        raws: what is on record.
        cause: the request (`on_behalf_of`).
        resumed: whether the session has answered before, so that 400 cannot mean that it was never right.
    """
    raw = request_of(raws, cause)
    if raw is None or raw.request_header(SESSION) is None:
        return False
    return raw.status == 404 or (resumed and raw.status == 400 and not understood(raw))
