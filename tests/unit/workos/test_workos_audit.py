"""Orders in WorkOS's audit log, recorded once, got out again; and the events that WorkOS's API records by itself."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from demo.client import Agent
from demo.client.workos.audit import EVENTS, AuditLog, OrderOnRecord, read_export
from demo.client.workos.people import People
from demo.client.workos.preparing import prepare
from demo.client.workos.tenant import Tenant, WorkOSRefused
from demo.evidence.shop import Decision
from deputize.errors import ServerUnreachable, UsageError
from tests.conftest import HANGS
from tests.unit.workos.conftest import BUY, World, claim


@pytest.fixture
def log(world: World, tenant: Tenant) -> AuditLog:
    prepare(tenant, f"{world.base}/elsewhere/mcp")
    return AuditLog(tenant, where="127.0.0.1")


def exported(world: World, log: AuditLog) -> list[dict[str, str]]:
    url = log.export(world.clock() - 60, world.clock() + 60)
    answer = httpx2.get(url, timeout=HANGS, trust_env=False, verify=False)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_an_order_is_on_record_with_human_agent_and_consent(world: World, log: AuditLog) -> None:
    agent = world.agent()
    decision = world.buy(agent).decision
    assert decision is not None
    log.record_order(decision)
    (row,) = exported(world, log)
    assert (row["action"], row["actor_id"], row["actor_name"]) == (
        "shop.order.placed",
        "user_alice",
        "alice@example.com",
    )
    targets = {target["type"]: target["id"] for target in json.loads(row["targets"])}
    assert targets == {"order": decision.order_id, "agent": decision.agent, "consent": decision.consent}
    assert targets["agent"] == claim(agent, "act.sub")
    told = json.loads(row["metadata"])
    assert (told["audit_id"], told["session"]) == (decision.audit_id, claim(agent, "sid"))
    assert "Main St" not in json.dumps(row)


def test_an_order_recorded_twice_is_on_record_once(world: World, log: AuditLog) -> None:
    decision = world.buy(world.agent()).decision
    assert decision is not None
    log.record_order(decision)
    log.record_order(replace(decision, username="somebody else"))
    (row,) = exported(world, log)
    assert row["actor_name"] == "alice@example.com", "what was told first stays"
    world.clock.ahead = 25 * 3600  # an idempotency key holds for a day
    log.record_order(decision)
    url = log.export(0, world.clock())
    assert len(httpx2.get(url, timeout=HANGS, trust_env=False, verify=False).text.splitlines()) == 3


def test_who_bought_at_the_open_door_is_nobody_on_record_too(world: World, log: AuditLog) -> None:
    decision = (
        Agent(world.base, store=world.agent().store).call("buyMcpShopItem", BUY, door="open", token="none").decision
    )
    assert decision is not None and decision.user is None
    log.record_order(decision)
    (row,) = exported(world, log)
    assert (row["actor_type"], row["actor_id"]) == ("anonymous", "anonymous")


def test_what_is_on_record_is_read_back_by_the_link_alone(world: World, tenant: Tenant, log: AuditLog) -> None:
    agent = world.agent()
    bought = world.buy(agent).decision
    nobody = Agent(world.base, store=agent.store).call("buyMcpShopItem", BUY, door="open", token="none").decision
    assert bought is not None and nobody is not None
    log.record_order(bought)
    log.record_order(nobody)
    link = log.export(world.clock() - 60, world.clock() + 60)
    assert read_export(tenant, link) == (
        OrderOnRecord(bought.audit_id, str(bought.order_id), "user_alice", bought.agent, bought.consent),
        OrderOnRecord(nobody.audit_id, str(nobody.order_id), None, None, None),
    )
    read = tenant.recorder.exchanges[-1]
    assert "events.csv" in read.url and link.rpartition("signature=")[2] not in read.url
    assert not any(name == "authorization" for name, _ in read.request_headers), "the link is all that it takes"
    with pytest.raises(ServerUnreachable):
        read_export(tenant, link.replace("signature=", "signature=0"))
    with pytest.raises(ServerUnreachable):
        read_export(tenant, f"{world.base}/client.json")


def test_what_was_no_order_is_not_told(log: AuditLog) -> None:
    decision = Decision("audit_1", 0.0, "deny", "token", "token.missing", "No token.")
    with pytest.raises(UsageError):
        log.record_order(decision)


def test_an_action_without_a_schema_is_refused(tenant: Tenant) -> None:
    decision = replace(Decision("audit_1", 1.0, "allow", "limits", "allowed", "Fine."), order_id="order_1")
    with pytest.raises(WorkOSRefused) as refused:
        AuditLog(tenant, where="here").record_order(decision)
    assert (refused.value.status, refused.value.code) == (422, "invalid_audit_log")
    assert "no schema" in refused.value.why


@pytest.mark.parametrize(
    "changes",
    [
        {"action": ""},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-01-01T00:00:00"},
        {"actor": {"id": "x"}},
        {"targets": []},
        {"targets": "order"},
        {"targets": [{"id": "x", "type": "planet"}]},
        {"context": {}},
        {"metadata": {"a": {"b": 1}}},
        {"metadata": {"a": "x" * 501}},
        {"metadata": {str(number): 1 for number in range(51)}},
        {"version": 7},
    ],
)
def test_an_event_that_is_not_as_it_must_be_is_a_422(
    world: World, tenant: Tenant, log: AuditLog, changes: dict[str, Any]
) -> None:
    event = {
        "action": "shop.order.placed",
        "occurred_at": "2026-01-01T00:00:00.000Z",
        "actor": {"id": "user_alice", "type": "user"},
        "targets": [{"id": "order_1", "type": "order"}],
        "context": {"location": "here"},
    }
    told = {"organization_id": tenant.organization_id, "event": event | changes}
    answer = httpx2.post(
        f"{world.base}/audit_logs/events",
        json=told,
        headers={"Authorization": f"Bearer {tenant.environment.api_key}"},
        timeout=10,
        trust_env=False,
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_audit_log"
    assert exported(world, log) == []


def test_another_organization_is_unknown(world: World, log: AuditLog) -> None:
    decision = replace(Decision("audit_1", 1.0, "allow", "limits", "allowed", "Fine."), order_id="order_1")
    with pytest.raises(WorkOSRefused) as refused:
        AuditLog(world.tenant(organization_id="org_other"), where="here").record_order(decision)
    assert refused.value.status == 404


def test_a_link_to_an_export_ends_and_cannot_be_guessed(world: World, log: AuditLog) -> None:
    url = log.export(0, world.clock())
    tampered = url.replace("signature=", "signature=0")
    assert httpx2.get(tampered, timeout=HANGS, trust_env=False, verify=False).status_code == 403
    assert httpx2.get(url.partition("?")[0], timeout=HANGS, trust_env=False, verify=False).status_code == 403
    world.clock.ahead = 601
    assert httpx2.get(url, timeout=HANGS, trust_env=False, verify=False).status_code == 403


def test_sessions_are_events_as_they_come_and_go(world: World, tenant: Tenant, log: AuditLog) -> None:
    agent = world.agent()
    session = claim(agent, "sid")
    People(tenant).revoke(session)
    world.agent("grace@example.com")
    told = [(one.event, one.user) for one in log.events()]
    assert told == [
        ("session.created", "user_alice"),
        ("session.revoked", "user_alice"),
        ("session.created", "user_grace"),
    ]
    first = log.events()
    assert [one.id for one in first] == [one.id for one in log.events()], "an event keeps its id"
    assert first[0].about == session
    assert log.events(since=world.clock() + 1) == ()
    assert [one.event for one in log.events(["session.revoked"])] == ["session.revoked"]


def test_an_event_that_only_workos_sends_is_asked_for_and_read(
    log: AuditLog, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "agent.registration.revoked" in EVENTS
    sent = {
        "id": "event_1",
        "event": "agent.registration.revoked",
        "created_at": "2026-06-01T10:00:00.000Z",
        "data": {"agent_registration_id": "agent_reg_1"},
    }
    monkeypatch.setattr(tenant, "every", lambda *_: [SimpleNamespace(to_dict=lambda: sent)])
    (event,) = log.events()
    assert (event.event, event.about, event.user) == ("agent.registration.revoked", "agent_reg_1", None)


def test_events_of_no_kind_or_of_no_time_are_a_422(world: World, tenant: Tenant, log: AuditLog) -> None:
    with pytest.raises(WorkOSRefused) as refused:
        log.events([])
    assert refused.value.status == 422
    with pytest.raises(WorkOSRefused) as refused:
        tenant.ask("no", lambda sdk: sdk.events.list_events(events=["session.created"], range_start="soon"))
    assert refused.value.status == 422


def test_many_events_come_page_after_page(world: World, tenant: Tenant, log: AuditLog) -> None:
    for human in ("alice@example.com", "grace@example.com", "mallory@example.org"):
        world.agent(human)
    paged = tenant.every("no", lambda sdk: sdk.events.list_events(events=["session.created"], limit=1))  # type: ignore[arg-type, return-value, misc]  # the SDK's union of events is not its pager's bound
    assert len(paged) == 3
