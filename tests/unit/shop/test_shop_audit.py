"""The audit trail: who sees what, and that nothing is answered that is not in it."""

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


def test_every_decision_is_on_record_with_its_answers_id(world: Any) -> None:
    answers = [
        world.call("getUserInfo", token=world.token()),
        world.post("tools/list", token=world.token()),
        world.call("getUserInfo", token=None),
        world.buy(token=world.token()),
        world.buy(token=world.token(scope="shop:read")),
        world.call("listMcpShopInventory", token=None, path="/open/mcp"),
    ]
    entries = world.audit(world.token(**CONSOLE))
    assert [entry["audit_id"] for entry in entries] == [answer.headers["demo-audit-id"] for answer in answers]
    assert [entry["rule"] for entry in entries] == [
        "allowed",
        "allowed",
        "token.missing",
        "allowed",
        "scope.insufficient",
        "open.anonymous",
    ]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert entries[2] == answers[2].json()["error"]["data"]["decision"]
    assert entries[3] == answers[3].json()["result"]["_meta"]["demo/decision"]


def test_an_order_leads_back_to_the_consent_that_allowed_it(world: Any) -> None:
    token = world.token(jti="jti_traced")
    order = world.buy(token=token).json()["result"]["structuredContent"]["order"]
    (entry,) = [entry for entry in world.audit(world.token(**CONSOLE)) if entry["order_id"] == order["id"]]
    assert {
        name: entry[name] for name in ("user", "username", "agent", "client", "session", "consent", "token_id")
    } == {
        "user": "user_alice",
        "username": "alice@example.com",
        "agent": "agent_alice",
        "client": "demo-agent",
        "session": "session_1",
        "consent": "consent_1",
        "token_id": "jti_traced",
    }
    assert (entry["tool"], entry["verdict"], entry["at"] <= order["at"]) == ("buyMcpShopItem", "allow", True)


def test_the_trail_holds_a_digest_and_not_the_address(world: Any) -> None:
    first = world.buy(token=world.token(), mailingAddress="221B Baker Street").headers["demo-audit-id"]
    world.buy(token=world.token(), mailingAddress="221C Baker Street")
    assert "Baker" not in read(world, world.token()).text
    entries = {entry["audit_id"]: entry["arguments"] for entry in world.audit(world.token())}
    assert len(set(entries.values())) == 2
    assert entries[first].startswith("sha256:")


def test_a_user_sees_their_own_and_what_is_nobodys_and_an_admin_sees_all(world: Any) -> None:
    world.call("getUserInfo", token=world.token())
    world.call("getUserInfo", token=world.token(sub="user_mallory"))
    world.call("getUserInfo", token="rubbish.rubbish.rubbish")
    world.call("getUserInfo", token=None, path="/open/mcp")
    seen = [entry["user"] for entry in world.audit(world.token(**CONSOLE))]
    assert seen == ["user_alice", None, None]
    seen = [entry["user"] for entry in world.audit(world.token(**CONSOLE, sub="user_grace"))]
    assert seen == ["user_alice", "user_mallory", None, None]


def test_following_the_trail_gives_each_entry_once_and_does_not_feed_it(world: Any) -> None:
    ids = [world.call("getUserInfo", token=world.token()).headers["demo-audit-id"] for _ in range(5)]
    token = world.token(**CONSOLE)
    assert [entry["audit_id"] for entry in world.audit(token, limit=2)] == ids[-2:]
    assert [entry["audit_id"] for entry in world.audit(token, after=ids[0], limit=2)] == ids[1:3]
    assert [entry["audit_id"] for entry in world.audit(token, after=ids[2])] == ids[3:]
    assert world.audit(token, after=ids[-1]) == []
    world.restart()
    assert [entry["audit_id"] for entry in world.audit(token)] == ids


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"limit": "all"}, {"after": "audit_unknown"}])
def test_a_question_that_makes_no_sense_is_told_so(world: Any, query: dict[str, Any]) -> None:
    answer = read(world, world.token(), **query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error_description"]


def test_the_reader_passes_token_standing_allowlist_and_scope(world: Any, said: Any) -> None:
    answer = read(world, None)
    assert (answer.status_code, said(answer)["rule"]) == (401, "token.missing")
    assert 'scope="audit:read"' in answer.headers["www-authenticate"]
    answer = read(world, world.token(aud="elsewhere"))
    assert (answer.status_code, said(answer)["rule"]) == (401, "token.audience")
    world.authority.revoked["gone"] = "session"
    answer = read(world, world.token(jti="gone"))
    assert (answer.status_code, said(answer)["rule"]) == (401, "standing.session")
    answer = read(world, world.token(sub="user_mallory"))
    assert (answer.status_code, said(answer)["rule"]) == (403, "allowlist.user")
    answer = read(world, world.token(scope="shop:read"))
    assert (answer.status_code, said(answer)["rule"]) == (403, "scope.insufficient")
    assert 'scope="audit:read"' in answer.headers["www-authenticate"]


def test_reading_the_trail_is_not_rate_limited_and_refusals_to_read_are_in_it(world: Any) -> None:
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
    """At both doors and where a read of the trail is refused; an answer that arrives is no older than its decision."""
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
