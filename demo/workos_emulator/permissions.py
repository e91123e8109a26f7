"""`authorization`: the shop's scopes as permissions, and the accounts' roles with what each grants."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.grants.scopes import SCOPES
from demo.auth_server.state.accounts import ACCOUNTS, Account
from demo.auth_server.state.store import new_id

from .api import Api, Call
from .paging import page
from .refused import Refused, not_found, unprocessable
from .shapes import derived_id, stamp

NOT_PERMISSIONS = frozenset({"openid", "offline_access"})
"""Scopes that speak of the login itself (OpenID Connect); they permit nothing at a resource."""
MEMBER = "member"
"""The role of a member who was given no other, as in every WorkOS environment."""
ROLES = ("admin", "customer", MEMBER)
"""Highest first: the first that an account has is its role in the organization."""
_SLUG = re.compile(r"[a-z0-9_:.*-]{1,48}")


def permission_routes(api: Api) -> list[Route]:
    """List, get and create permissions; list and get roles."""
    authority = api.authority

    def list_permissions(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            return page(permissions(connection), call.query)

    def get_permission(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            for one in permissions(connection):
                if one["slug"] == call.path["slug"]:
                    return one
        raise not_found("Permission", call.path["slug"])

    def create_permission(call: Call) -> dict[str, Any]:
        slug, name, description = (call.body.get(field) for field in ("slug", "name", "description"))
        if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
            raise unprocessable("slug", "slug is lowercase letters, digits, hyphens, underscores, colons, periods")
        if not isinstance(name, str) or not 1 <= len(name) <= 200:
            raise unprocessable("name", "name is text of 1 to 200 characters")
        if not isinstance(description, str | None):
            raise unprocessable("description", "description is text")
        with authority.store.transaction() as connection:
            if slug in {one["slug"] for one in permissions(connection)}:
                raise Refused(409, "permission_slug_conflict", f"A permission with the slug '{slug}' already exists.")
            connection.execute(
                "INSERT INTO authority_workos_permissions VALUES (?, ?, ?, ?, ?)",
                (new_id("perm"), slug, name, description, authority.now()),
            )
            return next(one for one in permissions(connection) if one["slug"] == slug)

    def list_roles(_: Call) -> dict[str, Any]:
        return {"object": "list", "data": [_role(slug) for slug in ROLES]}

    def get_role(call: Call) -> dict[str, Any]:
        if call.path["slug"] not in ROLES:
            raise not_found("Role", call.path["slug"])
        return _role(call.path["slug"])

    return [
        api.route("GET", "/authorization/permissions", list_permissions),
        api.route("POST", "/authorization/permissions", create_permission, status=201),
        api.route("GET", "/authorization/permissions/{slug}", get_permission),
        api.route("GET", "/authorization/roles", list_roles),
        api.route("GET", "/authorization/roles/{slug}", get_role),
    ]


def permissions(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every permission: the scopes first, which are part of the program (POSIX time 0), then those created here."""
    ours = [
        _permission(derived_id("perm", slug), slug, words, None, 0)
        for slug, words in SCOPES.items()
        if slug not in NOT_PERMISSIONS
    ]
    rows = connection.execute("SELECT * FROM authority_workos_permissions ORDER BY rowid").fetchall()
    created = [_permission(row["id"], row["slug"], row["name"], row["description"], row["created_at"]) for row in rows]
    return ours + created


def role_of(account: Account) -> str:
    """The slug of an account's role in the organization."""
    return next((slug for slug in ROLES if slug in account.roles), MEMBER)


def granted_to(account: Account) -> frozenset[str]:
    """The permissions that an account has, and may hand on."""
    return account.grantable - NOT_PERMISSIONS


def _role(slug: str) -> dict[str, Any]:
    """A role grants what every account that has it may hand on."""
    holders = [account for account in ACCOUNTS if role_of(account) == slug]
    granted = frozenset.intersection(*(granted_to(account) for account in holders)) if holders else frozenset()
    return {
        "object": "role",
        "id": derived_id("role", slug),
        "slug": slug,
        "name": slug.capitalize(),
        "description": None,
        "type": "EnvironmentRole",
        "resource_type_slug": "organization",
        "permissions": [scope for scope in SCOPES if scope in granted],
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }


def _permission(id: str, slug: str, name: str, description: str | None, at: float) -> dict[str, Any]:
    return {
        "object": "permission",
        "id": id,
        "slug": slug,
        "name": name,
        "description": description,
        "system": False,
        "resource_type_slug": "organization",
        "created_at": stamp(at),
        "updated_at": stamp(at),
    }
