"""`audit_logs`: who did what to what, as an application records it, once per idempotency key; and the schemas of
actions, since an event of an unknown action is refused."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from typing import Any

from starlette.routing import Route

from .api import Api, Call, Refused, unprocessable
from .organizations import check_organization
from .shapes import derived_id, page, stamp

ACTIONS = "/audit_logs/actions"
KEY_SECONDS = 24 * 3600.0
"""How long an idempotency key holds."""
KEPT_SECONDS = 365 * 24 * 3600.0
MOST_METADATA, LONGEST_NAME, LONGEST_VALUE = 50, 40, 500


def audit_log_routes(api: Api) -> list[Route]:
    """Create an event."""
    context = api.context

    def create(call: Call) -> dict[str, Any]:
        organization, event = call.body.get("organization_id"), call.body.get("event")
        if not isinstance(organization, str) or not organization:
            raise unprocessable("organization_id", "organization_id is required")
        check_organization(organization)
        if not isinstance(event, dict):
            raise unprocessable("event", "event is required")
        occurred_at = _check(event)
        now = context.now()
        with context.store.transaction() as connection:
            _check_schema(connection, event)
            connection.execute(
                "UPDATE workos_audit_events SET idempotency_key = NULL"
                " WHERE created_at < ? AND idempotency_key IS NOT NULL",
                (now - KEY_SECONDS,),
            )
            connection.execute("DELETE FROM workos_audit_events WHERE occurred_at < ?", (now - KEPT_SECONDS,))
            connection.execute(
                "INSERT OR IGNORE INTO workos_audit_events"
                " (idempotency_key, event, occurred_at, created_at) VALUES (?, ?, ?, ?)",
                (call.idempotency_key, json.dumps(event), occurred_at, now),
            )
        return {"success": True}

    return [api.route("POST", "/audit_logs/events", create, status=201)]


def audit_events(connection: sqlite3.Connection, since: float, until: float) -> list[dict[str, Any]]:
    """The events that occurred from `since` to `until` (POSIX seconds), oldest first."""
    rows = connection.execute(
        "SELECT event FROM workos_audit_events WHERE occurred_at >= ? AND occurred_at <= ? ORDER BY occurred_at, seq",
        (since, until),
    )
    return [json.loads(row["event"]) for row in rows]


def _check(event: dict[str, Any]) -> float:
    """When the event occurred, once its form is right."""
    problems: list[str] = []
    if not _text(event.get("action")):
        problems.append("action is required")
    at = _when(event.get("occurred_at"))
    if at is None:
        problems.append("occurred_at is an ISO 8601 time with an offset or Z")
    targets = event.get("targets")
    if not isinstance(targets, list) or not targets:
        problems.append("targets has at least one target")
    for name, who in [("actor", event.get("actor")), *(("target", one) for one in targets or [] if targets)]:
        problems += _who(name, who)
    context = event.get("context")
    if not isinstance(context, dict) or not _text(context.get("location")):
        problems.append("context has a location")
    problems += _metadata("metadata", event.get("metadata"))
    if problems or at is None:
        raise _invalid(problems)
    return at


def _check_schema(connection: sqlite3.Connection, event: dict[str, Any]) -> None:
    version = event.get("version")
    schema = schema_of(connection, event["action"], version if isinstance(version, int) else None)
    if schema is None:
        raise _invalid([f"there is no schema for the action {event['action']}"])
    known = {target["type"] for target in schema["targets"]}
    if strange := [one["type"] for one in event["targets"] if one["type"] not in known]:
        raise _invalid([f"the schema of {event['action']} has no target of type {strange[0]}"])


def _who(name: str, given: Any) -> list[str]:
    if not isinstance(given, dict) or not _text(given.get("id")) or not _text(given.get("type")):
        return [f"{name} has an id and a type"]
    return _metadata(f"{name}'s metadata", given.get("metadata"))


def _metadata(name: str, given: Any) -> list[str]:
    if given is None:
        return []
    flat = isinstance(given, dict) and all(isinstance(value, str | int | float) for value in given.values())
    if not flat or len(given) > MOST_METADATA:
        return [f"{name} is a flat object with at most {MOST_METADATA} fields"]
    if any(len(key) > LONGEST_NAME or len(str(value)) > LONGEST_VALUE for key, value in given.items()):
        return [f"{name} has names of at most {LONGEST_NAME} and values of at most {LONGEST_VALUE} characters"]
    return []


def _invalid(problems: list[str]) -> Refused:
    errors = [{"field": "event", "code": "invalid", "message": problem} for problem in problems]
    return Refused(422, "invalid_audit_log", f"Invalid Audit Log event: {'; '.join(problems)}", errors)


def _when(given: Any) -> float | None:
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return None if at is None or at.tzinfo is None else at.timestamp()


def _text(given: Any) -> bool:
    return isinstance(given, str) and bool(given)


def schema_routes(api: Api) -> list[Route]:
    """List actions, create an action's schema."""
    context = api.context

    def actions(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            names = connection.execute(
                "SELECT action, min(created_at) AS first FROM workos_audit_schemas GROUP BY action ORDER BY min(rowid)"
            ).fetchall()
            found = [_action(connection, row["action"], row["first"]) for row in names]
        listed = page(found, call.query)
        for one in listed["data"]:
            del one["id"]  # a cursor for the list only: WorkOS's action has a name and no id
        return listed

    def create(call: Call) -> dict[str, Any]:
        name, wanted = call.path["name"], _checked_schema(call.body)
        with context.store.transaction() as connection:
            found = _versions(connection, name)
            if found and {key: found[-1].get(key) for key in wanted} == wanted:
                return found[-1]
            connection.execute(
                "INSERT INTO workos_audit_schemas VALUES (?, ?, ?, ?)",
                (name, len(found) + 1, json.dumps(wanted), context.now()),
            )
            return _versions(connection, name)[-1]

    return [
        api.route("GET", ACTIONS, actions),
        api.route("POST", f"{ACTIONS}/{{name}}/schemas", create, status=201),
    ]


def schema_of(connection: sqlite3.Connection, action: str, version: int | None = None) -> dict[str, Any] | None:
    """An action's schema of this version, the latest without one; None where there is none."""
    found = _versions(connection, action)
    if version is None:
        return found[-1] if found else None
    return next((schema for schema in found if schema["version"] == version), None)


def _versions(connection: sqlite3.Connection, action: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT * FROM workos_audit_schemas WHERE action = ? ORDER BY version", (action,)
    ).fetchall()
    return [
        {"object": "audit_log_schema", "version": row["version"], "created_at": stamp(row["created_at"])}
        | json.loads(row["schema"])
        for row in rows
    ]


def _action(connection: sqlite3.Connection, name: str, first: float) -> dict[str, Any]:
    latest = _versions(connection, name)[-1]
    return {
        "object": "audit_log_action",
        "id": derived_id("audit_log_action", name),
        "name": name,
        "schema": latest,
        "created_at": stamp(first),
        "updated_at": latest["created_at"],
    }


def _checked_schema(body: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request: the types of targets, which are checked, and metadata schemas, which are kept."""
    targets = body.get("targets")
    if not isinstance(targets, list) or not targets:
        raise unprocessable("targets", "targets is a list with at least one target")
    for target in targets:
        if not isinstance(target, dict) or not isinstance(target.get("type"), str) or not target["type"]:
            raise unprocessable("targets", "each target has a type")
    for name in ("actor", "metadata"):
        if not isinstance(body.get(name), dict | None):
            raise unprocessable(name, f"{name} is an object")
    return {name: body[name] for name in ("targets", "actor", "metadata") if body.get(name) is not None}
