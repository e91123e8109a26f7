"""The trail as OCSF: each event against the attributes, types, constraints and profiles of the schema itself.

`ocsf_1.8.0.json` is what github.com/ocsf/ocsf-schema says at the commit of version 1.8.0 that it names, of the classes
and objects that are used, with what they inherit.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.client.audit.ocsf import VERSION, as_ocsf
from demo.client.audit.trail import merged
from demo.evidence.audit import TrailEvent
from demo.evidence.grants import AnswerView, SessionView, SubAgentView
from demo.evidence.shop import Decision
from deputize.evidence import Money

SCHEMA = json.loads((Path(__file__).parent / "ocsf_1.8.0.json").read_text("utf-8"))
WHOLE = {"integer_t", "long_t", "timestamp_t"}
ALICE = {"user": "user_alice", "username": "alice@example.com", "agent": "agent_1", "client": "demo-agent"}


def faults(told: dict[str, Any], described: dict[str, Any], profiles: set[str], at: str) -> list[str]:
    """What of an object or event is not as the schema has it."""
    attributes = described["attributes"]
    found = [f"{at}.{name}: not in the schema" for name in told.keys() - attributes.keys()]
    for name, about in attributes.items():
        applies = about.get("profile") is None or about["profile"] in profiles
        if name not in told:
            if about.get("required") and applies:
                found.append(f"{at}.{name}: required")
            continue
        if not applies:
            found.append(f"{at}.{name}: of the profile {about['profile']}, which is not named")
        if about.get("deprecated"):
            found.append(f"{at}.{name}: deprecated")
        values = told[name] if about.get("array") else [told[name]]
        if not isinstance(values, list) or not values:
            found.append(f"{at}.{name}: no list")
            continue
        for value in values:
            found += _value(value, about, profiles, f"{at}.{name}")
    for kind, names in described.get("constraints", {}).items():
        there = len(told.keys() & set(names))
        if there < 1 or (kind == "just_one" and there > 1):
            found.append(f"{at}: {kind} of {names}")
    return found


def _value(value: Any, about: dict[str, Any], profiles: set[str], at: str) -> list[str]:
    kind = about["type"]
    if kind in WHOLE:
        good = type(value) is int
    elif kind.endswith("_t"):
        good = isinstance(value, str) and bool(value)
    elif kind == "object" or kind not in SCHEMA["objects"]:
        good = isinstance(value, dict)
    else:
        return faults(value, SCHEMA["objects"][kind], profiles, at) if isinstance(value, dict) else [f"{at}: no object"]
    if good and "enum" in about and str(value) not in about["enum"]:
        return [f"{at}: {value} is not of {about['enum']}"]
    return [] if good else [f"{at}: {value!r} is no {kind}"]


def wrong(event: dict[str, Any]) -> list[str]:
    described = SCHEMA["classes"][str(event["class_uid"])]
    found = faults(event, described, set(event["metadata"].get("profiles", ())), described["name"])
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append("type_uid")
    if event["category_uid"] != event["class_uid"] // 1000:
        found.append("category_uid")
    return found


def decision(**changes: Any) -> Decision:
    allowed: dict[str, Any] = {"audit_id": "audit_1", "at": 10.5, "verdict": "allow", "gate": "limits"}
    return Decision(**allowed | {"rule": "allowed", "reason": "All gates passed."} | changes)


TRAIL: tuple[TrailEvent, ...] = merged(
    [
        decision(gate="token", rule="token.missing", verdict="deny", at=1.0, correlation="c0"),
        decision(**ALICE, tool="buyMcpShopItem", order_id="order_1", session="s1", trace_id="4bf92f", token_id="j1"),
        decision(**ALICE, tool="somethingElse", verdict="deny", gate="limits", rule="limits.quota", remedy="Wait."),
        decision(**ALICE, tool="buyMcpShopItem", at=10.7),
        decision(**ALICE, gate="dispatch", rule="dispatch.sent", order_id="order_1", session="s1", at=10.8),
        decision(
            **ALICE,
            gate="dispatch",
            rule="dispatch.cancelled",
            verdict="deny",
            order_id="order_2",
            session="s1",
            at=20.1,
        ),
        decision(gate="policy", rule="policy.changed", at=11.0),
        decision(gate="event", rule="revoked.session", verdict="deny", session="s1", user="user_alice", at=20.0),
    ],
    [
        SessionView(
            *("s1", "consent_1", "agent_1", "demo-agent", "Shirt Agent", ("shop:buy",), 5.0, 20.5, Money(6000)),
            sub_agents=(
                SubAgentView("agent_3", "agent_1", "Buyer", ("shop:buy",), Money(3000), 99.0, None, created_at=14.0),
            ),
        ),
        SessionView("s2", "consent_2", "agent_2", "other", "Other", (), None, 99.0, revoked_by_kind="agent"),
        SessionView("s3", "consent_3", "", "demo-console", "Console", ("audit:read",), 1.0, None),
    ],
    [
        AnswerView("approved", "demo-agent", "Shirt Agent", "agent_1", ("shop:buy",), 12.0, "s1", Money(2500), True),
        AnswerView("denied", "demo-agent", "Shirt Agent", "agent_1", ("shop:buy",), 13.0, "s1", Money(2500), True),
        AnswerView("denied", "demo-agent", "Shirt Agent", "", ("shop:buy",), 3.0),
    ],
    own=("user_alice", "alice@example.com"),
)


def test_the_schema_is_the_version_that_the_events_name() -> None:
    assert SCHEMA["version"] == VERSION
    assert {as_ocsf(event)["metadata"]["version"] for event in TRAIL} == {VERSION}


def test_both_servers_notes_make_one_trail_in_the_order_of_time() -> None:
    told = [(event.kind, event.said, event.session) for event in TRAIL]
    assert told == [
        ("consent", "granted", "s2"),  # of which nobody says when
        ("decision", "deny", None),
        ("consent", "denied", None),
        ("consent", "granted", "s1"),
        ("decision", "allow", "s1"),
        ("decision", "deny", None),
        ("decision", "allow", None),  # which bought nothing
        ("dispatch", "sent", "s1"),
        ("decision", "allow", None),
        ("purchase", "approved", "s1"),
        ("purchase", "denied", "s1"),  # and no login: the grant stays as it was
        ("delegation", "delegated", "s1"),
        ("revocation", "revoked", "s1"),  # told by both, and one
        ("dispatch", "cancelled", "s1"),
        ("revocation", "revoked", "s2"),
    ]
    assert all(event.client == "demo-agent" for event in TRAIL if event.session == "s1")


@pytest.mark.parametrize("event", TRAIL, ids=lambda event: f"{event.kind}-{event.said}-{event.session}")
def test_each_event_is_as_the_schema_has_it(event: TrailEvent) -> None:
    assert wrong(as_ocsf(event)) == []


def test_what_the_schema_does_not_have_is_found() -> None:
    good = as_ocsf(next(event for event in TRAIL if event.said == "allow"))
    for spoilt in (
        {name: value for name, value in good.items() if name != "src_endpoint"},
        good | {"surprise": 1},
        good | {"time": 1.5},
        good | {"activity_id": 7, "type_uid": 600307},
        good | {"actor": {}},
        good | {"metadata": {"version": VERSION, "product": {"version": "1"}}},
    ):
        assert wrong(spoilt) != []


def test_a_decision_says_who_through_which_agent_by_which_rule_and_in_which_trace() -> None:
    told = as_ocsf(next(event for event in TRAIL if event.said == "allow"))
    assert (told["class_uid"], told["activity_id"], told["status_id"], told["time"]) == (6003, 1, 1, 10500)
    assert told["actor"]["user"]["uid"] == "user_alice"
    assert told["src_endpoint"]["uid"] == "agent_1"
    assert told["authorizations"][0]["policy"]["uid"] == "allowed"
    assert told["trace"]["uid"] == "4bf92f"
    assert told["resources"] == [{"uid": "order_1", "type": "order"}]


def test_an_event_that_nobody_can_be_named_for_is_anonymous() -> None:
    told = as_ocsf(replace(TRAIL[1], username=None))
    assert (told["actor"]["user"]["name"], told["src_endpoint"]["name"]) == ("anonymous", "anonymous")


def test_what_was_handed_on_says_to_whom_and_up_to_which_amount() -> None:
    told = as_ocsf(next(event for event in TRAIL if event.kind == "delegation"))
    assert (told["class_uid"], told["privileges"], told["message"]) == (
        3003,
        ["shop:buy"],
        "An agent handed on to Buyer shop:buy",
    )
    assert told["metadata"]["uid"] == "agent_3"
    assert told["unmapped"]["agent"] == "agent_3"
    assert told["unmapped"]["spending_limit"] == {"amount": 3000, "currency": "USD"}


def test_what_the_gates_said_and_what_came_of_it_are_two_things() -> None:
    told = {
        (event.decision.rule, event.decision.order_id): as_ocsf(event)
        for event in TRAIL
        if event.decision is not None and event.decision.gate in ("limits", "dispatch") and event.decision.user
    }
    said = {key: (one["action"], one["status"], one["actor"].get("app_name")) for key, one in told.items()}
    assert said == {
        ("allowed", "order_1"): ("Allowed", "Success", None),
        ("limits.quota", None): ("Denied", "Failure", None),
        ("allowed", None): ("Allowed", "Failure", None),
        ("dispatch.sent", "order_1"): ("Allowed", "Success", "the shop"),
        ("dispatch.cancelled", "order_2"): ("Denied", "Failure", "the shop"),
    }
