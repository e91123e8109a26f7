"""A decision and an order are held against the token and the call that brought them, part by part."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from demo.client.mcp.outcome import CallOutcome
from demo.evidence.shop import Decision, Order
from deputize.evidence import Exchange, Money
from deputize.tokens.stored import StoredToken
from talk.playing.observing import differences

NOW = time.time()
CLAIMS: Mapping[str, Any] = {
    "sub": "user_alice",
    "act": {"sub": "agent_1"},
    "client_id": "demo-agent",
    "sid": "session_1",
    "consent_id": "consent_1",
    "jti": "token_1",
}
DECISION = Decision(
    *("audit_1", NOW, "allow", "limits", "allowed", "Every gate passed."),
    tool="buyMcpShopItem",
    user="user_alice",
    agent="agent_1",
    client="demo-agent",
    session="session_1",
    consent="consent_1",
    token_id="token_1",
    order_id="order_1",
)
ORDER = Order("order_1", "Shirt", "L", "Acme", Money(2500), NOW, "user_alice", "agent_1", "consent_1")
ASKED = {"company": "Acme", "tshirtSize": "L"}


def token(claims: Mapping[str, Any] = CLAIMS) -> StoredToken:
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "ES256"}, claims)
    )
    return StoredToken(f"{head}.{body}.c2ln", None, NOW + 300, (), "http://as", "http://as/token", "demo-agent")


def outcome(decision: Decision | None = DECISION, order: Order | None = ORDER) -> CallOutcome:
    exchange = Exchange("POST", "http://shop/mcp", (), None, 200, (), None, NOW - 0.1, 0.2)
    return CallOutcome("buyMcpShopItem", 200, False, decision, (), None, "", None, None, (exchange,), order)


def told(decision: Decision | None = DECISION, order: Order | None = ORDER, **given: Any) -> list[str]:
    usual: dict[str, Any] = {"sent": token(), "door": "protected", "arguments": ASKED, "ours": True}
    return differences(outcome(decision, order), **usual | given)


def test_what_agrees_differs_in_nothing() -> None:
    assert told() == []
    assert told(None) == []


@pytest.mark.parametrize("part", ["user", "agent", "client", "session", "consent", "token_id", "tool"])
def test_each_part_of_a_decision_is_compared(part: str) -> None:
    assert told(replace(DECISION, **{part: "another"}), None) == [part]  # type: ignore[arg-type]
    assert part in told(replace(DECISION, **{part: None}), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("late", [-3600.0, -2.5, 2.5, 3600.0])
def test_a_decision_is_dated_when_the_call_was_made(late: float) -> None:
    assert "at" in told(replace(DECISION, at=NOW + late))
    assert "at" not in told(replace(DECISION, at=NOW + late), skew=late), "of two clocks it is known by how much"


@pytest.mark.parametrize("part", ["id", "user", "agent", "consent", "size", "company"])
def test_each_part_of_an_order_is_compared(part: str) -> None:
    assert told(order=replace(ORDER, **{part: "another"})) == [f"order.{part}"]  # type: ignore[arg-type]
    assert told(order=replace(ORDER, at=NOW - 60)) == ["order.at"]


def test_an_order_found_again_may_be_of_an_earlier_consent() -> None:
    assert told(order=replace(ORDER, consent="consent_0", at=NOW - 900, replayed=True)) == []


def test_where_no_token_came_or_none_may_be_believed_nobody_is_named() -> None:
    for rule in ("token.missing", "token.signature"):
        named = replace(DECISION, rule=rule, verdict="deny")
        assert told(named, None)[0] == "user"
        nobody = replace(
            named, user=None, agent=None, client=None, session=None, consent=None, token_id=None, order_id=None
        )
        assert told(nobody, None) == []
    assert "user" in told(DECISION, None, sent=None, door="open")


def test_elsewhere_only_what_both_name_is_compared() -> None:
    short = {"sub": "user_alice", "sid": "session_1"}
    assert told(replace(DECISION, agent=None), None, sent=token(short), ours=False) == []
    assert told(replace(DECISION, user="user_bob"), None, sent=token(short), ours=False) == ["user"]
