"""`organization_memberships`: every account is a member of the one organization, by the role it has there."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from demo.auth_server.state.accounts import ACCOUNTS, Account

from .api import Api, Call
from .paging import page
from .permissions import role_of
from .refused import unprocessable
from .shapes import ORGANIZATION, ORGANIZATION_NAME, membership_of, stamp
from .users import user_shown


def membership_routes(api: Api) -> list[Route]:
    """The list, of a user's memberships or of an organization's."""
    authority = api.authority

    def listed(call: Call) -> dict[str, Any]:
        user, organization = call.query.get("user_id"), call.query.get("organization_id")
        if user is None and organization is None:
            raise unprocessable("user_id", "user_id or organization_id is required")
        statuses = call.query.get("statuses", "active").split(",")
        here = organization in (None, ORGANIZATION) and "active" in statuses
        with authority.store.transaction(write=False) as connection:
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
        "id": membership_of(account.sub),
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
