"""What an environment must have before the talk: the server as a resource, the scopes as permissions, the audit
schema. Asked twice it changes nothing the second time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from demo.client.workos.audit import ORDER_PLACED, TARGETS
from demo.client.workos.tenant import Tenant, WorkOSRefused
from deputize.http.sanitizing import safe_text

T = TypeVar("T")

SCOPES: Mapping[str, str] = {
    "shop:read": "See what the shop has",
    "orders:read": "See the orders that the agent placed for one, with their addresses",
    "orders:all": "See all of one's orders, those of one's other agents too",
    "shop:buy": "Buy, within the limit that was set",
    "user:read": "Read one's profile at the shop",
    "demo:mode": "Switch the demo's mode for the agent: shut it out of the shop, and let it back in",
    "audit:read": "Read the audit log of what was done for one",
    "sessions:manage": "Revoke an agent, and reinstate it",
}
"""The shop's scopes (docs/wire.md) as permissions."""


@dataclass(frozen=True)
class Prepared:
    """One thing an environment needs. `made` is True where it was not there before."""

    what: str
    made: bool


def prepare(tenant: Tenant, *servers: str) -> tuple[Prepared, ...]:
    """See that the environment has all that the talk needs.

    Args:
        servers: the MCP server's URL, exactly as its RFC 9728 metadata names it in `resource`; and its admin route's.

    Raises:
        WorkOSRefused, ServerUnreachable: as each says; what was made before stays.
    """
    done = [Prepared(f"resource {server}", _resource(tenant, server)) for server in servers]
    made = ensure_permissions(tenant, SCOPES)
    done += [Prepared(f"permission {slug}", slug in made) for slug in SCOPES]
    return (*done, Prepared(f"audit log schema {ORDER_PLACED}", ensure_order_schema(tenant)))


def ensure_permissions(tenant: Tenant, wanted: Mapping[str, str]) -> frozenset[str]:
    """See that these permissions exist, each a slug with its name. Returns those that were made."""
    known = permissions(tenant)
    missing = {slug: name for slug, name in wanted.items() if slug not in known}
    for slug, name in missing.items():
        _make_permission(tenant, slug, name)
    return frozenset(missing)


def ensure_order_schema(tenant: Tenant) -> bool:
    """See that the audit log takes orders: whether its schema had to be made."""
    missing = ORDER_PLACED not in audit_actions(tenant)
    if missing:
        _make_schema(tenant)
    return missing


def resources(tenant: Tenant) -> tuple[str, ...]:
    """The servers that AuthKit puts into `aud` (RFC 8707), by URL."""
    found = tenant.every(
        "WorkOS does not list MCP resource indicators",
        lambda sdk: sdk.user_management.list_authkit_oauth_resources(limit=100),
    )
    return tuple(safe_text(one.uri, one_line=True) for one in found)


def permissions(tenant: Tenant) -> frozenset[str]:
    """The slugs of the environment's permissions."""
    found = tenant.every(
        "WorkOS does not list permissions",
        lambda sdk: sdk.authorization.list_permissions(limit=100),
    )
    return frozenset(one.slug for one in found)


def role_permissions(tenant: Tenant, role: str) -> frozenset[str]:
    """The slugs of the permissions that an environment's role grants."""
    found = tenant.ask(
        f"WorkOS does not say what the role {role} grants", lambda sdk: sdk.authorization.get_environment_role(role)
    )
    return frozenset(safe_text(one, one_line=True) for one in found.permissions)


def audit_actions(tenant: Tenant) -> frozenset[str]:
    """The actions that the audit log has a schema for."""
    found = tenant.every(
        "WorkOS does not list audit log actions",
        lambda sdk: sdk.audit_logs.list_actions(limit=100),
    )
    return frozenset(one.name for one in found)


def _resource(tenant: Tenant, server: str) -> bool:
    if server in resources(tenant):
        return False
    return _unless_there(
        422,
        lambda: tenant.ask(
            f"WorkOS does not take {server} as an MCP resource indicator",
            lambda sdk: sdk.user_management.create_authkit_oauth_resource(uri=server),
        ),
        "already exists",
    )


def _make_permission(tenant: Tenant, slug: str, name: str) -> None:
    _unless_there(
        409,
        lambda: tenant.ask(
            f"WorkOS does not make the permission {slug}",
            lambda sdk: sdk.authorization.create_permission(slug=slug, name=name),
        ),
    )


def _make_schema(tenant: Tenant) -> None:
    from workos.audit_logs.models import AuditLogSchemaTargetInput

    targets = [AuditLogSchemaTargetInput(type=kind) for kind in TARGETS]
    tenant.ask(
        f"WorkOS does not take a schema for {ORDER_PLACED}",
        lambda sdk: sdk.audit_logs.create_schema(ORDER_PLACED, targets=targets),
    )


def _unless_there(status: int, make: Callable[[], T], words: str = "") -> bool:
    """Whether it was made; False where somebody else was faster."""
    try:
        make()
    except WorkOSRefused as refused:
        if refused.status != status or words not in refused.why:
            raise
        return False
    return True
