"""Agent blueprints: what an agent may do at most, who may call it up, and how long its sessions last."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.state.store import new_id

from ..api import Api, Call
from ..events import tell
from ..paging import page
from ..permissions import ROLES, permissions
from ..refused import Refused, not_found
from ..shapes import ORGANIZATION, stamp
from .blueprint_body import read_blueprint
from .teardown import delete_instances

PATH = "/agents/blueprints"
PLAIN = ("name", "description")
DOCUMENTS = ("permissions", "invocable_by", "invocable_as", "session_settings")


def blueprint_routes(api: Api) -> list[Route]:
    """List, create, get, update and delete."""
    authority = api.authority

    def listed(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            rows = connection.execute("SELECT * FROM authority_workos_blueprints ORDER BY rowid").fetchall()
        return page([_shown(row) for row in rows], call.query)

    def get(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            return find_blueprint(connection, call.path["id"])

    def create(call: Call) -> dict[str, Any]:
        wanted, id, now = read_blueprint(call.body), new_id("agent_blueprint"), authority.now()
        with authority.store.transaction() as connection:
            _check(connection, wanted, id)
            connection.execute(
                "INSERT INTO authority_workos_blueprints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id,
                    *(wanted[name] for name in PLAIN),
                    *(json.dumps(wanted[name]) for name in DOCUMENTS),
                    now,
                    now,
                ),
            )
            made = find_blueprint(connection, id)
            tell(connection, "agent.blueprint.created", made, now)
        return made

    def update(call: Call) -> dict[str, Any]:
        now = authority.now()
        with authority.store.transaction() as connection:
            before = find_blueprint(connection, call.path["id"])
            wanted = read_blueprint(call.body, before)
            _check(connection, wanted, before["id"])
            connection.execute(
                "UPDATE authority_workos_blueprints SET name = ?, description = ?, permissions = ?, invocable_by = ?,"
                " invocable_as = ?, session_settings = ?, updated_at = ? WHERE id = ?",
                (
                    *(wanted[name] for name in PLAIN),
                    *(json.dumps(wanted[name]) for name in DOCUMENTS),
                    now,
                    before["id"],
                ),
            )
            after = find_blueprint(connection, before["id"])
            tell(connection, "agent.blueprint.updated", after, now)
        return after

    def delete(call: Call) -> None:
        now = authority.now()
        with authority.store.transaction() as connection:
            gone = find_blueprint(connection, call.path["id"])
            delete_instances(connection, "i.blueprint_id = ?", gone["id"], now)
            connection.execute("DELETE FROM authority_workos_blueprints WHERE id = ?", (gone["id"],))
            told = {name: gone[name] for name in ("object", "id", "name", "created_at", "updated_at")}
            tell(connection, "agent.blueprint.deleted", told, now)

    return [
        api.route("GET", PATH, listed),
        api.route("POST", PATH, create, status=201),
        api.route("GET", f"{PATH}/{{id}}", get),
        api.route("PATCH", f"{PATH}/{{id}}", update),
        api.route("DELETE", f"{PATH}/{{id}}", delete),
    ]


def find_blueprint(connection: sqlite3.Connection, id: str) -> dict[str, Any]:
    """The blueprint with this id, as WorkOS shows it.

    Raises:
        Refused: 404.
    """
    row = connection.execute("SELECT * FROM authority_workos_blueprints WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise not_found("Agent blueprint", id)
    return _shown(row)


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "object": "agent_blueprint",
        "id": row["id"],
        **{name: row[name] for name in PLAIN},
        **{name: json.loads(row[name]) for name in DOCUMENTS},
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
    }


def _check(connection: sqlite3.Connection, wanted: dict[str, Any], id: str) -> None:
    """Refuse a name that is taken, and what a blueprint names that is not there."""
    taken = connection.execute(
        "SELECT 1 FROM authority_workos_blueprints WHERE name = ? AND id != ?", (wanted["name"], id)
    ).fetchone()
    if taken is not None:
        raise Refused(409, "name_already_in_use", f'An agent blueprint named "{wanted["name"]}" already exists.')
    known = {
        "permission": {one["slug"] for one in permissions(connection)},
        "role": set(ROLES),
        "organization": {ORGANIZATION},
    }
    named = {
        "permission": wanted["permissions"],
        "role": wanted["invocable_by"]["role_slugs"],
        "organization": wanted["invocable_by"]["organization_ids"],
    }
    for kind, names in named.items():
        for name in names:
            if name not in known[kind]:
                raise Refused(422, f"{kind}_not_found", f"{kind.capitalize()} not found: {name}")
