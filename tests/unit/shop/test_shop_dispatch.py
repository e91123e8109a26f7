"""An order is told behind the shop by a token of its own: once, after it is placed, and also after a crash."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import demo.warehouse.app as warehouse
from demo.evidence.shop import Decision
from demo.shop import audit_chain, audit_log, dispatch, ledger, settling
from demo.shop import outbox as outbox_of
from demo.shop.bounded_http import AuthServerUnavailable, BoundedClient
from demo.shop.database import Database
from deputize import StoredToken
from deputize.evidence import Money
from tests.conftest import serving
from tests.unit.auth_server.conftest import claims
from tests.unit.bridge.test_bridge_host import log_in

SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}
SECONDS = 20.0


@dataclass
class Behind:
    """All that the warehouse received; it may be told to fail."""

    received: list[str] = field(default_factory=list)
    fails: bool = False

    def wrap(self, route: Route) -> Route:
        """The route with everything that comes to it written down."""

        async def endpoint(request: Request) -> Response:
            self.received.append(repr((request.url.path, request.headers.raw, await request.body())))
            if self.fails:
                return JSONResponse({"error": "temporarily_unavailable"}, 503)
            answer: Response = await route.endpoint(request)
            return answer

        return Route(route.path, endpoint, methods=["POST"])


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    seen, routes = Behind(), warehouse.routes
    monkeypatch.setattr(warehouse, "routes", lambda *given: [seen.wrap(one) for one in routes(*given)])
    monkeypatch.setattr(dispatch, "PAUSES", (0.05,))
    yield seen


def buy(server: str, token: str, tool: str = "buyMcpShopItem", **given: str) -> dict[str, Any]:
    """Call a tool with a bearer token."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": given},
    }
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    answer = httpx2.post(f"{server}/mcp", json=body, headers=headers, timeout=SECONDS, trust_env=False)
    found: dict[str, Any] = answer.json()
    return found


def outbox(database: Path) -> list[tuple[str, str, str | None]]:
    """Each order, its state, and its transaction."""
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT order_id, state, txn FROM shop_outbox ORDER BY at").fetchall()


def parcels(database: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT order_id, txn FROM warehouse_parcels ORDER BY at").fetchall()


def until(database: Path, state: str, many: int) -> None:
    """Wait until so many orders are in this state."""
    deadline = time.monotonic() + SECONDS
    while [one for _, one, _ in outbox(database)].count(state) < many:
        assert time.monotonic() < deadline, outbox(database)
        time.sleep(0.02)


@pytest.mark.parametrize("bound", [False, True], ids=["bearer token", "bound to a key"])
def test_the_warehouse_takes_each_order_once_and_never_sees_the_agents_token(
    behind: Behind, tmp_path: Path, bound: bool
) -> None:
    from demo.client import Agent
    from deputize import TokenStore

    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        token = log_in(server, tmp_path / "state", bound=bound).access_token
        agent = Agent(server, store=TokenStore.open(tmp_path / "state", server=server, use_keyring=False))
        for key in ("one", "one", "two"):  # the second is the first again
            agent.call("buyMcpShopItem", {**SHIRT, "idempotencyKey": key})
        until(database, "sent", 2)
    assert len(parcels(database)) == 2 == len(behind.received)
    assert {(order, txn) for order, _, txn in outbox(database)} == set(parcels(database))
    everything = "".join(behind.received)
    assert "txn-token" in everything and "authorization" not in everything.lower()
    assert not [part for part in token.split(".") if part in everything]
    assert claims(token)["jti"] not in everything


def test_a_token_that_was_passed_on_would_be_seen_here_and_is_not_taken(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop that passes on what it was shown (MCP, security best practices: token passthrough)."""

    async def passed_on(_: object, token: str, __: object) -> tuple[int, dict[str, str]]:
        return 200, {"access_token": token, "issued_token_type": dispatch.TXN_TOKEN}

    monkeypatch.setattr(dispatch.Dispatch, "_exchange", passed_on)
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        token = log_in(server, tmp_path / "state", bound=False).access_token
        buy(server, token, **SHIRT)
        deadline = time.monotonic() + SECONDS
        while not behind.received:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert token in behind.received[0]
    assert parcels(database) == []


def test_what_the_warehouse_does_not_take_costs_the_buyer_nothing_and_goes_on_after_a_crash(
    behind: Behind, tmp_path: Path
) -> None:
    database = tmp_path / "server.sqlite3"
    behind.fails = True
    with serving(database) as server:
        token = log_in(server, tmp_path / "state", bound=False).access_token
        order = buy(server, token, **SHIRT)["result"]["structuredContent"]["order"]["id"]
        deadline = time.monotonic() + SECONDS
        while len(behind.received) < 2:  # tried, and once more
            assert time.monotonic() < deadline
            time.sleep(0.02)
        health = httpx2.get(f"{server}/health", timeout=SECONDS, trust_env=False).json()
        assert "503" in health["warehouse"]["trouble"]
    assert outbox(database) == [(order, "waiting", None)] and parcels(database) == []
    secrets = b"".join(path.read_bytes() for path in tmp_path.glob("server.sqlite3*"))
    assert token.split(".")[2].encode() not in secrets, "no token is kept while it waits"
    behind.fails = False
    port = int(server.rpartition(":")[2])
    with serving(database, port=port) as again:
        assert parcels(database) == [], "nothing goes out by itself: whose grant stands is not known yet"
        buy(again, token, "listMcpShopOrders")
        until(database, "sent", 1)
    assert [order_id for order_id, _ in parcels(database)] == [order]


def test_a_call_by_a_token_that_may_only_look_loses_no_order(behind: Behind, tmp_path: Path) -> None:
    """RFC 6749 section 6: a token may be had for fewer scopes, in the session in which an order waits."""
    database = tmp_path / "server.sqlite3"
    behind.fails = True
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        buy(server, held.access_token, **SHIRT)
        deadline = time.monotonic() + SECONDS
        while len(behind.received) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    behind.fails = False
    with serving(database, port=int(server.rpartition(":")[2])) as again:
        form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token, "client_id": held.client_id}
        narrowed = httpx2.post(
            f"{again}/oauth2/token", data={**form, "scope": "orders:read"}, timeout=SECONDS, trust_env=False
        ).json()
        assert narrowed["scope"] == "orders:read"
        buy(again, narrowed["access_token"], "listMcpShopOrders")
        buy(again, held.access_token, "listMcpShopOrders")
        until(database, "sent", 1)
    assert len(parcels(database)) == 1


def trail(database: Path) -> list[tuple[str, str, str | None, str | None]]:
    """Of each entry about what became of an order, and of each revocation: rule, verdict, order, token."""
    with sqlite3.connect(database) as connection:
        found = [json.loads(row[0]) for row in connection.execute("SELECT decision FROM shop_audit ORDER BY seq")]
    return [
        (one["rule"], one["verdict"], one["order_id"], one["token_id"])
        for one in found
        if one["gate"] in ("dispatch", "event")
    ]


def spent(database: Path, order: str) -> int:
    """What the account of an order has used of its limit."""
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        (account,) = connection.execute("SELECT account FROM shop_orders WHERE id = ?", (order,)).fetchone()
        return ledger.spent(connection, account).amount


def stock(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        return ledger.stock_left(connection)


def placed(server: str, token: str) -> str:
    order: str = buy(server, token, **SHIRT)["result"]["structuredContent"]["order"]["id"]
    return order


def tried(database: Path, times: int) -> None:
    """Wait until the one order was tried so often, to no end."""
    deadline = time.monotonic() + SECONDS
    while True:
        with sqlite3.connect(database) as connection:
            if connection.execute("SELECT tries, state FROM shop_outbox").fetchone() == (times, "waiting"):
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log_out(server: str, held: StoredToken) -> None:
    """Revoke the session (RFC 7009)."""
    form = {"token": held.refresh_token, "client_id": held.client_id}
    answer = httpx2.post(f"{server}/oauth2/revoke", data=form, timeout=SECONDS, trust_env=False)
    assert answer.status_code == 200


def test_what_is_sent_is_an_entry_of_the_humans_own_chained_log(behind: Behind, tmp_path: Path) -> None:
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        order = placed(server, held.access_token)
        until(database, "sent", 1)
    ((_, _, txn),) = outbox(database)
    assert trail(database) == [("dispatch.sent", "allow", order, txn)]
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT owner, decision FROM shop_audit ORDER BY seq").fetchall()
        (log,) = connection.execute("SELECT id FROM shop_audit_logs WHERE owner = 'user_alice'").fetchone()
        links = connection.execute("SELECT link, decision FROM shop_audit WHERE owner = 'user_alice' ORDER BY place")
        before = audit_chain.first_link(log)
        for link, decision in links:
            assert (before := audit_chain.link(before, decision)) == link
    entries = [(owner, json.loads(decision)) for owner, decision in rows]
    (bought,) = (one for _, one in entries if one["tool"] == "buyMcpShopItem")
    ((owner, sent),) = ((owner, one) for owner, one in entries if one["gate"] == "dispatch")
    whom = ("user", "username", "agent", "client", "session", "consent", "order_id", "trace_id", "correlation")
    assert owner == bought["user"] and {name: sent[name] for name in whom} == {name: bought[name] for name in whom}


def test_an_order_that_is_not_sent_when_its_session_is_revoked_is_cancelled_and_its_money_counted_back(
    behind: Behind, tmp_path: Path
) -> None:
    database = tmp_path / "server.sqlite3"
    behind.fails = True
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        before = stock(database)
        order = placed(server, held.access_token)
        tried(database, 2)  # each time it said no
        assert (spent(database, order), stock(database)) == (2500, before - 1)
        log_out(server, held)
        assert [state for _, state, _ in outbox(database)] == ["cancelled"], "once the revocation is answered"
        assert (spent(database, order), stock(database)) == (0, before)
        behind.fails = False
    revoked, cancelled = trail(database)
    assert revoked[:2] == ("revoked.session", "deny") and cancelled == ("dispatch.cancelled", "deny", order, None)
    port = int(server.rpartition(":")[2])
    with serving(database, port=port) as again:
        renewed = log_in(again, tmp_path / "again", bound=False)
        told = buy(again, renewed.access_token, "listMcpShopOrders")["result"]["structuredContent"]["orders"]
        assert [(one["id"], one["cancelled"]) for one in told] == [(order, True)]
    assert parcels(database) == [], "and nothing of it is sent by a later consent"


@pytest.mark.parametrize("moment", ["while it is told", "after its answer was lost"])
def test_an_order_that_the_warehouse_may_have_when_its_session_is_revoked_stays_counted(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The warehouse takes it, and its answer is lost: to count the money back would be to give a shirt away."""
    asking, told = BoundedClient.ask, threading.Event()
    go_on = threading.Event()

    async def lost(self: BoundedClient, method: str, url: str, **options: Any) -> tuple[int, Any]:
        answer = await asking(self, method, url, **options)
        if not url.endswith(warehouse.PATH):
            return answer
        told.set()
        while moment == "while it is told" and not go_on.is_set():
            await asyncio.sleep(0.02)
        raise AuthServerUnavailable("it did not answer in time")

    monkeypatch.setattr(BoundedClient, "ask", lost)
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        order = placed(server, held.access_token)
        assert told.wait(SECONDS)
        if moment == "after its answer was lost":
            tried(database, 2)
        log_out(server, held)
        go_on.set()
        until(database, "unclear", 1)
        assert spent(database, order) == 2500
    assert [one[:3] for one in trail(database)][1:] == [("dispatch.unclear", "deny", order)]
    assert [order_id for order_id, _ in parcels(database)] == [order]


def test_a_process_that_ends_while_it_tells_goes_on_and_sends_nothing_twice(behind: Behind, tmp_path: Path) -> None:
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        order = placed(server, held.access_token)
        until(database, "sent", 1)
    with sqlite3.connect(database) as connection:  # as it is where it was killed before it heard the answer
        connection.execute("UPDATE shop_outbox SET state = 'offered', tries = 0, txn = NULL")
    with serving(database, port=int(server.rpartition(":")[2])) as again:
        assert [state for _, state, _ in outbox(database)] == ["waiting"]
        buy(again, held.access_token, "listMcpShopOrders")
        until(database, "sent", 1)
    assert len(parcels(database)) == 1 and {(one, txn) for one, _, txn in outbox(database)} == set(parcels(database))
    assert [one[:3] for one in trail(database)] == [("dispatch.sent", "allow", order)] * 2


def test_an_order_whose_agent_never_calls_again_does_not_wait_for_good(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the authorization server makes no such tokens, say, or its revocation was lost with a process."""
    from demo.auth_server.grants import token_exchange

    kinds = {kind: made for kind, made in token_exchange.EXCHANGES.items() if kind != token_exchange.TXN_TOKEN}
    monkeypatch.setattr(token_exchange, "EXCHANGES", kinds)
    monkeypatch.setattr(dispatch, "LOOK_SECONDS", 0.05)
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        held = log_in(server, tmp_path / "state", bound=False)
        order = placed(server, held.access_token)
        deadline = time.monotonic() + SECONDS
        while httpx2.get(f"{server}/health", timeout=SECONDS, trust_env=False).json()["warehouse"]["trouble"] is None:
            assert time.monotonic() < deadline
        assert [state for _, state, _ in outbox(database)] == ["waiting"]
        monkeypatch.setattr(outbox_of, "LONGEST_WAIT", 0.0)
        until(database, "cancelled", 1)
        assert spent(database, order) == 0
    assert behind.received == [] and [one[:3] for one in trail(database)] == [("dispatch.cancelled", "deny", order)]


@pytest.mark.parametrize(
    ("kind", "subject", "ends"),
    [
        ("session", "session_1", {"above", "below"}),
        ("agent", "agent_above", {"above", "below"}),
        ("agent", "agent_below", {"below"}),
        ("agent", "agent_other", set()),
        ("user", "user_alice", {"above", "below", "later"}),
        ("session", "session_2", {"later"}),
    ],
)
def test_a_revocation_ends_what_was_placed_by_it_and_by_whom_it_was_handed_on_to(
    tmp_path: Path, kind: str, subject: str, ends: set[str]
) -> None:
    rows = {
        "above": ("session_1", "agent_above", None),
        "below": ("session_1", "agent_below", "agent_above"),
        "later": ("session_2", "agent_3", None),
    }
    database = Database(tmp_path / "shop.sqlite3")
    with database.transaction() as connection:
        ledger.restock(connection, 5)
        for name, (session, agent, above) in rows.items():
            wanted = ledger.Purchase(
                f"audit_{name}", name, name, "M", "A", "B", "", Money(2500), 0.0, user="user_alice"
            )
            order = ledger.place(connection, wanted)
            bought = Decision(
                wanted.audit_id, 0.0, "allow", "limits", "allowed", "", user="user_alice", agent=agent,
                handed_on_by=above, session=session, order_id=order.id,
            )  # fmt: skip
            audit_log.record(connection, bought)
            outbox_of.add(connection, order.id, outbox_of.whose(session, agent), "user_alice", 0.0)
    for user in ("user_bob", "user_alice"):  # another human's event about the same ids ends nothing
        with database.transaction() as connection:
            settling.revoked(connection, kind, subject if kind != "user" else user, user, 1.0)
            states = {
                row["account"]: row["state"]
                for row in connection.execute(
                    "SELECT account, state FROM shop_orders JOIN shop_outbox ON order_id = id"
                )
            }
        ended = {name for name, state in states.items() if state == "cancelled"}
        assert ended == (ends if user == "user_alice" else set())
    database.close()


def test_a_token_that_ends_just_after_the_purchase_leaves_the_order_to_the_next_one(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, exchange = tmp_path / "server.sqlite3", dispatch.Dispatch._exchange
    ended = {"error": "invalid_request", "error_description": "subject_token has expired"}
    tokens: list[str] = []

    async def first_ended(self: dispatch.Dispatch, token: str, details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        tokens.append(token)
        return (400, ended) if len(tokens) == 1 else await exchange(self, token, details)

    monkeypatch.setattr(dispatch.Dispatch, "_exchange", first_ended)
    with serving(database) as server:
        token = log_in(server, tmp_path / "state", bound=False).access_token
        buy(server, token, **SHIRT)
        deadline = time.monotonic() + SECONDS
        while not tokens:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)
        assert [state for _, state, _ in outbox(database)] == ["waiting"]
        buy(server, token, "listMcpShopOrders")
        until(database, "sent", 1)
    assert len(parcels(database)) == 1


def test_an_order_is_not_told_by_the_token_of_another_agent_in_the_same_session(tmp_path: Path) -> None:
    """A sub-agent's token would say that the sub-agent had bought."""
    above, below = (outbox_of.whose("session_1", agent) for agent in ("agent_above", "agent_below"))
    with serving(tmp_path / "server.sqlite3"):
        pass
    with sqlite3.connect(tmp_path / "server.sqlite3") as connection:
        connection.row_factory = sqlite3.Row
        outbox_of.add(connection, "order_1", above, "user_alice", 0.0)
        assert outbox_of.sessions(connection) == {above} != {below}


def test_an_order_that_a_revocation_cancels_and_that_is_then_undone_is_in_stock_once(tmp_path: Path) -> None:
    """A call that took longer than what it relied on was good for takes its order back, and the event comes first."""
    database = Database(tmp_path / "shop.sqlite3")
    with database.transaction() as connection:
        ledger.restock(connection, 5)
        order = ledger.place(connection, ledger.Purchase("audit_1", "a", "a", "M", "A", "B", "", Money(2500), 0.0))
        assert ledger.stock_left(connection) == 4
        for _ in range(2):
            ledger.cancel(connection, order.id, 1.0)
        assert (ledger.stock_left(connection), ledger.spent(connection, "a").amount) == (5, 0)
        ledger.void(connection, order.id)
        assert ledger.stock_left(connection) == 5
    database.close()
