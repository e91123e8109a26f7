"""After a revocation was answered nothing is placed by what was revoked, whoever is busy, stopped or killed meanwhile.

To look and then to act is two things (CWE-367): the grant is asked about when a request comes in, and used a moment
later. RFC 7009 section 2 has a revocation take place immediately; RFC 7662 section 4 warns of what an answer of
introspection is worth later. How it is told: RFC 8935, OpenID CAEP.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.auth_server.clients.client import Client
from demo.auth_server.context import AuthorizationServerConfig, Context
from demo.auth_server.grants.authorization_details import spending_up_to
from demo.auth_server.grants.tokens import sign_access_token
from demo.auth_server.state.accounts import account_by_sub
from demo.auth_server.state.sessions import Session, find_session, open_session
from deputize.net import free_port
from tests.attacks.apart import SECRET
from tests.conftest import HANGS, ROOT

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
BUY = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "buyMcpShopItem",
        "arguments": {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"},
    },
}


@dataclass
class World:
    """An authorization server and a shop, each a process."""

    folder: Path
    given: dict[str, dict[str, Any]]
    ports: dict[str, int] = field(default_factory=lambda: {"auth_server": free_port(), "shop": free_port()})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def base(self, role: str) -> str:
        return f"http://127.0.0.1:{self.ports[role]}"

    def start(self, role: str) -> None:
        peer = self.base("shop" if role == "auth_server" else "auth_server")
        command = [sys.executable, "-m", "tests.attacks.apart", role, str(self.ports[role])]
        command += [str(self.folder / f"{role}.db"), peer, json.dumps(self.given.get(role, {}))]
        self.running[role] = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.ports[role])) == 0:
                    return
            assert self.running[role].poll() is None
            time.sleep(0.05)
        raise AssertionError(f"{role} did not start")

    def signal(self, role: str, sign: signal.Signals) -> None:
        os.kill(self.running[role].pid, sign)
        if sign == signal.SIGKILL:
            self.running[role].wait(10)

    def stop(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(HANGS)

    def sub_agent(self, of: Session) -> tuple[str, str]:
        """A sub-agent below the agent of a session, and its token (RFC 8693)."""
        issuer, shop = self.base("auth_server"), f"{self.base('shop')}/mcp"
        config = AuthorizationServerConfig(issuer, self.folder / "auth_server.db", (shop,), resource_server=SECRET)
        context = Context(config)
        assert of.agent_id is not None
        id, scope = f"agent_below_{of.agent_id}", ("shop:read", "shop:buy")
        token = sign_access_token(context, of, audience=shop, scope=scope, seconds=300, through=(id, of.agent_id))
        context.store.close()
        return id, token

    def sessions(self, number: int) -> tuple[list[tuple[Session, str]], str]:
        """So many agents of Alice's with a session and a token each, and the Authorization of her console."""
        issuer = self.base("auth_server")
        context = Context(
            AuthorizationServerConfig(
                issuer, self.folder / "auth_server.db", (f"{self.base('shop')}/mcp",), resource_server=SECRET
            )
        )
        alice = account_by_sub("user_alice")
        assert alice is not None
        details = (spending_up_to(10_000_00, [f"{self.base('shop')}/mcp"]),)
        made: list[tuple[Session, str]] = []
        console = Client("the-console", "Control room", False)
        known = ("demo-agent", *(f"client_{one}" for one in range(1, number)))
        agents = [Client(id, id, True) for id in known]
        for client in [*agents, console]:
            audience = f"{self.base('shop')}/mcp" if client.delegated else f"{issuer}/account"
            scope = ("shop:read", "shop:buy") if client.delegated else ("sessions:manage",)
            with context.store.transaction() as connection:
                opened = open_session(
                    connection,
                    sub=alice.sub,
                    client_id=client.client_id,
                    delegated=client.delegated,
                    scope=scope,
                    resources=(audience,),
                    authorization_details=details if client.delegated else (),
                    auth_time=time.time(),
                    now=time.time(),
                )
                session = find_session(connection, opened)
            assert session is not None
            made.append((session, sign_access_token(context, session, audience=audience, scope=scope, seconds=300)))
        context.store.close()
        return made[:-1], f"Bearer {made[-1][1]}"

    def orders(self, agent: str | None = None) -> int:
        """How many are placed, by one agent or all, as anybody sees who reads the shop's file now."""
        with contextlib.closing(sqlite3.connect(self.folder / "shop.db", timeout=10)) as connection:
            row = connection.execute(
                "SELECT count(*) FROM shop_orders WHERE ? IN (agent, '')", (agent or "",)
            ).fetchone()
        return int(row[0])

    def on_record(self, verdict: str) -> int:
        """How many decisions of this kind are on record."""
        with contextlib.closing(sqlite3.connect(self.folder / "shop.db", timeout=10)) as connection:
            rows = connection.execute("SELECT decision FROM shop_audit").fetchall()
        return sum(json.loads(row[0])["verdict"] == verdict for row in rows)

    def revoke(self, kind: str, session: Session, token: str, console: str, *, what: str = "revoke") -> None:
        """Revoke (or reinstate), and return when that was answered."""
        with httpx2.Client(base_url=self.base("auth_server"), verify=False, timeout=HANGS) as http:
            if kind == "token":
                answer = http.post("/oauth2/revoke", data={"token": token, "client_id": session.client_id})
            else:
                id = {"session": session.id, "agent": session.agent_id, "user": session.sub}[kind]
                headers = {"authorization": console}
                answer = http.post(f"/account/{what}", json={"kind": kind, "id": id}, headers=headers)
        assert answer.status_code == 200, answer.text


@contextlib.contextmanager
def buying(world: World, tokens: list[str], *, each: int = 2) -> Iterator[None]:
    """Agents that buy without pause, several requests of each at a time, until the block ends."""
    over = threading.Event()

    def buy(token: str) -> None:
        headers = {**HEADERS, "authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=world.base("shop"), verify=False, timeout=HANGS) as http:
            while not over.is_set():
                with contextlib.suppress(httpx2.HTTPError):
                    http.post("/mcp", json=BUY, headers=headers)

    threads = [threading.Thread(target=buy, args=(token,), daemon=True) for token in tokens for _ in range(each)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(HANGS)
        assert not any(thread.is_alive() for thread in threads)


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "that did not come"
        time.sleep(0.02)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def start(**given: dict[str, Any]) -> World:
        folder = tmp_path / str(len(worlds))
        folder.mkdir()
        world = World(folder, given)
        worlds.append(world)
        world.start("auth_server")
        world.start("shop")
        return world

    yield start
    for world in worlds:
        world.stop()


def placed_afterwards(world: World, kind: str, gate: Path) -> tuple[int, int]:
    """How many orders the revoked agent, and another, placed after the revocation was answered; a purchase of each had
    been asked about before it, and was told that it holds."""
    gate.unlink(missing_ok=True)
    waiting = Path(f"{gate}.waiting")
    waiting.unlink(missing_ok=True)
    ((mine, token), (other, another)), console = world.sessions(2)
    denied = world.on_record("deny")
    with buying(world, [token, another]):
        until(lambda: waiting.exists() and len(waiting.read_text("utf-8").splitlines()) >= 4)
        world.revoke(kind, mine, token, console)
        before, others = world.orders(mine.agent_id), world.orders(other.agent_id)
        gate.touch()
        until(lambda: world.on_record("deny") > denied or world.orders(mine.agent_id) > before)
        if kind != "user":
            until(lambda: world.orders(other.agent_id) >= others + 2)
    placed = world.orders(mine.agent_id) - before, world.orders(other.agent_id) - others
    if kind in ("agent", "user"):
        world.revoke(kind, mine, token, console, what="reinstate")
    return placed


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A shop in which a purchase that passed every gate waits for its order until the test says so."""
    folder = tmp_path_factory.mktemp("busy")
    world = World(folder, {"shop": {"gate": str(folder / "gate"), "lease": 60.0}})
    world.start("auth_server")
    world.start("shop")
    yield world
    world.stop()


@pytest.mark.parametrize("kind", ["session", "token", "agent", "user"])
def test_what_passed_every_gate_before_a_revocation_is_not_placed_after_it(busy: World, kind: str) -> None:
    mine, others = placed_afterwards(busy, kind, busy.folder / "gate")
    assert mine == 0
    assert others == 0 if kind == "user" else others >= 2
    # What was stopped on its way to the order is on record as refused, and never as allowed with no order.
    with contextlib.closing(sqlite3.connect(busy.folder / "shop.db", timeout=10)) as connection:
        found = [json.loads(row[0]) for row in connection.execute("SELECT decision FROM shop_audit")]
    assert not [one for one in found if one["verdict"] == "allow" and one["order_id"] is None]
    assert [one for one in found if one["rule"] == f"standing.{kind}"]


@pytest.mark.parametrize(
    "weakened", [{"shop": {"deaf": True}}, pytest.param({"auth_server": {"mute": True}}, marks=pytest.mark.long)]
)
def test_a_shop_that_goes_by_no_event_or_is_told_of_none_places_orders_afterwards(
    tmp_path: Path, make: Callable[..., World], weakened: dict[str, dict[str, Any]]
) -> None:
    """What the tests above would see there."""
    gate = tmp_path / "gate"
    given = {"gate": str(gate), "lease": 60.0} | weakened.get("shop", {})
    mine, _ = placed_afterwards(make(**{**weakened, "shop": given}), "agent", gate)
    assert mine > 0


@pytest.mark.parametrize("hasty", [False, True])
def test_a_shop_that_has_no_stream_is_waited_for_until_its_lease_is_over(
    tmp_path: Path, make: Callable[..., World], hasty: bool
) -> None:
    """It could not open one, or its stream was deleted by the credentials that all shops of a machine share."""
    gate = tmp_path / "gate"
    lease = 5.0 if hasty else 1.0
    shop = {"gate": str(gate), "lease": lease, "streamless": True}
    world = make(shop=shop, auth_server={"lease": 1.2 * lease, "hasty": hasty})
    mine, _ = placed_afterwards(world, "agent", gate)
    assert (mine > 0) is hasty


@pytest.mark.parametrize("shallow", [False, True])
def test_a_sub_agent_places_nothing_after_the_agent_above_was_revoked(
    tmp_path: Path, make: Callable[..., World], shallow: bool
) -> None:
    """What was asked about it names the sub-agent; what is revoked is who handed on to it. A shop that looks for who
    acts alone goes on."""
    gate = tmp_path / "gate"
    world = make(shop={"gate": str(gate), "lease": 60.0, "shallow": shallow})
    ((mine, _), *_), console = world.sessions(1)
    below, token = world.sub_agent(mine)
    waiting = Path(f"{gate}.waiting")
    with buying(world, [token]):
        until(lambda: waiting.exists() and len(waiting.read_text("utf-8").splitlines()) >= 2)
        world.revoke("agent", mine, token, console)
        before, denied = world.orders(below), world.on_record("deny")
        gate.touch()
        until(lambda: world.on_record("deny") > denied or world.orders(below) > before)
    assert (world.orders(below) > before) is shallow


@dataclass
class Calls:
    """What agents that call and buy without pause were answered: when each call began, by whom, and whether it was
    admitted."""

    world: World
    agents: list[tuple[Session, str]]
    seen: list[tuple[float, str, bool]] = field(default_factory=list)

    @contextlib.contextmanager
    def without_pause(self) -> Iterator[None]:
        over = threading.Event()

        def call(session: Session, token: str) -> None:
            headers = {**HEADERS, "authorization": f"Bearer {token}"}
            bodies = (BUY, {**BUY, "params": {"name": "listMcpShopInventory", "arguments": {}}})
            with httpx2.Client(base_url=self.world.base("shop"), verify=False, timeout=HANGS) as http:
                while not over.is_set():
                    for body in bodies:
                        began = time.monotonic()
                        try:
                            status = http.post("/mcp", json=body, headers=headers).status_code
                        except httpx2.HTTPError:
                            time.sleep(0.05)
                            continue
                        self.seen.append((began, str(session.agent_id), status == 200))

        threads = [threading.Thread(target=call, args=one, daemon=True) for one in self.agents]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(HANGS)
            assert not any(thread.is_alive() for thread in threads)

    def admitted(self, agents: set[str], since: float) -> int:
        """How many calls of these agents that began since then were admitted."""
        return sum(1 for began, agent, was in list(self.seen) if was and agent in agents and began > since)


def acts_afterwards(
    world: World,
    number: int,
    kinds: tuple[str, ...],
    meanwhile: Callable[[], Any] = lambda: None,
    *,
    weak: bool = False,
) -> tuple[int, int]:
    """How many calls were admitted that began after the revocation of what they came by was answered, and how many
    orders were placed: with so many agents that call and buy without pause, of whom one loses its authority after the
    other, and what happens `meanwhile`. At a `weak` shop it is waited for until there are some."""
    agents, console = world.sessions(number)
    calls = Calls(world, agents)
    answered: list[tuple[set[str], float, int]] = []

    def acts() -> tuple[int, int]:
        admitted = sum(calls.admitted(whose, since) for whose, since, _ in answered)
        return admitted, sum(max(0, sum(map(world.orders, whose)) - before) for whose, _, before in answered)

    with calls.without_pause():
        for kind, (mine, token) in zip(kinds, agents, strict=False):
            whose = {str(one.agent_id) for one, _ in agents} if kind == "user" else {str(mine.agent_id)}
            now = time.monotonic()
            until(lambda since=now, whose=whose: calls.admitted(whose, since) >= 3)  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
            disturbing = threading.Thread(target=meanwhile)
            disturbing.start()
            revoke_for_sure(world, kind, mine, token, console)
            answered.append((whose, time.monotonic(), sum(world.orders(one) for one in whose)))
            disturbing.join(60)
        # Others, who lost nothing yet, go on; and a shop that was killed is back.
        left = {str(one.agent_id) for one, _ in agents} - set().union(*(whose for whose, _, _ in answered))
        now = time.monotonic()
        until(lambda: not left or calls.admitted(left, now) >= 3)
        if weak:
            until(lambda: all(acts()))
        else:
            time.sleep(0.5)
    return acts()


def revoke_for_sure(world: World, kind: str, session: Session, token: str, console: str) -> None:
    """Until it is answered: who is killed has answered nothing."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx2.HTTPError):
            world.revoke(kind, session, token, console)
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


KINDS = ("token", "session", "agent", "user")


def test_agents_that_call_and_buy_without_pause_do_nothing_more(make: Callable[..., World]) -> None:
    """At a shop whose clock is an hour behind: nothing that was promised is counted by it."""
    assert acts_afterwards(make(shop={"clock": -3600.0}), 8, KINDS) == (0, 0)


@pytest.mark.parametrize("weakness", ["deaf", "retentive"])
def test_a_shop_that_acknowledges_events_and_goes_by_none_is_found_out(
    make: Callable[..., World], weakness: str
) -> None:
    """What the tests above would see there: at one that relies for long on what it was told, so that a busy machine
    sees it, too."""
    world = make(shop={weakness: True, "lease": 60.0, "verify": 30.0}, auth_server={"lease": 72.0})
    admitted, placed = acts_afterwards(world, 4, ("session",), weak=True)
    assert admitted > 0
    assert placed > 0


@pytest.mark.long
@pytest.mark.parametrize("role", ["shop", "auth_server"])
@pytest.mark.parametrize("sign", [signal.SIGSTOP, signal.SIGKILL])
def test_fifty_agents_do_nothing_more_whoever_is_stopped_or_killed_at_any_moment(
    make: Callable[..., World], role: str, sign: signal.Signals
) -> None:
    world, moments = make(), random.Random(11)

    def disturb() -> None:
        time.sleep(moments.uniform(0.0, 0.03))
        world.signal(role, sign)
        time.sleep(moments.uniform(0.0, 8.0))  # shorter than a lease, or longer
        if sign == signal.SIGSTOP:
            world.signal(role, signal.SIGCONT)
        else:
            world.start(role)

    assert acts_afterwards(world, 50, KINDS, disturb) == (0, 0)


LEASES: dict[str, dict[str, Any]] = {"shop": {"lease": 1.0}, "auth_server": {"lease": 1.6}}


@pytest.mark.long
def test_a_shop_that_is_stopped_and_goes_on_later_places_nothing(make: Callable[..., World]) -> None:
    """Each order's transaction takes a while, so that one is under way when the process is stopped."""
    world = make(**{**LEASES, "shop": {**LEASES["shop"], "held": 0.05}})
    agents, console = world.sessions(3)
    with buying(world, [token for _, token in agents]):
        until(lambda: world.orders() >= 3)
        world.signal("shop", signal.SIGSTOP)
        world.revoke("user", *agents[0], console)  # answered all the same, when the lease is over
        before = world.orders()
        world.signal("shop", signal.SIGCONT)
        time.sleep(1.0)
    # One whose transaction ended, and whose buyer was not told yet, may be taken back.
    assert world.orders() <= before


@pytest.mark.long
def test_a_shop_that_is_killed_and_started_again_places_nothing(make: Callable[..., World]) -> None:
    world = make(**LEASES)
    agents, console = world.sessions(3)
    with buying(world, [token for _, token in agents]):
        until(lambda: world.orders() >= 3)
        world.signal("shop", signal.SIGKILL)
        world.revoke("user", *agents[0], console)
        before = world.orders()
        world.start("shop")
        time.sleep(1.0)
    assert world.orders() == before


@pytest.mark.long
def test_an_authorization_server_that_is_stopped_or_killed_has_answered_nothing_and_the_shop_sells_nothing(
    make: Callable[..., World],
) -> None:
    world = make(**LEASES)
    agents, console = world.sessions(2)
    with buying(world, [token for _, token in agents]):
        until(lambda: world.orders() >= 3)
        world.signal("auth_server", signal.SIGSTOP)
        time.sleep(LEASES["shop"]["lease"] + 0.5)  # nobody is admitted on an answer from before any more
        before = world.orders()
        time.sleep(0.5)
        assert world.orders() == before
        world.signal("auth_server", signal.SIGKILL)
        world.start("auth_server")
        until(lambda: world.orders() > before)
        world.revoke("user", *agents[0], console)
        before = world.orders()
        time.sleep(0.5)
    assert world.orders() == before
