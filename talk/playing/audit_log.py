"""The step that writes this run's orders into WorkOS's audit log, and reads it back."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo import panels
from demo.evidence.audit import LoggedOrder
from demo.evidence.shop import Decision
from talk.playing.kind import Kind, Step
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.workos.audit import OrderOnRecord, WorkOSEvent

LOOK_BACK_SECONDS = 24 * 3600.0
"""How long before a run's first order the session behind it may have been opened."""

_ELSEWHERE = "an account's export is made in the background, and WorkOS does not document its columns"


def audit_log(_: Step, scene: Scene) -> Played:
    """Write each order of this run, twice; read back what is on record; list what WorkOS saw by itself."""
    from demo.client.workos.audit import SESSION_CREATED, AuditLog, read_export
    from demo.client.workos.preparing import ensure_order_schema

    tenant, orders = scene.cast.humans.tenant(), _orders(scene)
    log = AuditLog(tenant, where=urlsplit(scene.cast.server.url).hostname or "")
    ensure_order_schema(tenant)
    for decision in [*orders, *orders]:  # the second time, as after a crash, must change nothing
        log.record_order(decision)
    since = min((one.at for one in orders), default=time.time())
    events = log.events(since=since - LOOK_BACK_SECONDS)
    opened = {one.about for one in events if one.event == SESSION_CREATED}
    bought = [one for one in orders if one.user is not None]
    observed: dict[str, Any] = {
        "told": len(orders),
        "events": sorted({one.event for one in events}),
        "corroborated": bool(bought) and all(one.session in opened for one in bought),
    }
    if tenant.environment.local:
        on_record = read_export(tenant, log.export(since - 1, time.time() + 1))
        counts = {one.audit_id: _on_record(one, on_record) for one in orders}
        observed |= _observe(orders, on_record)
        unobservable = {}
    else:
        counts = {}
        unobservable = dict.fromkeys(("missing", "doubled", "traced", "anonymous"), _ELSEWHERE)
        unobservable["corroborated"] = "an AuthKit token's sid is the consent, and no event reports that"
    rows = tuple(
        LoggedOrder(
            one.at, one.order_id or "", one.username or one.user, one.agent, one.consent, counts.get(one.audit_id)
        )
        for one in orders
    )
    kinds, asked = _kinds(events), tenant.environment.base_url
    return Played(
        observed, {"audit-log": lambda: panels.audit_log(rows, kinds, asked, scene.names())}, unobservable=unobservable
    )


def _orders(scene: Scene) -> list[Decision]:
    """The decisions that placed this run's orders, as they came over the wire; oldest first."""
    first: dict[str, Decision] = {}
    for result in scene.seen():
        for one in result.decisions:
            decision = Decision.from_dict(dict(one))
            if decision.order_id is not None and decision.verdict == "allow":
                first.setdefault(decision.order_id, decision)  # asked for again it is the same order
    return sorted(first.values(), key=lambda decision: decision.at)


def _on_record(decision: Decision, log: tuple[OrderOnRecord, ...]) -> int:
    """How often the log has this order, saying what the shop decided; 0 where one entry says anything else."""
    found = [one for one in log if one.audit_id == decision.audit_id]
    says = (decision.order_id, decision.user, decision.agent, decision.consent)
    return len(found) if all((one.order, one.actor, one.agent, one.consent) == says for one in found) else 0


def _observe(orders: list[Decision], log: tuple[OrderOnRecord, ...]) -> dict[str, Any]:
    counts = [_on_record(one, log) for one in orders]
    ours = {one.audit_id for one in orders}
    entries = [one for one in log if one.audit_id in ours]
    nobodys = {one.audit_id for one in orders if one.user is None}
    return {
        "missing": counts.count(0),
        "doubled": sum(count - 1 for count in counts if count > 1),
        "traced": bool(entries) and all(one.agent and one.consent for one in entries if one.audit_id not in nobodys),
        "anonymous": bool(nobodys) and nobodys == {one.audit_id for one in entries if one.actor is None},
    }


def _kinds(events: tuple[WorkOSEvent, ...]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(one.event for one in events).most_common())


AUDIT_LOG = Kind(
    "audit-log",
    "Write each order of this run to WorkOS's audit log, twice; read it back; list what WorkOS saw by itself.",
    audit_log,
    observes={
        "told": int,
        "missing": int,
        "doubled": int,
        "traced": bool,
        "anonymous": bool,
        "events": list,
        "corroborated": bool,
    },
    shows=("audit-log",),
)
