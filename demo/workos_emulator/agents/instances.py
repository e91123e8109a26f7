"""Agent instances: a blueprint at work for one human, or for itself. They come into being with their first token."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.state.store import new_id

from ..api import Api, Call
from ..events import tell
from ..paging import page
from ..refused import not_found
from ..shapes import ORGANIZATION, instance_shown
from .teardown import delete_instances

PATH = "/agents/instances"


def instance_routes(api: Api) -> list[Route]:
    """List, get and delete."""
    authority = api.authority

    def listed(call: Call) -> dict[str, Any]:
        of = call.query.get("agent_blueprint_id")
        with authority.store.transaction(write=False) as connection:
            rows = connection.execute(
                "SELECT * FROM authority_workos_instances WHERE ? IS NULL OR blueprint_id = ? ORDER BY rowid", (of, of)
            ).fetchall()
        here = call.query.get("organization_id") in (None, ORGANIZATION)
        return page([instance_shown(row) for row in rows if here], call.query)

    def get(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            return find_instance(connection, call.path["id"])

    def delete(call: Call) -> None:
        with authority.store.transaction() as connection:
            gone = find_instance(connection, call.path["id"])
            delete_instances(connection, "i.id = ?", gone["id"], authority.now())

    return [
        api.route("GET", PATH, listed),
        api.route("GET", f"{PATH}/{{id}}", get),
        api.route("DELETE", f"{PATH}/{{id}}", delete),
    ]


def find_instance(connection: sqlite3.Connection, id: str) -> dict[str, Any]:
    """The instance with this id, as WorkOS shows it.

    Raises:
        Refused: 404.
    """
    row = connection.execute("SELECT * FROM authority_workos_instances WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise not_found("Agent instance", id)
    return instance_shown(row)


def ensure_instance(connection: sqlite3.Connection, blueprint_id: str, sub: str | None, now: float) -> tuple[str, bool]:
    """The instance of a blueprint for this human (None: for itself), and whether it is new."""
    id = new_id("agent_instance")
    made = connection.execute(
        "INSERT OR IGNORE INTO authority_workos_instances VALUES (?, ?, ?, ?)", (id, blueprint_id, sub, now)
    )
    if made.rowcount:
        tell(connection, "agent.instance.created", find_instance(connection, id), now)
        return id, True
    row = connection.execute(
        "SELECT id FROM authority_workos_instances WHERE blueprint_id = ? AND sub IS ?", (blueprint_id, sub)
    ).fetchone()
    return str(row["id"]), False
