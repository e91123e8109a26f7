"""Speaking MCP with a server: the revision is negotiated once and kept, a request is sent, one reply comes back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from demo.client.http import bounded
from demo.client.http.connection import connect
from demo.client.http.errors import no_answer
from demo.client.http.known_servers import Memory
from demo.client.http.recorder import Recorder
from demo.client.mcp.elicitation import ANSWERING, Answerer, Elicit
from demo.client.mcp.reply import Reply, UnexpectedAnswer
from demo.client.mcp.revisions import EVENTS, GOODBYE, HANDSHAKE, MODERN, MODES, NoStream, next_mode, not_understood
from demo.client.tokens.stored import Secret, StoredToken

if TYPE_CHECKING:
    import anyio
    import httpx2
    from anyio.abc import TaskGroup
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import ServerCapabilities

    from demo.client.mcp.sdk_session import Resumable, SdkSession

Requests = Generator[tuple[Any, Any], Reply, None]
"""Gives one request of the SDK's types after the other, each with its result's type, and is sent each reply."""


@dataclass(frozen=True)
class Introduction:
    """What the server says of itself before anything is asked."""

    capabilities: ServerCapabilities
    instructions: str | None


class Session:
    """Speaks MCP, and remembers which revision each endpoint wants.

    Args:
        recorder: has what is on the wire.
        seconds: the bound on one request.
        name: what the client calls itself.
        connecting: seconds for reaching the server at all, None for no other bound than `seconds`.
        elicit: answers what a server asks in mid-call; without it the server is told that nobody does.
        handshake: begin with `initialize` instead of finding out, for a server that answers newer requests wrongly.
        memory: where what was learned is kept for other processes, None for nowhere.
    """

    def __init__(
        self,
        recorder: Recorder,
        seconds: float,
        *,
        name: str = "machine-identity-demo",
        connecting: float | None = None,
        elicit: Elicit | None = None,
        handshake: bool = False,
        memory: Memory | None = None,
    ) -> None:
        self._recorder = recorder
        self._seconds = seconds
        self._name = name
        self._connecting = connecting
        self._elicit = elicit
        self._handshake = handshake
        self._memory = memory
        self._modes: dict[str, str] = {}
        self._mirrored: dict[str, set[str]] = {}
        self._keep = False
        self._resumable: dict[tuple[str, str], tuple[Resumable, httpx2.Auth | None]] = {}
        # While it is connected:
        self._tasks: TaskGroup | None = None
        self._opening: anyio.Lock | None = None
        self._answerer: Answerer | None = None
        self._open: dict[tuple[str, str], tuple[str, SdkSession]] = {}
        self._presented: tuple[StoredToken | Secret | None, httpx2.Auth | None] = None, None

    def converse(
        self,
        url: str,
        requests: Requests,
        bearer: StoredToken | Secret | None,
        *,
        at_most: int = 1,
    ) -> list[Reply]:
        """Send requests in one session, from a program that is not asynchronous.

        Args:
            url: the MCP endpoint.
            bearer: the token that is presented, None for none. A session that was begun with one is not gone on in
                with another.
            at_most: requests that may be sent; the timeout is for each.

        Raises:
            as `ask`.
        """
        load()
        seconds = self._seconds * at_most + GOODBYE + (ANSWERING if self._elicit else 0.0)
        work = partial(self._converse, url, requests, bearer)
        return bounded.run(work, seconds, lambda: no_answer(url, self._seconds))

    async def _converse(self, url: str, requests: Requests, bearer: StoredToken | Secret | None) -> list[Reply]:
        holder = bearer.value if isinstance(bearer, Secret) else bearer.access_token if bearer is not None else ""
        replies: list[Reply] = []
        async with self.connected():
            following = next(requests, None)
            while following is not None:
                request, kind = following
                replies.append(await self.ask(url, request, kind, bearer, holder=holder))
                try:
                    following = requests.send(replies[-1])
                except StopIteration:
                    break
        return replies

    @contextmanager
    def one_session(self) -> Iterator[None]:
        """While it lasts, conversations of one token with one endpoint go on in one session at the server, where there
        are any: before 2026-07-28, over HTTP. At the end the sessions are ended, within `GOODBYE` each.
        """
        if self._keep:
            yield
            return
        self._keep = True
        try:
            yield
        finally:
            self._keep = False
            left, self._resumable = self._resumable, {}
            for (url, _), (session, auth) in left.items():
                # The server may not let clients end a session (405), and one that is gone already needs no end.
                with suppress(Exception):
                    bounded.run(partial(self._leave, url, session, auth), GOODBYE, TimeoutError)

    async def _leave(self, url: str, session: Resumable, auth: httpx2.Auth | None) -> None:
        async with connect(self._recorder, seconds=GOODBYE) as http:
            if auth is not None:
                http.auth = auth
            await http.delete(url, headers=session.headers)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Session]:
        """The time in which requests are made. At its end sessions are ended, within a few seconds."""
        import anyio

        load()
        self._opening = anyio.Lock()
        self._answerer = None if self._elicit is None else Answerer(self._elicit, self._recorder.masked)
        async with anyio.create_task_group() as self._tasks:
            try:
                yield self
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2 * GOODBYE):
                    for (url, mode), (_, session) in list(self._open.items()):
                        await self._close(url, mode, session)
                self._tasks.cancel_scope.cancel()

    async def ask(
        self,
        url: str,
        request: Any,
        kind: Any,
        bearer: StoredToken | Secret | None,
        *,
        holder: str,
        on_progress: ProgressFnT | None = None,
        older: bool = True,
    ) -> Reply:
        """Send one request, and once more wherever it was not carried out: in the revision that the server speaks, in a
        new session where it has ended the one that stood.

        Args:
            url: the MCP endpoint.
            request: a request of the SDK's types, without an envelope, and `kind`, its result's type.
            bearer: the token that is presented, None for none.
            holder: tells whose session it is. One that was begun by one holder is not gone on in by another.
            on_progress: asks the server for progress, and is told it.
            older: whether revisions before the newest may be spoken.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server.
            whatever `elicit` raises.
        """
        known = HANDSHAKE if self._handshake else self._known(url)
        mode = known if known is not None and older else MODERN
        tried: list[str] = []
        got: Reply | UnexpectedAnswer | None = None
        newest: Reply | UnexpectedAnswer | None = None
        with self._recorder.collect() as exchanges:
            while True:
                tried.append(mode)
                exchanges.clear()  # what another mode led to is no part of the answer
                try:
                    for last in (False, True):
                        session = await self._opened(url, mode, bearer, holder)
                        if isinstance(session, Reply):
                            got = session
                            break
                        got = await session.ask(
                            request, kind, self._auth(bearer), exchanges, on_progress=on_progress, last=last
                        )
                        if got is not None:
                            break
                        await self._close(url, mode, session)
                    if self._answerer is not None and self._answerer.failure is not None:
                        raise self._answerer.failure
                except UnexpectedAnswer as unexpected:
                    got = unexpected
                    if mode == known and mode != MODERN:
                        self._learn(url, None)
                if mode == MODERN:
                    newest = got
                elif isinstance(got, UnexpectedAnswer) and (isinstance(newest, Reply) or isinstance(got, NoStream)):
                    got = newest or got
                assert got is not None, "what the last session says is the answer"
                following = next_mode(tried, got, known=known) if older and not self._handshake else None
                if following is None:
                    break
                mode = following
        if isinstance(got, UnexpectedAnswer):
            raise got
        if got.result is not None and older:
            self._learn(url, mode)
        return got

    async def introduce(self, url: str, bearer: StoredToken | Secret | None, *, holder: str) -> Introduction | None:
        """What the server says of itself; None where a gate refuses to let it.

        Args:
            as of `ask`.

        Raises:
            as `ask`.
        """
        from mcp_types import DiscoverRequest, DiscoverResult
        from pydantic import ValidationError

        try:
            reply = await self.ask(url, DiscoverRequest(), DiscoverResult, bearer, holder=holder, older=False)
            if reply.refused:
                return None
            told = DiscoverResult.model_validate(reply.result, by_name=False)
            if MODERN in told.supported_versions:
                self._learn(url, MODERN)
                return Introduction(told.capabilities, told.instructions)
        except UnexpectedAnswer as unexpected:
            if not not_understood(unexpected.status):
                raise
        except ValidationError:
            pass  # an error, or something else than was asked for: a server of an earlier revision
        for mode in (HANDSHAKE, EVENTS):
            try:
                session = await self._opened(url, mode, bearer, holder)
            except UnexpectedAnswer as unexpected:
                if mode == EVENTS or not not_understood(unexpected.status):
                    raise
                continue
            if isinstance(session, Reply) or session.sdk is None or session.sdk.initialize_result is None:
                return None
            self._learn(url, mode)
            return Introduction(session.sdk.initialize_result.capabilities, session.sdk.initialize_result.instructions)
        raise AssertionError("the last mode that is tried answers or raises")

    async def _opened(
        self, url: str, mode: str, bearer: StoredToken | Secret | None, holder: str
    ) -> SdkSession | Reply:
        """The session, begun where there is none, or none of this holder; the refusal of a gate where there is one.

        Raises:
            ServerUnreachable: there is none to be had; `UnexpectedAnswer` where the server may speak otherwise.
        """
        from demo.client.mcp.sdk_session import SdkSession, Terms

        assert self._tasks is not None and self._opening is not None, "requests are made within connected()"
        async with self._opening:
            begun_by, session = self._open.get((url, mode), ("", None))
            if session is not None and session.stands and (mode == MODERN or begun_by == holder):
                return session
            if session is not None:
                await self._close(url, mode, session)
            handshake = mode == HANDSHAKE
            resume, _ = self._resumable.pop((url, holder), (None, None)) if handshake else (None, None)
            session = SdkSession(
                url,
                mode,
                Terms(self._recorder, self._seconds, self._name, self._connecting),
                self._auth(bearer),
                answerer=self._answerer,
                mirrored=self._mirrored.setdefault(url, set()),
                resume=resume,
                keep=self._keep and handshake,
            )
            refused = await session.open(self._tasks)
            if refused is not None:
                return refused
            self._open[url, mode] = holder, session
            return session

    async def _close(self, url: str, mode: str, session: SdkSession) -> None:
        holder, current = self._open.get((url, mode), ("", None))
        if current is session:
            del self._open[url, mode]
        await session.close()
        if session.resumable is not None and self._keep:
            self._resumable[url, holder] = session.resumable, session.auth

    def _auth(self, bearer: StoredToken | Secret | None) -> httpx2.Auth | None:
        """How a token is presented: the same for as long as it is the same token, for a server's nonces are in it."""
        if bearer is None:
            return None
        from demo.client.oauth.token_auth import BearerToken, presented

        if self._presented[0] is not bearer:
            auth = BearerToken(bearer.value) if isinstance(bearer, Secret) else presented(bearer)
            self._presented = bearer, auth
        return self._presented[1]

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


def load() -> None:
    """Import the SDK before a clock runs: the first time takes seconds on a busy machine, and no server's fault.

    Its logging goes nowhere unless an application asks for it: the terminal is a stage.
    """
    import demo.client.mcp.sdk_session  # noqa: F401  imported for its sake alone

    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
