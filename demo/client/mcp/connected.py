"""The requests to a server in one event loop: each in the revision that it speaks, and in a session that stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import DiscoverRequest, DiscoverResult
from pydantic import ValidationError

from demo.client.mcp.elicitation import Answerer
from demo.client.mcp.reply import Reply, UnexpectedAnswer
from demo.client.mcp.revisions import EVENTS, HANDSHAKE, MODERN, NoStream, next_mode, not_understood
from demo.client.mcp.sdk_session import SdkSession
from deputize.oauth.token_auth import BearerToken, presented
from deputize.tokens.stored import Secret, StoredToken

if TYPE_CHECKING:
    import httpx2
    from anyio.abc import TaskGroup
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import ServerCapabilities

    from demo.client.mcp.session import Session


@dataclass(frozen=True)
class Introduction:
    """What the server says of itself before anything is asked."""

    capabilities: ServerCapabilities
    instructions: str | None


class Connected:
    """Sends requests (`Session.connected`). Many may be under way at a time.

    Args:
        session: what is known of the server, and is learned.
        tasks: where sessions of the SDK's stand.
    """

    def __init__(self, session: Session, tasks: TaskGroup) -> None:
        self._session = session
        self._tasks = tasks
        self._opening = anyio.Lock()
        self._answerer = None if session.elicit is None else Answerer(session.elicit, session.terms.recorder.masked)
        self._open: dict[tuple[str, str], tuple[str, SdkSession]] = {}
        self._presented: tuple[StoredToken | Secret | None, httpx2.Auth | None] = None, None

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
            on_progress: asks the server for progress, and is called with it.
            older: whether revisions before the newest may be spoken.

        Raises:
            ServerUnreachable: nothing answered, or no MCP server.
            whatever `elicit` raises.
        """
        known = HANDSHAKE if self._session.handshake else self._session.known(url)
        mode = known if known is not None and older else MODERN
        tried: list[str] = []
        got: Reply | UnexpectedAnswer | None = None
        newest: Reply | UnexpectedAnswer | None = None
        with self._session.terms.recorder.collect() as exchanges:
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
                        await self._end(url, mode, session)
                    if self._answerer is not None and self._answerer.failure is not None:
                        raise self._answerer.failure
                except UnexpectedAnswer as unexpected:
                    got = unexpected
                    if mode == known and mode != MODERN:
                        self._session.learn(url, None)
                if mode == MODERN:
                    newest = got
                elif isinstance(got, UnexpectedAnswer) and (isinstance(newest, Reply) or isinstance(got, NoStream)):
                    got = newest or got
                assert got is not None, "what the last session says is the answer"
                settled = self._session.terms.for_host and known == MODERN
                following = next_mode(tried, got, settled=settled) if older and not self._session.handshake else None
                if following is None:
                    break
                mode = following
        if isinstance(got, UnexpectedAnswer):
            raise got
        if got.result is not None and older:
            self._session.learn(url, mode)
        return got

    async def introduce(self, url: str, bearer: StoredToken | Secret | None, *, holder: str) -> Introduction | None:
        """What the server says of itself; None where a gate refuses to let it.

        Args:
            as of `ask`.

        Raises:
            as `ask`.
        """
        try:
            reply = await self.ask(url, DiscoverRequest(), DiscoverResult, bearer, holder=holder, older=False)
            if reply.refused:
                return None
            said = DiscoverResult.model_validate(reply.result, by_name=False)
            if MODERN in said.supported_versions:
                self._session.learn(url, MODERN)
                return Introduction(said.capabilities, said.instructions)
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
            self._session.learn(url, mode)
            return Introduction(session.sdk.initialize_result.capabilities, session.sdk.initialize_result.instructions)
        raise AssertionError("the last mode that is tried answers or raises")

    async def _opened(
        self, url: str, mode: str, bearer: StoredToken | Secret | None, holder: str
    ) -> SdkSession | Reply:
        """The session, begun where there is none, or none of this holder; the refusal of a gate where there is one.

        Raises:
            ServerUnreachable: there is none to be had; `UnexpectedAnswer` where the server may speak otherwise.
        """
        async with self._opening:
            begun_by, session = self._open.get((url, mode), ("", None))
            if session is not None and session.stands and (mode == MODERN or begun_by == holder):
                return session
            if session is not None:
                await self._end(url, mode, session)
            handshake = mode == HANDSHAKE
            resume, _ = self._session.resumable.pop((url, holder), (None, None)) if handshake else (None, None)
            session = SdkSession(
                url,
                mode,
                self._session.terms,
                self._auth(bearer),
                answerer=self._answerer,
                mirrored=self._session.mirrored.setdefault(url, set()),
                resume=resume,
                keep=self._session.keep and handshake,
            )
            refused = await session.open(self._tasks)
            if refused is not None:
                return refused
            self._open[url, mode] = holder, session
            return session

    async def _end(self, url: str, mode: str, session: SdkSession) -> None:
        holder, current = self._open.get((url, mode), ("", None))
        if current is session:
            del self._open[url, mode]
        await session.close()
        if session.resumable is not None and self._session.keep:
            self._session.resumable[url, holder] = session.resumable, session.auth

    def _auth(self, bearer: StoredToken | Secret | None) -> httpx2.Auth | None:
        """How a token is presented: the same for as long as it is the same token, for a server's nonces are in it."""
        if bearer is None:
            return None
        if self._presented[0] is not bearer:
            auth = BearerToken(bearer.value) if isinstance(bearer, Secret) else presented(bearer)
            self._presented = bearer, auth
        return self._presented[1]

    async def close(self) -> None:
        """End the sessions."""
        for (url, mode), (_, session) in list(self._open.items()):
            await self._end(url, mode, session)
