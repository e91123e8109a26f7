"""`organizations`, `organization_memberships` and `authorization`: one organization, because audit logs and agents need
one to be in; every account is a member of it, by its role; the shop's scopes are its permissions."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.administration import ACCOUNTS, Account, new_id
from demo.scopes import SCOPES

from .api import Api, Call, Refused, not_found, unprocessable
from .shapes import ORGANIZATION, ORGANIZATION_NAME, derived_id, page, stamp
from .users import user_shown

NOT_PERMISSIONS = frozenset({"openid", "offline_access"})
"""Scopes that speak of the login itself (OpenID Connect); they permit nothing at a resource."""
MEMBER = "member"
"""The role of a member who was given no other, as in every WorkOS environment."""
ROLES = ("admin", "customer", MEMBER)
"""Highest first: the first that an account has is its role in the organization."""
_SLUG = re.compile(r"[a-z0-9_:.*-]{1,48}")


def organization_routes(api: Api) -> list[Route]:
    """The list."""

    def listed(call: Call) -> dict[str, Any]:
        return page([_organization()], call.query)

    return [api.route("GET", "/organizations", listed)]


def check_organization(id: str) -> None:
    """Refuse an organization that is not there."""
    if id != ORGANIZATION:
        raise not_found("Organization", id)


def _organization() -> dict[str, Any]:
    return {
        "object": "organization",
        "id": ORGANIZATION,
        "name": ORGANIZATION_NAME,
        "domains": [],
        "metadata": {},
        "external_id": None,
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }


def membership_routes(api: Api) -> list[Route]:
    """The list, of a user's memberships or of an organization's."""
    context = api.context

    def listed(call: Call) -> dict[str, Any]:
        user, organization = call.query.get("user_id"), call.query.get("organization_id")
        if user is None and organization is None:
            raise unprocessable("user_id", "user_id or organization_id is required")
        statuses = call.query.get("statuses", "active").split(",")
        here = organization in (None, ORGANIZATION) and "active" in statuses
        with context.store.transaction(write=False) as connection:
            found = [
                _membership(account) | {"user": user_shown(connection, account)}
                for account in ACCOUNTS
                if here and user in (None, account.sub)
            ]
        return page(found, call.query)

    return [api.route("GET", "/user_management/organization_memberships", listed)]


def _membership(account: Account) -> dict[str, Any]:
    role = {"slug": role_of(account)}
    return {
        "object": "organization_membership",
        "id": derived_id("om", account.sub),
        "user_id": account.sub,
        "organization_id": ORGANIZATION,
        "organization_name": ORGANIZATION_NAME,
        "status": "active",
        "directory_managed": False,
        "role": role,
        "roles": [role],
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }


def permission_routes(api: Api) -> list[Route]:
    """List and create permissions, get a role."""
    context = api.context

    def list_permissions(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            return page(permissions(connection), call.query)

    def create_permission(call: Call) -> dict[str, Any]:
        slug, name, description = (call.body.get(field) for field in ("slug", "name", "description"))
        if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
            raise unprocessable("slug", "slug is lowercase letters, digits, hyphens, underscores, colons, periods")
        if not isinstance(name, str) or not 1 <= len(name) <= 200:
            raise unprocessable("name", "name is text of 1 to 200 characters")
        if not isinstance(description, str | None):
            raise unprocessable("description", "description is text")
        with context.store.transaction() as connection:
            if slug in {one["slug"] for one in permissions(connection)}:
                raise Refused(409, "permission_slug_conflict", f"A permission with the slug '{slug}' already exists.")
            connection.execute(
                "INSERT INTO workos_permissions VALUES (?, ?, ?, ?, ?)",
                (new_id("perm"), slug, name, description, context.now()),
            )
            return next(one for one in permissions(connection) if one["slug"] == slug)

    def get_role(call: Call) -> dict[str, Any]:
        if call.path["slug"] not in ROLES:
            raise not_found("Role", call.path["slug"])
        return _role(call.path["slug"])

    return [
        api.route("GET", "/authorization/permissions", list_permissions),
        api.route("POST", "/authorization/permissions", create_permission, status=201),
        api.route("GET", "/authorization/roles/{slug}", get_role),
    ]


def permissions(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every permission: the scopes first, which are part of the program (POSIX time 0), then those created here."""
    ours = [
        _permission(derived_id("perm", slug), slug, words, None, 0)
        for slug, words in SCOPES.items()
        if slug not in NOT_PERMISSIONS
    ]
    rows = connection.execute("SELECT * FROM workos_permissions ORDER BY rowid").fetchall()
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
