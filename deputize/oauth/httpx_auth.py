"""What every login flow of a program shares: an `httpx2.Auth` for the HTTP client that it gives the MCP SDK.

A flow presents the stored token, renews it when it is due, answers a 401 with a login and a 403 `insufficient_scope`
with one for more (MCP 2026-07-28, authorization), a bounded number of times, has a human approve a single request
where the server wants that (403 `insufficient_authorization`, draft-ietf-oauth-rar-metadata-remediation), and binds
tokens to a key where both sides take part in DPoP (RFC 9449). Discovery, registration and login go over a client of
their own.

A login outlives the request that began it: one that is cancelled, or runs out of patience, leaves it open, and the next
one joins it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import httpx2

from deputize.evidence import Challenge
from deputize.http.callers import beside
from deputize.http.connection import Connection
from deputize.http.errors import OAuthRefused
from deputize.http.fetch import fetch
from deputize.http.origins import origin
from deputize.http.recorder import Recorder
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.challenge import read_challenge, scopes_of, union
from deputize.oauth.login_flow import LoginPending
from deputize.oauth.step_up import StepUp
from deputize.oauth.token_auth import presented
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.sdk_storage import SdkStore, is_sdk_storage
from deputize.tokens.store import MemoryStore, Store
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    from mcp.client.auth import TokenStorage

Work = Callable[[], Any]
Scopes = Sequence[str] | Literal["all"]
SLOT = "agent"


class FlowOptions(TypedDict, total=False):
    """The options of every flow, all by name."""

    store: Store | TokenStorage | None
    """Where tokens and registrations are kept: a `TokenStore`, a `MemoryStore`, a `Store` of your own, or an MCP SDK
    `TokenStorage`, which has no place for a token's key, its end and a login that waits. None, the default: in memory,
    so that they end with the process."""
    name: str
    """The program's name, for the human at the consent page; "MCP client" by default."""
    client: ClientIdentity | None
    """Who the program is where it is registered by hand. None, the default: by `metadata_url`, else by dynamic client
    registration (RFC 7591)."""
    metadata_url: str | None
    """The https URL of the program's client ID metadata document; None where it has none."""
    redirect_port: int | None
    """The loopback port of the registered redirect URI; None, the default, for any (RFC 8252 section 7.3)."""
    scopes: Scopes
    """Asked for beside those that the server names when it refuses; a sequence, or one text with spaces. "all": every
    one that the resource's metadata list (RFC 9728), so that nobody is asked again for one more. None by default."""
    timeout: float
    """Seconds for one exchange with the authorization server; 15 by default."""


class OAuthFlow(httpx2.Auth, ABC):
    """What all flows share; use one of its subclasses.

    Args:
        server: the MCP server's URL. Requests to another origin go out without a token.
        store, name, client, metadata_url, redirect_port, scopes, timeout: `FlowOptions` says what each is.

    Raises, out of the request that it belongs to:
        AuthorizationRefused: the human said no, or the authorization server refuses.
        ServerUnreachable: the authorization server does not answer.
    """

    def __init__(
        self,
        server: str,
        *,
        store: Store | TokenStorage | None = None,
        name: str = "MCP client",
        client: ClientIdentity | None = None,
        metadata_url: str | None = None,
        redirect_port: int | None = None,
        scopes: Scopes = (),
        timeout: float = 15.0,
    ) -> None:
        self._connection = Connection(server, timeout)
        kept: Store = (
            MemoryStore() if store is None else SdkStore(store, SLOT) if is_sdk_storage(store) else cast(Store, store)
        )
        self._bound = not isinstance(kept, SdkStore)
        # What belongs to one server is kept, and found, under its name alone.
        self._store = kept.at(server)
        self._authorizer = Authorizer(
            self._connection,
            self._store,
            slot=SLOT,
            name=name,
            ask=self._ask,
            identity=client,
            metadata_url=metadata_url,
            redirect_port=redirect_port,
        )
        self._scopes = scopes if scopes == "all" else tuple(scopes.split() if isinstance(scopes, str) else scopes)
        self._one_at_a_time = threading.Lock()

    @property
    def recorder(self) -> Recorder:
        """What was on the wire between this program and the authorization server, secrets masked."""
        return self._connection.recorder

    async def login(self) -> StoredToken:
        """Have a token before the first request: the stored one, renewed where it is due, or one from a login.

        Returns:
            the token; printed, it is masked.

        Raises:
            LoginPending: the human has not decided in time; the login stands, and the next one joins it.
            AuthorizationRefused, ServerUnreachable: as a request.
        """
        return await beside(self._log_in)

    def login_sync(self) -> StoredToken:
        """`login`, for a program without `await`; also where an event loop runs in this thread."""
        return self._log_in(threading.Event())

    async def logout(self) -> None:
        """Have the authorization server revoke the login (RFC 7009), and forget it here, whatever that answers.

        Raises:
            AuthorizationRefused: it is forgotten here, and nothing says that it is revoked.
        """
        await beside(lambda _: self._log_out())

    def logout_sync(self) -> None:
        """`logout`, for a program without `await`."""
        self._log_out()

    @abstractmethod
    def _obtain(self, scopes: tuple[str, ...], given_up: threading.Event, *, asked: bool) -> StoredToken:
        """Get a token for these scopes, and keep it.

        Args:
            given_up: set when nobody waits for it any more.
            asked: whether a login was asked for, and is not what a request needs on its way.
        """

    @abstractmethod
    def _approve(
        self, details: tuple[dict[str, Any], ...], scopes: tuple[str, ...], given_up: threading.Event
    ) -> StoredToken:
        """Get a token for one request by itself, which is not kept.

        Args:
            details: what the server wants approved (RFC 9396); they are its words, for the human to judge.
            given_up: as in `_obtain`.
        """

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """For an `httpx2.Client`."""
        steps = self._steps(request, threading.Event())
        answer: Any = None
        while (step := _next(steps, answer)) is not None:
            answer = step() if callable(step) else (yield step)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """For an `httpx2.AsyncClient`: what waits for people or other servers does so in a thread of its own."""
        given_up = threading.Event()
        steps = self._steps(request, given_up)
        answer: Any = None
        try:
            while (step := _next(steps, answer)) is not None:
                answer = await beside(_unasked(step)) if callable(step) else (yield step)
        except BaseException:
            given_up.set()
            raise

    def _steps(self, request: httpx2.Request, given_up: threading.Event) -> Generator[httpx2.Request | Work, Any, None]:
        """Requests to send, and work to do between them; each is answered with its response or its result."""
        if origin(str(request.url)) != origin(self._connection.server):
            yield request
            return
        attempts = self._attempts(given_up)
        held: StoredToken | None = yield attempts.held
        while True:
            response = yield from _sent(request, held)
            if response.status_code not in (401, 403) or not _is_from(self._connection.server, response):
                return
            challenge = read_challenge(response.status_code, response.headers.get_list("www-authenticate"))
            held = yield partial(self._answer, attempts, response.status_code, challenge, held, given_up)
            if held is None:
                return

    def _attempts(self, given_up: threading.Event) -> StepUp:
        return StepUp(
            self._authorizer,
            lambda scopes: self._obtain(self._wanted(scopes), given_up, asked=False),
            lambda details, scopes: self._approve(details, scopes, given_up),
        )

    def _answer(
        self,
        attempts: StepUp,
        status: int,
        challenge: Challenge | None,
        used: StoredToken | None,
        given_up: threading.Event,
    ) -> StoredToken | None:
        with self._turn(given_up):
            # Several requests may have been refused at once: one of them asks the human, the others take what came.
            now = self._authorizer.credentials.stored()
            newer = now is not None and now.access_token != (used.access_token if used else None)
            if challenge is not None and challenge.get("error") == "insufficient_authorization":
                newer = False  # it is about this one request
            if newer and now and (status == 401 or set(scopes_of(challenge)) <= set(now.scope)):
                return now
            return attempts.after(status, challenge, used)

    def _log_in(self, given_up: threading.Event) -> StoredToken:
        with self._turn(given_up):
            held = self._attempts(given_up).held()
            if held is not None:
                return held
            return self._obtain(self._wanted(self._authorizer.wanted()), given_up, asked=True)

    def _log_out(self) -> None:
        held = self._authorizer.credentials.stored()
        if held is None:
            return
        self._authorizer.credentials.forget()
        why_not = self._authorizer.revoke(held)
        if why_not is not None:
            raise OAuthRefused(
                "the login is forgotten here, and may not be revoked",
                oauth_error="unsupported",
                why=why_not,
                do="revoke it where you approved it",
            )

    def _turn(self, given_up: threading.Event) -> _Turn:
        return _Turn(self._one_at_a_time, given_up)

    def _wanted(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """What to ask for, where the server names these."""
        if self._scopes != "all":
            return union(named, self._scopes)
        challenge = self._authorizer.discovery.challenge
        listed = challenge.resource.scopes_supported if challenge is not None and challenge.resource else ()
        return union(named, listed)

    def _ask(self) -> _Answered:
        """Ask the server for something without a token, for its challenge."""
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        url = self._connection.endpoint()
        accept = {"accept": "application/json, text/event-stream"}
        answer = self._connection.http(lambda http: fetch(http, "POST", url, server=url, body=ping, headers=accept))
        told = answer.headers.get("www-authenticate")
        found = None if told is None else read_challenge(answer.status, [told], anonymous=True)
        return _Answered(answer.status, found, answer.oauth_why, answer.retry_after)


@dataclass(frozen=True)
class _Answered:
    """An answer to a request without a token (`Anonymous`)."""

    status: int | None
    challenge: Challenge | None
    text: str
    retry_after: float | None


class _Turn:
    """One request at a time asks the human; who gives up does not wait for its turn."""

    def __init__(self, lock: threading.Lock, given_up: threading.Event) -> None:
        self._lock, self._given_up = lock, given_up

    def __enter__(self) -> None:
        while not self._lock.acquire(timeout=0.1):
            if self._given_up.is_set():
                raise LoginPending("the login was given up", oauth_error="given_up", do="try again")

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def _sent(
    request: httpx2.Request, held: StoredToken | None
) -> Generator[httpx2.Request, httpx2.Response, httpx2.Response]:
    request.headers.pop("authorization", None)
    request.headers.pop("dpop", None)
    if held is None:
        return (yield request)
    steps = presented(held).sync_auth_flow(request)
    step = next(steps)
    while True:
        response = yield step
        try:
            step = steps.send(response)
        except StopIteration:
            return response


def _is_from(server: str, response: httpx2.Response) -> bool:
    """Whether an answer is the server's own: who is behind a redirect says nothing about where it is logged in at."""
    return origin(str(response.url)) == origin(server)


def _unasked(step: Work) -> Callable[[threading.Event], Any]:
    return lambda _: step()


def _next(steps: Generator[httpx2.Request | Work, Any, None], answer: Any) -> httpx2.Request | Work | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None
