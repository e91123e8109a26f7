"""MCP resource indicators (RFC 8707): which servers this authority issues tokens for, beside its own.

As with AuthKit, a token names a server in `aud` only when that server was registered. `resources.py` of the
authority asks `registered` about it.
"""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import Route

from ..store import new_id
from .api import Api, Call
from .paging import page
from .refused import Refused, not_found, unprocessable
from .shapes import derived_id, stamp

PATH = "/user_management/authkit_oauth_resources"


def resource_routes(api: Api) -> list[Route]:
    """List, create and delete."""
    authority = api.authority
    own = [_own(uri) for uri in authority.config.resources]

    def list_resources(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            rows = connection.execute("SELECT * FROM authority_workos_resources ORDER BY rowid").fetchall()
        return page([*own, *(_shown(row) for row in rows)], call.query)

    def create(call: Call) -> dict[str, Any]:
        uri, default = call.body.get("uri"), call.body.get("default", False)
        if not isinstance(uri, str) or not _is_server(uri):
            raise unprocessable("uri", "uri is an absolute http(s) URL without fragment, user or wildcard")
        if not isinstance(default, bool):
            raise unprocessable("default", "default is true or false")
        id, now = new_id("authkit_oauth_resource"), authority.now()
        with authority.store.transaction() as connection:
            if uri in authority.config.resources or uri in registered(connection):
                raise unprocessable("uri", f"AuthKit OAuth resource '{uri}' already exists.")
            if default:
                connection.execute("UPDATE authority_workos_resources SET is_default = 0 WHERE is_default")
            connection.execute(
                "INSERT INTO authority_workos_resources VALUES (?, ?, ?, ?, ?)", (id, uri, default, now, now)
            )
            row = connection.execute("SELECT * FROM authority_workos_resources WHERE id = ?", (id,)).fetchone()
        return _shown(row)

    def delete(call: Call) -> None:
        if call.path["id"] in {one["id"] for one in own}:
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


def registered(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The servers that were registered, the default one first."""
    rows = connection.execute("SELECT uri FROM authority_workos_resources ORDER BY is_default DESC, rowid").fetchall()
    return tuple(str(row["uri"]) for row in rows)


def _is_server(uri: str) -> bool:
    if len(uri) > 2000 or "*" in uri or "#" in uri or any(ord(character) <= 32 for character in uri):
        return False
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def _own(uri: str) -> dict[str, Any]:
    """A resource of the authority's own, which is there from the start (POSIX time 0) and stays."""
    return {
        "object": "authkit_oauth_resource",
        "id": derived_id("authkit_oauth_resource", uri),
        "uri": uri,
        "default": False,
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "object": "authkit_oauth_resource",
        "id": row["id"],
        "uri": row["uri"],
        "default": bool(row["is_default"]),
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
    }
