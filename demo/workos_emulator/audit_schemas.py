"""`audit_logs/actions`: what an action's events must look like. An event of an unknown action is refused."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.routing import Route

from .api import Api, Call
from .paging import page
from .refused import not_found, unprocessable
from .shapes import derived_id, stamp

PATH = "/audit_logs/actions"


def schema_routes(api: Api) -> list[Route]:
    """List actions and an action's schemas, create a schema."""
    authority = api.authority

    def actions(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            names = connection.execute(
                "SELECT action, min(created_at) AS first FROM authority_workos_audit_schemas"
                " GROUP BY action ORDER BY min(rowid)"
            ).fetchall()
            found = [_action(connection, row["action"], row["first"]) for row in names]
        listed = page(found, call.query)
        for one in listed["data"]:
            del one["id"]  # a cursor for the list only: WorkOS's action has a name and no id
        return listed

    def schemas(call: Call) -> dict[str, Any]:
        name = call.path["name"]
        with authority.store.transaction(write=False) as connection:
            found = _versions(connection, name)
        if not found:
            raise not_found("Audit Log action", name)
        listed = page([schema | {"id": f"{name} {schema['version']}"} for schema in found], call.query)
        for one in listed["data"]:
            del one["id"]
        return listed

    def create(call: Call) -> dict[str, Any]:
        name, wanted = call.path["name"], _checked(call.body)
        with authority.store.transaction() as connection:
            found = _versions(connection, name)
            if found and {key: found[-1].get(key) for key in wanted} == wanted:
                return found[-1]
            connection.execute(
                "INSERT INTO authority_workos_audit_schemas VALUES (?, ?, ?, ?)",
                (name, len(found) + 1, json.dumps(wanted), authority.now()),
            )
            return _versions(connection, name)[-1]

    return [
        api.route("GET", PATH, actions),
        api.route("GET", f"{PATH}/{{name}}/schemas", schemas),
        api.route("POST", f"{PATH}/{{name}}/schemas", create, status=201),
    ]


def schema_of(connection: sqlite3.Connection, action: str, version: int | None = None) -> dict[str, Any] | None:
    """An action's schema of this version, the latest without one; None where there is none."""
    found = _versions(connection, action)
    if version is None:
        return found[-1] if found else None
    return next((schema for schema in found if schema["version"] == version), None)


def _versions(connection: sqlite3.Connection, action: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT * FROM authority_workos_audit_schemas WHERE action = ? ORDER BY version", (action,)
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


def _checked(body: dict[str, Any]) -> dict[str, Any]:
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
