"""The authorization server of both shops: the local one on a real socket, which can be silenced, stopped, or have
another clock; and a hand that signs for it.

What a shop asks goes over HTTP (metadata, keys, introspection), what a human revokes through its account API. Only
the consent is not clicked for each test: sessions are opened by the server's own function, so that a test can have
as many agents, consents and odd tokens as it likes. `test_contract_login` goes the whole way, by the pages.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2

from demo.auth_server.context import AuthorizationServerConfig, Context
from demo.auth_server.state.accounts import ACCOUNTS
from demo.auth_server.state.sessions import Session, find_session, open_session
from demo.auth_server.state.store import new_id
from demo.local_server import resources, world
from deputize.net import free_port
from tests.conftest import HANGS

ALICE, GRACE, MALLORY = "alice@example.com", "grace@example.com", "mallory@example.org"
EVERY_SCOPE = ("openid", "shop:read", "orders:read", "shop:buy", "user:read", "demo:mode", "audit:read")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Answers 503, and nothing else."""
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Switch:
    """ASGI wrapper of the authorization server.

    `instead` answers in its place, by the beginning of the path. `ahead` is how many seconds its clock is ahead, which
    each of its answers tells in `Date`.
    """

    def __init__(self) -> None:
        self.app: Any = None
        self.instead: dict[str, Any] = {}
        self.ahead = 0.0
        self.asked: list[str] = []

    def clock(self) -> float:
        """The time there, in POSIX seconds."""
        return time.time() + self.ahead

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith("/oauth2/"):
            self.asked.append(path)

        async def dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self.clock(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        app = next((app for begin, app in self.instead.items() if path.startswith(begin)), self.app)
        await app(scope, receive, dated)


@dataclass(frozen=True)
class Grant:
    """A session that a human's consent opened, and for which shop."""

    session: Session
    resource: str

    @property
    def agent(self) -> str:
        """The agent's id."""
        assert self.session.agent_id is not None
        return self.session.agent_id


@dataclass
class Issuer:
    """The running authorization server: its URL, its switch, and the context behind them."""

    url: str
    switch: Switch
    context: Context
    state: Path
    http: httpx2.Client
    start: Callable[[], None]
    stop: Callable[[], None]
    _agents: int = field(default=0)

    def grant(
        self,
        resource: str,
        *,
        human: str = ALICE,
        software: str | None = None,
        scope: tuple[str, ...] = EVERY_SCOPE,
        limit: int | None = 10_000,
    ) -> Grant:
        """A human's consent at the shop `resource`: to a new agent, or again to the `software` named.

        Args:
            limit: what may be spent, in cents; None: nothing was said about money.
        """
        if software is None:
            self._agents += 1
            software = f"contract-{self._agents}-{new_id('x')[-4:]}"
        account = next((one for one in ACCOUNTS if one.email == human), None)
        assert account is not None
        details = () if limit is None else (spending(limit, resource),)
        with self.context.store.transaction() as connection:
            opened = open_session(
                connection,
                sub=account.sub,
                client_id=software,
                delegated=True,
                scope=scope,
                resources=(resource,),
                authorization_details=details,
                auth_time=self.context.now(),
                now=self.context.now(),
            )
            session = find_session(connection, opened)
        assert session is not None
        return Grant(session, resource)

    def token(self, grant: Grant, *, typ: str = "at+jwt", **changes: Any) -> str:
        """An access token of a grant, as the server would make it; `changes` replace claims, None removes one."""
        session, now = grant.session, int(self.context.now())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": session.sub,
            "aud": grant.resource,
            "client_id": session.client_id,
            "act": {"sub": session.agent_id},
            "sid": session.id,
            "consent_id": session.consent_id,
            "scope": " ".join(session.scope),
            "authorization_details": list(session.authorization_details) or None,
            "jti": new_id("token"),
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
        }
        claims.update(changes)
        return self.context.keys.sign({name: value for name, value in claims.items() if value is not None}, typ=typ)

    def console(self, human: str = ALICE) -> str:
        """A token of the human's own console, for the account API."""
        account = next((one for one in ACCOUNTS if one.email == human), None)
        assert account is not None
        audience = self.context.account_resource
        with self.context.store.transaction() as connection:
            opened = open_session(
                connection,
                sub=account.sub,
                client_id="demo-console",
                delegated=False,
                scope=("sessions:manage",),
                resources=(audience,),
                authorization_details=(),
                auth_time=self.context.now(),
                now=self.context.now(),
            )
            session = find_session(connection, opened)
        assert session is not None
        return self.token(Grant(session, audience), act=None)

    def revoke(self, kind: str, id: str, *, human: str = ALICE) -> dict[str, bool]:
        """The human takes something back, at the authorization server's account API.

        Returns:
            Whether each resource server that was told acknowledged it, by its identifier.
        """
        told = self._account("revoke", kind, id, human)["delivered"]
        return {one["resource"]: one["acknowledged"] for one in told}

    def reinstate(self, kind: str, id: str, *, human: str = ALICE) -> None:
        """The human gives something back."""
        self._account("reinstate", kind, id, human)

    def _account(self, what: str, kind: str, id: str, human: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.console(human)}"}
        answer = self.http.post(f"{self.url}/account/{what}", json={"kind": kind, "id": id}, headers=headers)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    @contextlib.contextmanager
    def answering(self, app: Any, *paths: str) -> Iterator[None]:
        """For as long as the block `app` answers in this server's place: all that begins with one of these paths."""
        self.switch.instead = dict.fromkeys(paths or ("/oauth2/", "/ssf/", "/.well-known/"), app)
        try:
            yield
        finally:
            self.switch.instead = {}

    def silence(self) -> contextlib.AbstractContextManager[None]:
        """For as long as the block nobody can ask the authorization server anything."""
        return self.answering(silent, "/oauth2/", "/ssf/")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """For as long as the block nobody listens there; then it is back at the same address, with its state."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def clock_ahead(self, seconds: float) -> Iterator[None]:
        """For as long as the block its clock is so many seconds ahead, or behind where they are negative."""
        self.switch.ahead = seconds
        try:
            yield
        finally:
            self.switch.ahead = 0.0


def spending(amount: Any, resource: str, **changes: Any) -> dict[str, Any]:
    """One `shop_spending` authorization detail (RFC 9396)."""
    limit = {"amount": amount, "currency": "USD"}
    return {"type": "shop_spending", "actions": ["buy"], "locations": [resource], "limit": limit, **changes}


@contextlib.contextmanager
def serving(state: Path) -> Iterator[Issuer]:
    """The local server, shop and authorization server, in a thread of this process."""
    from demo.local_server.app import create_app

    database = state / "server.sqlite3"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    switch = Switch()
    running = contextlib.ExitStack()

    def start() -> None:
        switch.app = create_app(
            url, database, instance="contract", clock=switch.clock, more_resources=lambda: resources.read(state)
        )
        running.enter_context(listening(switch, port, date_header=False))

    start()
    known = world.credentials(state)
    assert known is not None
    config = AuthorizationServerConfig(url, database, (f"{url}/mcp",), resource_server=known, clock=switch.clock)
    context = Context(config)
    try:
        with httpx2.Client(timeout=HANGS, trust_env=False, verify=False) as http:
            yield Issuer(url, switch, context, state, http, start, running.close)
    finally:
        context.store.close()
        running.close()


@contextlib.contextmanager
def listening(app: Any, port: int, *, date_header: bool = True) -> Iterator[None]:
    """An ASGI application on a port of loopback, in a thread of this process; gone when the block ends."""
    import uvicorn

    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="error",
        access_log=False,
        date_header=date_header,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the server did not start"
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=HANGS)
