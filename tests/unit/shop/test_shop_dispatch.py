"""An order is told behind the shop by a token of its own: once, after it is placed, and also after a crash."""

from __future__ import annotations

import json
import sqlite3
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
from demo.shop import dispatch
from demo.shop import outbox as outbox_of
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


def test_where_the_authorization_server_makes_no_such_tokens_nothing_is_told(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.auth_server.grants import token_exchange

    kinds = {kind: made for kind, made in token_exchange.EXCHANGES.items() if kind != token_exchange.TXN_TOKEN}
    monkeypatch.setattr(token_exchange, "EXCHANGES", kinds)
    monkeypatch.setattr(dispatch, "MOST_TRIES", 1)
    database = tmp_path / "server.sqlite3"
    with serving(database) as server:
        token = log_in(server, tmp_path / "state", bound=False).access_token
        assert "order" in json.dumps(buy(server, token, **SHIRT)["result"])
        deadline = time.monotonic() + SECONDS
        while [state for _, state, _ in outbox(database)] != ["refused"]:  # each call of the session tries once more
            assert time.monotonic() < deadline
            buy(server, token, "listMcpShopInventory")
            time.sleep(1.0)  # more often would be too often (limits.rate)
    assert behind.received == []


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
