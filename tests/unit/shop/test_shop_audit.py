"""The audit log: nothing is answered that is not in it."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import pytest

from demo.shop import audit_log
from demo.shop.catalog import say

CONSOLE = {"client_id": "demo-console", "act": None, "scope": "openid audit:read"}


def read(world: Any, token: str | None, **query: Any) -> Any:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return world.http.get(f"{world.base}/audit", params=query, headers=headers)


def test_reading_the_log_is_not_rate_limited_and_refusals_to_read_are_in_it(world: Any) -> None:
    token = world.token(**CONSOLE)
    read(world, world.token(scope="shop:read"))
    for _ in range(15):
        entries = world.audit(token)
    assert [entry["rule"] for entry in entries] == ["scope.insufficient"]


@pytest.mark.parametrize("path", ["/mcp", "/open/mcp"])
def test_what_cannot_be_recorded_does_not_happen(world: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(audit_log, "record", full)
    answer = world.buy(token=world.token(), path=path)
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == say("no_audit")
    monkeypatch.undo()
    orders = world.call("listMcpShopOrders", token=world.token(), path=path).json()["result"]["structuredContent"]
    assert orders == {"orders": []}


def test_a_decision_is_dated_by_the_shops_clock_when_it_was_made(world: Any) -> None:
    """At both doors and where a read of the log is refused; an answer that arrives is no older than its decision."""
    for call in (
        lambda: world.call("getUserInfo", token=world.token()),
        lambda: world.call("getUserInfo", token=None),
        lambda: world.buy(token=world.token()),
        lambda: world.call("listMcpShopInventory", token=None, path="/open/mcp"),
        lambda: read(world, world.token(scope="shop:read")),
    ):
        before = time.time()
        answer = call()
        entry = next(
            one for one in world.audit(world.token(**CONSOLE)) if one["audit_id"] == answer.headers["demo-audit-id"]
        )
        assert before <= entry["at"] <= time.time()
