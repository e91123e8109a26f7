"""The attendees' agents: each a client of the authorization server that asks its human by the device flow (RFC 8628),
and then buys at the shop with the token it got. Whatever a page says of one was answered on the wire.

Waiting for a human is cheap, and hundreds are waited for at once, on the event loop. A call of the shop is the bundled
agent's, as everywhere else, in one of a few threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from demo.audience.attendees import Attendee
from demo.audience.issuer import AGENT
from demo.client.agent import Agent
from deputize.errors import AuthorizationRefused, ExplainedError
from deputize.evidence import AuthorizationServerMetadata, Money
from deputize.http.bounded import unwrap
from deputize.http.connection import connect
from deputize.http.errors import OAuthRefused
from deputize.http.recorder import Recorder
from deputize.oauth.device_flow import DEVICE, DeviceLogin
from deputize.oauth.login_flow import LoginRequest, Waiting
from deputize.tokens import claims
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import MemoryStore

if TYPE_CHECKING:
    import httpx2

    from demo.client.mcp.outcome import CallOutcome
    from deputize.tokens.stored import StoredToken

NAME: Final = "Shirt Agent"
SCOPES: Final = ("openid", "shop:read", "orders:read", "shop:buy")
HANDS: Final = 4
"""Calls of the shop at the same time: more would take the stage's processor from it."""
MOST_ASKS: Final = 10
MOST_CALLS: Final = 30
"""Of one attendee, so that a page that is pressed by a machine costs no more than this."""
SHOWN_CALLS: Final = 5
SELDOM_SECONDS: Final = 10.0
"""Between two polls of an agent whose human has not come back yet."""
BROKEN: Final = "something broke that should not have"
State = Literal["none", "asking", "allowed", "no", "expired", "failed", "revoked"]


@dataclass(frozen=True)
class Call:
    """One call of the shop and its end. `title` is the verdict in words, `why` the shop's sentence."""

    at: float
    allowed: bool
    title: str
    why: str
    rule: str
    status: int | None


@dataclass(frozen=True)
class Deputy:
    """An attendee's agent, as its page shows it.

    Args:
        state: how it stands: nobody asked yet, the human is asked, said yes, said no, did not answer in time, could not
            be asked, or its authority was revoked.
        code, page: what the human compares and opens, while they are asked.
        limit: up to how much it may spend.
        left: what is left of that.
        calls: its last calls, newest first.
        busy: whether a call is under way.
        trouble: why it could not be asked.
        asks, made: how often it asked, and called.
        bought, spent: shirts, and minor units.
    """

    state: State = "none"
    code: str = ""
    page: str = ""
    limit: Money | None = None
    left: Money | None = None
    calls: tuple[Call, ...] = ()
    busy: bool = False
    trouble: str = ""
    asks: int = 0
    made: int = 0
    bought: int = 0
    spent: int = 0


@dataclass
class _Kept:
    """What belongs to one attendee's agent and is shown to nobody."""

    deputy: Deputy = field(default_factory=Deputy)
    token: StoredToken | None = field(default=None, repr=False)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the human comes back from the consent page: there is probably an answer."""
    wait: asyncio.Task[None] | None = None
    work: asyncio.Task[None] | None = None


class Agents:
    """All agents of one room. Its methods are called on the event loop.

    Args:
        server: the shop's origin, as its tokens name it.
        changed: called with the attendee whose agent changed.
    """

    def __init__(self, server: str, changed: Callable[[Attendee], None]) -> None:
        self._server = server
        self._changed = changed
        self._kept: dict[int, _Kept] = {}
        self._pool = ThreadPoolExecutor(HANDS, thread_name_prefix="agent")
        self._mine = threading.local()
        self._metadata: AuthorizationServerMetadata | None = None
        self._discovering = asyncio.Lock()
        self._recorder = Recorder()
        self._http: httpx2.AsyncClient | None = None
        self._closed = False

    def of(self, attendee: Attendee) -> Deputy:
        """How an attendee's agent stands."""
        kept = self._kept.get(attendee.number)
        return Deputy() if kept is None else kept.deputy

    def all(self) -> tuple[Deputy, ...]:
        """All that there are."""
        return tuple(one.deputy for one in self._kept.values())

    async def ask(self, attendee: Attendee) -> None:
        """Have an attendee's agent ask its human, unless it is asking, or has been answered for good."""
        kept = self._kept.setdefault(attendee.number, _Kept())
        deputy = kept.deputy
        if deputy.state in ("asking", "allowed", "revoked") or deputy.asks >= MOST_ASKS or self._closed:
            return
        self._set(attendee, kept, state="asking", asks=deputy.asks + 1, code="", page="", trouble="")
        kept.wait = asyncio.create_task(self._login(attendee, kept))

    async def _login(self, attendee: Attendee, kept: _Kept) -> None:
        try:
            http, asked = await self._ready()
            login = await DEVICE.begin(http, asked)
            # Relative: the page is on the origin that the phone is on already. With the code in it, which this very
            # browser is shown: `Attendees.started` says so.
            page = f"{login.code.verification_uri.removeprefix(self._server)}?user_code={login.code.user_code}"
            self._set(attendee, kept, code=login.code.user_code, page=page)
            kept.token = await self._answer(attendee, kept, login, http)
        except Exception as raised:
            error = unwrap(raised)  # a login is waited for in a task group
            said = error.what if isinstance(error, ExplainedError) else BROKEN
            self._set(attendee, kept, state=_ended(error), code="", trouble=said)
        else:
            limit = kept.token.spending_limit
            self._set(attendee, kept, state="allowed", code="", page="", limit=limit, left=limit)
            self.call(attendee)
        finally:
            self._recorder.take()

    async def _answer(
        self, attendee: Attendee, kept: _Kept, login: DeviceLogin, http: httpx2.AsyncClient
    ) -> StoredToken:
        """Poll until the human has decided: seldom, as hundreds are waited for, until they come back from deciding."""

        async def pause(least: float) -> None:
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                await asyncio.wait_for(kept.back.wait(), max(0.0, SELDOM_SECONDS - least))

        kept.back.clear()
        seconds = max(1.0, login.code.expires_at - time.time())
        token = await login.finish(http, Waiting(seconds, None, None, None, self._recorder.guard, pause))
        if _subject(token) != attendee.sub:
            raise AuthorizationRefused("another account said yes, so your agent does not use it")
        return token

    def came_back(self, attendee: Attendee) -> None:
        """An attendee comes from the page where they decide."""
        if (kept := self._kept.get(attendee.number)) is not None:
            kept.back.set()

    async def _ready(self) -> tuple[httpx2.AsyncClient, LoginRequest]:
        """The client that all logins share, and what they ask for; the software discovers its server once."""
        async with self._discovering:
            if self._metadata is None:
                loop = asyncio.get_running_loop()
                self._metadata = await loop.run_in_executor(self._pool, lambda: self._agent().authorization_server())
            if self._http is None:
                self._http = connect(self._recorder, seconds=15.0)
        asked = LoginRequest(
            metadata=self._metadata,
            server=f"{self._server}/mcp",
            identity=ClientIdentity(AGENT),
            name=NAME,
            scopes=SCOPES,
            resources=(f"{self._server}/mcp",),
        )
        return self._http, asked

    def call(self, attendee: Attendee) -> None:
        """Have an attendee's agent try to buy a shirt, unless it is at it."""
        kept = self._kept.get(attendee.number)
        if kept is None or kept.token is None or kept.deputy.busy or kept.deputy.made >= MOST_CALLS or self._closed:
            return
        self._set(attendee, kept, busy=True, made=kept.deputy.made + 1)
        kept.work = asyncio.create_task(self._buy(attendee, kept, kept.token))

    async def _buy(self, attendee: Attendee, kept: _Kept, token: StoredToken) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcome = await loop.run_in_executor(self._pool, self._called, token, attendee)
        except Exception as error:
            why = f"{error.what}. {error.why}".strip() if isinstance(error, ExplainedError) else BROKEN
            call = Call(time.time(), False, "No answer", why, "", None)
            self._set(attendee, kept, busy=False, calls=(call, *kept.deputy.calls)[:SHOWN_CALLS])
            return
        before = kept.deputy
        order = outcome.order
        left = next(
            (Money(one.left, one.unit) for one in outcome.limits if one.name == "spending"),
            order.balance if order is not None else before.left,
        )
        self._set(
            attendee,
            kept,
            busy=False,
            calls=(read(outcome), *before.calls)[:SHOWN_CALLS],
            left=left or before.left,
            bought=before.bought + (order is not None),
            spent=before.spent + (order.price.amount if order is not None else 0),
        )

    def _called(self, token: StoredToken, attendee: Attendee) -> CallOutcome:
        """In a thread: the bundled agent, presenting this token as it is."""
        agent = self._agent()
        try:
            arguments = {
                "company": "The room",
                "mailingAddress": f"Seat {attendee.number}, the conference",
                "tshirtSize": "M",
            }
            return agent.call("buyMcpShopItem", arguments, token=token, refresh=False)
        finally:
            agent.recorder.take()
            agent.recorder.guard_only(())

    def _agent(self) -> Agent:
        """One for each thread: which revision the shop speaks is found out once."""
        if not hasattr(self._mine, "agent"):
            self._mine.agent = Agent(self._server, store=MemoryStore(), client_id=AGENT, name=NAME, timeout=20.0)
        agent: Agent = self._mine.agent
        return agent

    def revoked(self, attendees: Iterable[Attendee]) -> None:
        """These agents were revoked: their pages say so, and each makes its very next call."""
        waiting = deque(attendees)
        for attendee in waiting:
            kept = self._kept.get(attendee.number)
            if kept is not None:
                self._set(attendee, kept, state="revoked")
        for attendee in waiting:
            self.call(attendee)

    def _set(self, attendee: Attendee, kept: _Kept, **changes: object) -> None:
        if kept.deputy.state == "revoked":
            changes.pop("state", None)  # what was under way when it was revoked does not bring it back
        kept.deputy = replace(kept.deputy, **changes)  # type: ignore[arg-type]  # fields of Deputy, checked by its callers
        self._changed(attendee)

    async def close(self) -> None:
        """End all that is under way."""
        self._closed = True
        tasks = [task for one in self._kept.values() for task in (one.wait, one.work) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _ended(error: BaseException) -> State:
    """How a login ended that gave no token (RFC 8628 section 3.5)."""
    how: dict[str | None, State] = {"access_denied": "no", "expired_token": "expired", "timeout": "expired"}
    return how.get(error.oauth_error, "failed") if isinstance(error, OAuthRefused) else "failed"


def _subject(token: StoredToken) -> str:
    """For whom a token was issued, as it says itself: enough for its own client, which the shop does not rely on."""
    jwt = claims.take_apart(token.access_token)
    return str(jwt.claims.get("sub", "")) if jwt is not None else ""


def read(outcome: CallOutcome) -> Call:
    """A call's outcome in words: the order, or the gate that refused it."""
    decision = outcome.decision
    at = decision.at if decision is not None else time.time()
    rule = decision.rule if decision is not None else ""
    if outcome.allowed and outcome.order is not None:
        order = outcome.order
        return Call(at, True, f"Bought a shirt for {order.price}", f"Order {order.id}", rule, outcome.status)
    why = decision.reason if decision is not None else outcome.text[:200]
    return Call(at, False, "Refused", why, rule, outcome.status)
