"""Orders in WorkOS's audit log (who, through whom, by which consent), and the events that WorkOS records by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from demo.client.workos.tenant import Tenant, not_workos
from demo.evidence.shop import Decision
from deputize.errors import UsageError
from deputize.http.fetch import Answer, fetch
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from workos import SyncPage
    from workos.audit_logs.models import AuditLogEvent

ORDER_PLACED = "shop.order.placed"
TARGETS = ("order", "agent", "consent")
ANONYMOUS = "anonymous"
"""The actor of an order that nobody can be named for."""
SESSION_CREATED = "session.created"
EVENTS = (
    SESSION_CREATED,
    "session.revoked",
    "agent.blueprint.created",
    "agent.instance.created",
    "agent.instance.session.created",
    "agent.instance.session.revoked",
    "agent.registration.revoked",
)
"""The events of the audit beat. WorkOS alone sends the last one, and names no `id` in it."""
_EXPORT_COLUMNS = {"actor_type", "actor_id", "targets", "metadata"}
"""Those of the local server. WorkOS documents that an export is a CSV file and not what its columns are, so that an
account's export is not read here."""


@dataclass(frozen=True)
class WorkOSEvent:
    """An event that WorkOS recorded. `at` in POSIX seconds; `about` the id of what it happened to, empty where it has
    none; `user` the human it concerns, None where it names none."""

    id: str
    event: str
    at: float
    about: str
    user: str | None


@dataclass(frozen=True)
class OrderOnRecord:
    """An order as the audit log has it. `audit_id` is the shop's own of the decision; `actor` the human's id, None
    where nobody is known; `agent` and `consent` are None where there is no such target."""

    audit_id: str
    order: str
    actor: str | None
    agent: str | None
    consent: str | None


class AuditLog:
    """The audit log of one environment.

    Args:
        where: the `location` of every event: the shop's own host, since it is the shop that reports them.
    """

    def __init__(self, tenant: Tenant, *, where: str) -> None:
        self._tenant = tenant
        self._where = where

    def record_order(self, decision: Decision) -> None:
        """Record an order: the human is the actor, the order, the agent and the consent are its targets.

        The decision's audit id is the idempotency key: sent twice, it is recorded once.

        Raises:
            UsageError: the decision placed no order.
            WorkOSRefused: WorkOS does not take it, e.g. because the action has no schema (`prepare` makes it).
        """
        event = order_event(decision, where=self._where)
        organization = self._tenant.organization_id
        self._tenant.ask(
            "WorkOS does not take this order into its audit log",
            lambda sdk: sdk.audit_logs.create_event(
                organization_id=organization, event=event, idempotency_key=decision.audit_id
            ),
        )

    def export(self, since: float, until: float, *, actions: Sequence[str] = (ORDER_PLACED,)) -> str:
        """The link to a CSV file of the events from `since` to `until` (POSIX seconds); empty until it is ready."""
        organization = self._tenant.organization_id
        made = self._tenant.ask(
            "WorkOS does not export its audit log",
            lambda sdk: sdk.audit_logs.create_export(
                organization_id=organization,
                range_start=datetime.fromtimestamp(since, UTC),
                range_end=datetime.fromtimestamp(until, UTC),
                actions=list(actions),
            ),
        )
        now = self._tenant.ask("WorkOS does not show this export", lambda sdk: sdk.audit_logs.get_export(made.id))
        return now.url or ""

    def events(self, events: Sequence[str] = EVENTS, *, since: float | None = None) -> tuple[WorkOSEvent, ...]:
        """The events that WorkOS recorded, oldest first; at most 500.

        Args:
            since: POSIX seconds; None for as long as WorkOS keeps events.
        """
        start = None if since is None else datetime.fromtimestamp(since, UTC)
        found = self._tenant.every(
            "WorkOS does not list events",
            # The SDK types this page by a union that its own pager's bound does not know.
            lambda sdk: cast(
                "SyncPage[Any]", sdk.events.list_events(events=list(events), range_start=start, limit=100)
            ),
        )
        return tuple(_event(one.to_dict()) for one in found)


def order_event(decision: Decision, *, where: str) -> AuditLogEvent:
    """An order as WorkOS's audit log takes it.

    Raises:
        UsageError: the decision placed no order.
    """
    from workos.audit_logs.models import AuditLogEvent, AuditLogEventActor, AuditLogEventContext, AuditLogEventTarget

    if decision.order_id is None:
        raise UsageError("this decision placed no order", do="record only those with an order_id")
    named = {"agent": decision.agent, "consent": decision.consent}
    targets = [AuditLogEventTarget(id=decision.order_id, type="order")]
    targets += [AuditLogEventTarget(id=id, type=kind) for kind, id in named.items() if id is not None]
    # Anyone who bought at the open door is nobody, and the log has to say so.
    actor = AuditLogEventActor(id=ANONYMOUS, type=ANONYMOUS)
    if decision.user is not None:
        actor = AuditLogEventActor(id=decision.user, type="user", name=decision.username)
    facts = {
        "audit_id": decision.audit_id,
        "client_id": decision.client,
        "session": decision.session,
        "token_id": decision.token_id,
        "door": decision.door,
        "rule": decision.rule,
    }
    return AuditLogEvent(
        action=ORDER_PLACED,
        occurred_at=datetime.fromtimestamp(decision.at, UTC),
        actor=actor,
        targets=targets,
        context=AuditLogEventContext(location=where),
        metadata={name: value for name, value in facts.items() if value is not None},
    )


def _event(event: dict[str, Any]) -> WorkOSEvent:
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    about = data.get("id") or data.get("agent_registration_id") or ""
    user = data.get("user_id")
    return WorkOSEvent(
        id=safe_text(str(event.get("id", "")), one_line=True),
        event=safe_text(str(event.get("event", "")), one_line=True),
        at=datetime.fromisoformat(str(event["created_at"])).timestamp(),
        about=safe_text(str(about), one_line=True),
        user=safe_text(user, one_line=True) if isinstance(user, str) else None,
    )


def read_export(tenant: Tenant, link: str) -> tuple[OrderOnRecord, ...]:
    """The orders in the export behind `link`, oldest first.

    Raises:
        ServerUnreachable: nothing comes of the link, or something else than an export.
    """
    # Anyone who has the link can read the log as long as it is good.
    tenant.recorder.guard(*(value for name, value in parse_qsl(urlsplit(link).query) if name == "signature"))
    answer: Answer = tenant.http(
        lambda http: fetch(http, "GET", link, server=tenant.environment.base_url, headers={"accept": "text/csv"})
    )
    if answer.status != 200:
        raise not_workos(tenant.environment.base_url, f"the link of its export answers HTTP {answer.status}")
    rows = csv.DictReader(io.StringIO(answer.text))
    try:
        if missing := _EXPORT_COLUMNS - set(rows.fieldnames or ()):  # a table without rows must be one, too
            raise KeyError(min(missing))
        return tuple(map(_order, rows))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise not_workos(tenant.environment.base_url, f"its export is in another form: {error}") from None


def _order(row: Mapping[str, str]) -> OrderOnRecord:
    targets = {
        str(target["type"]): safe_text(str(target["id"]), one_line=True) for target in json.loads(row["targets"])
    }
    return OrderOnRecord(
        audit_id=safe_text(str(json.loads(row["metadata"])["audit_id"]), one_line=True),
        order=targets["order"],
        actor=None if row["actor_type"] == ANONYMOUS else safe_text(row["actor_id"].removeprefix("'"), one_line=True),
        agent=targets.get("agent"),
        consent=targets.get("consent"),
    )
