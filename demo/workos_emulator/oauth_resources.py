"""MCP resource indicators (RFC 8707): which servers this authority issues tokens for, beside its own.

As with AuthKit, a token names a server in `aud` only when that server was registered. What is served altogether,
`resources.py` of the authority says.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.grants.resource_identifiers import objection
from demo.auth_server.grants.resources import served_resources
from demo.auth_server.state.store import new_id

from .api import Api, Call
from .paging import page
from .refused import Refused, not_found, unprocessable
from .shapes import derived_id, stamp

PATH = "/user_management/authkit_oauth_resources"


def resource_routes(api: Api) -> list[Route]:
    """List, create and delete."""
    authority = api.authority

    def list_resources(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            rows = connection.execute("SELECT * FROM authority_workos_resources ORDER BY rowid").fetchall()
        made = {row["uri"] for row in rows}
        own = [_own(uri) for uri in authority.resources if uri not in made]
        return page([*own, *(_shown(row) for row in rows)], call.query)

    def create(call: Call) -> dict[str, Any]:
        uri, default = call.body.get("uri"), call.body.get("default") or False
        if not isinstance(uri, str):
            raise unprocessable("uri", "uri is a URL")
        if (why := objection(uri)) is not None:
            raise unprocessable("uri", f"uri cannot be a resource: {why}")
        if not isinstance(default, bool):
            raise unprocessable("default", "default is true or false")
        id, now = new_id("authkit_oauth_resource"), authority.now()
        with authority.store.transaction() as connection:
            if uri in served_resources(authority):
                raise unprocessable("uri", f"AuthKit OAuth resource '{uri}' already exists.")
            if default:
                connection.execute("UPDATE authority_workos_resources SET is_default = 0 WHERE is_default")
            connection.execute(
                "INSERT INTO authority_workos_resources VALUES (?, ?, ?, ?, ?)", (id, uri, default, now, now)
            )
            row = connection.execute("SELECT * FROM authority_workos_resources WHERE id = ?", (id,)).fetchone()
        return _shown(row)

    def delete(call: Call) -> None:
        if call.path["id"] in {_own_id(uri) for uri in authority.resources}:
            raise Refused(409, "resource_in_use", "This resource is the authority's own.")
        with authority.store.transaction() as connection:
            gone = connection.execute("DELETE FROM authority_workos_resources WHERE id = ?", (call.path["id"],))
            if not gone.rowcount:
                raise not_found("AuthKit OAuth resource", call.path["id"])

    return [
        api.route("GET", PATH, list_resources),
        api.route("POST", PATH, create, status=201),
        api.route("DELETE", f"{PATH}/{{id}}", delete),
    ]


def _own(uri: str) -> dict[str, Any]:
    """A resource that the authority serves by itself: nobody made it here (POSIX time 0), and nobody takes it away."""
    return {
        "object": "authkit_oauth_resource",
        "id": _own_id(uri),
        "uri": uri,
        "default": False,
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }


def _own_id(uri: str) -> str:
    return derived_id("authkit_oauth_resource", uri)


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "object": "authkit_oauth_resource",
        "id": row["id"],
        "uri": row["uri"],
        "default": bool(row["is_default"]),
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
    }
