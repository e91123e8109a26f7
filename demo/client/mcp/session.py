"""Speaking MCP with a server: the revision is negotiated once and kept, a request is sent, one reply comes back."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from demo.client.mcp.elicitation import ANSWERING, Elicit
from demo.client.mcp.reply import Reply
from demo.client.mcp.revisions import GOODBYE, MODERN, MODES
from deputize.http import bounded
from deputize.http.connection import connect
from deputize.http.errors import no_answer
from deputize.http.known_servers import Memory
from deputize.http.recorder import Recorder
from deputize.tokens.stored import Secret, StoredToken

if TYPE_CHECKING:
    import httpx2

    from demo.client.mcp.connected import Connected
    from demo.client.mcp.resumable import Resumable

Requests = Generator[tuple[Any, Any], Reply, None]
"""Gives one request of the SDK's types after the other, each with its result's type, and is sent each reply."""


@dataclass(frozen=True)
class Terms:
    """What holds for each request.

    Attributes:
        recorder: has what is on the wire.
        seconds: the bound on one request.
        name: what the client calls itself.
        connecting: seconds for reaching the server at all, None for no other bound than `seconds`.
        for_host: whether a host is behind it, which asks every server for everything and stays for days. Then a server
            that has answered in the newest revision is held to it, and a session that has answered is taken to be
            gone at an HTTP 400.
    """

    recorder: Recorder
    seconds: float
    name: str
    connecting: float | None = None
    for_host: bool = False


class Session:
    """Speaks MCP, and remembers which revision each endpoint wants.

    Args:
        recorder: has what is on the wire.
        seconds: the bound on one request.
        name: what the client calls itself.
        connecting: seconds for reaching the server at all, None for no other bound than `seconds`.
        for_host: whether a host is behind it (`Terms`).
        elicit: answers what a server asks in mid-call; without it the server learns that nobody does.
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
        for_host: bool = False,
        elicit: Elicit | None = None,
        handshake: bool = False,
        memory: Memory | None = None,
    ) -> None:
        self.terms = Terms(recorder, seconds, name, connecting, for_host)
        self.elicit = elicit
        self.handshake = handshake
        self.keep = False
        """Whether sessions are left open at the server (`one_session`)."""
        self.resumable: dict[tuple[str, str], tuple[Resumable, httpx2.Auth | None]] = {}
        """The sessions that were left open, by URL and holder."""
        self.mirrored: dict[str, set[str]] = {}
        """By URL the names of tools with arguments in headers."""
        self._memory = memory
        self._modes: dict[str, str] = {}

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
            as `Connected.ask`.
        """
        load()
        seconds = self.terms.seconds * at_most + GOODBYE + (ANSWERING if self.elicit else 0.0)
        work = partial(self._converse, url, requests, bearer)
        return bounded.run(work, seconds, lambda: no_answer(url, self.terms.seconds))

    async def _converse(self, url: str, requests: Requests, bearer: StoredToken | Secret | None) -> list[Reply]:
        token = bearer.value if isinstance(bearer, Secret) else bearer.access_token if bearer is not None else ""
        holder = hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
        replies: list[Reply] = []
        async with self.connected() as connected:
            following = next(requests, None)
            while following is not None:
                request, kind = following
                replies.append(await connected.ask(url, request, kind, bearer, holder=holder))
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
        if self.keep:
            yield
            return
        self.keep = True
        try:
            yield
        finally:
            self.keep = False
            left, self.resumable = self.resumable, {}
            for (url, _), (session, auth) in left.items():
                # The server may not let clients end a session (405), and one that is gone already needs no end.
                with suppress(Exception):
                    bounded.run(partial(self._leave, url, session, auth), GOODBYE, TimeoutError)

    async def _leave(self, url: str, session: Resumable, auth: httpx2.Auth | None) -> None:
        async with connect(self.terms.recorder, seconds=GOODBYE) as http:
            if auth is not None:
                http.auth = auth
            await http.delete(url, headers=session.headers)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connected]:
        """The time in which requests are made, in one event loop. At its end sessions are ended, within seconds."""
        import anyio

        load()
        from demo.client.mcp.connected import Connected

        async with anyio.create_task_group() as tasks:
            connected = Connected(self, tasks)
            try:
                yield connected
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2 * GOODBYE):
                    await connected.close()
                tasks.cancel_scope.cancel()

    def known(self, url: str) -> str | None:
        """The mode in which this endpoint was spoken to last, None where it never was."""
        if url not in self._modes and self._memory is not None and (mode := self._memory.spoken(url)) in MODES:
            self._modes[url] = mode
        return self._modes.get(url)

    def learn(self, url: str, mode: str | None) -> None:
        """Remember it; None forgets it."""
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
    import demo.client.mcp.connected  # noqa: F401  imported for its sake alone

    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
