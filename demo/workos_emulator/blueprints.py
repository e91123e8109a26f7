"""`agents/blueprints`: what an agent may do at most, who may start it, and how long its sessions last.

The body of a request that creates or changes one is read strictly, and every problem in it is named at once.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.administration import new_id

from .api import Api, Call, Refused, not_found
from .events import record
from .organizations import ROLES, permissions
from .shapes import ORGANIZATION, page, stamp

PATH = "/agents/blueprints"
PLAIN = ("name", "description")
DOCUMENTS = ("permissions", "invocable_by", "invocable_as", "session_settings")
LONGEST_NAME, LONGEST_DESCRIPTION, MOST_NAMES = 255, 1000, 1000
SETTINGS = {
    "max_age_seconds": (3600, 31_536_000),
    "access_token_ttl_seconds": (300, 3600),
    "refresh_token_ttl_seconds": (3600, 5_184_000),
}
"""Name to what it is without being asked for, and at most. Seconds."""
INSTANCE_TYPES = ("delegated", "autonomous")


def blueprint_routes(api: Api) -> list[Route]:
    """List, create and update."""
    context = api.context

    def listed(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            rows = connection.execute("SELECT * FROM workos_blueprints ORDER BY rowid").fetchall()
        return page([_shown(row) for row in rows], call.query)

    def create(call: Call) -> dict[str, Any]:
        wanted, id, now = _read_blueprint(call.body), new_id("agent_blueprint"), context.now()
        with context.store.transaction() as connection:
            _check(connection, wanted, id)
            connection.execute(
                "INSERT INTO workos_blueprints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id,
                    *(wanted[name] for name in PLAIN),
                    *(json.dumps(wanted[name]) for name in DOCUMENTS),
                    now,
                    now,
                ),
            )
            made = find_blueprint(connection, id)
            record(connection, "agent.blueprint.created", made, now)
        return made

    def update(call: Call) -> dict[str, Any]:
        now = context.now()
        with context.store.transaction() as connection:
            before = find_blueprint(connection, call.path["id"])
            wanted = _read_blueprint(call.body, before)
            _check(connection, wanted, before["id"])
            connection.execute(
                "UPDATE workos_blueprints SET name = ?, description = ?, permissions = ?, invocable_by = ?,"
                " invocable_as = ?, session_settings = ?, updated_at = ? WHERE id = ?",
                (
                    *(wanted[name] for name in PLAIN),
                    *(json.dumps(wanted[name]) for name in DOCUMENTS),
                    now,
                    before["id"],
                ),
            )
            after = find_blueprint(connection, before["id"])
            record(connection, "agent.blueprint.updated", after, now)
        return after

    return [
        api.route("GET", PATH, listed),
        api.route("POST", PATH, create, status=201),
        api.route("PATCH", f"{PATH}/{{id}}", update),
    ]


def find_blueprint(connection: sqlite3.Connection, id: str) -> dict[str, Any]:
    """The blueprint with this id, as WorkOS shows it.

    Raises:
        Refused: 404.
    """
    row = connection.execute("SELECT * FROM workos_blueprints WHERE id = ?", (id,)).fetchone()
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
        "SELECT 1 FROM workos_blueprints WHERE name = ? AND id != ?", (wanted["name"], id)
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


def _read_blueprint(body: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the blueprint is to be: name, description, permissions, invocable_by, invocable_as, session_settings.

    Args:
        before: the blueprint that is changed; what the body leaves out stays. None for a new one.

    Raises:
        Refused: 400, naming each field that is wrong.
    """
    errors: list[dict[str, str]] = []
    old = before or {
        "name": None,
        "description": None,
        "permissions": [],
        "invocable_by": {"role_slugs": [], "organization_ids": []},
        "invocable_as": {"instance_types": list(INSTANCE_TYPES)},
        "session_settings": {name: default for name, (default, _) in SETTINGS.items()},
    }

    def wrong(field: str, must: str) -> None:
        errors.append({"field": field, "code": "invalid", "message": f"{field} must be {must}"})

    def names(field: str, given: Any, allowed: tuple[str, ...] | None = None) -> list[str]:
        fits = isinstance(given, list) and len(given) <= MOST_NAMES and all(isinstance(one, str) for one in given)
        if not fits or not all(one and (allowed is None or one in allowed) for one in given):
            wrong(field, "a list of names" if allowed is None else f"a list of: {', '.join(allowed)}")
            return []
        return list(dict.fromkeys(given))

    def part(field: str) -> dict[str, Any]:
        given = body.get(field)
        if given is not None and not isinstance(given, dict):
            wrong(field, "an object")
        return given if isinstance(given, dict) else {}

    name = body.get("name", old["name"])
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        wrong("name", f"text of 1 to {LONGEST_NAME} characters")
    description = body.get("description", old["description"])
    if description is not None and not (isinstance(description, str) and 1 <= len(description) <= LONGEST_DESCRIPTION):
        wrong("description", f"text of 1 to {LONGEST_DESCRIPTION} characters, or null")
    by, as_, settings = part("invocable_by"), part("invocable_as"), dict(old["session_settings"])
    for key, given in part("session_settings").items():
        most = SETTINGS.get(key, (0, 0))[1]
        if type(given) is not int or not 1 <= given <= most:
            wrong(f"session_settings.{key}", f"a whole number from 1 to {most}" if most else "left out: unknown")
        settings[key] = given
    wanted = {
        "name": name,
        "description": description,
        "permissions": names("permissions", body.get("permissions", old["permissions"])),
        "invocable_by": {
            key: names(f"invocable_by.{key}", by.get(key, old["invocable_by"][key]))
            for key in ("role_slugs", "organization_ids")
        },
        "invocable_as": {
            "instance_types": names(
                "invocable_as.instance_types",
                as_.get("instance_types", old["invocable_as"]["instance_types"]),
                INSTANCE_TYPES,
            )
        },
        "session_settings": settings,
    }
    if errors:
        raise Refused(400, "invalid_request", "; ".join(error["message"] for error in errors), errors)
    return wanted
