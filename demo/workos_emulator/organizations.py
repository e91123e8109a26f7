"""`organizations`: the one that every account belongs to, because audit logs and agents need one to be in."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from .api import Api, Call
from .paging import page
from .refused import not_found
from .shapes import ORGANIZATION, ORGANIZATION_NAME, stamp


def organization_routes(api: Api) -> list[Route]:
    """List and get."""

    def listed(call: Call) -> dict[str, Any]:
        return page([_organization()], call.query)

    def get(call: Call) -> dict[str, Any]:
        check_organization(call.path["id"])
        return _organization()

    return [api.route("GET", "/organizations", listed), api.route("GET", "/organizations/{id}", get)]


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
