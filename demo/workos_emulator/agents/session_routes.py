"""The routes of agent instance sessions: list, get, and revoke."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from ..api import Api, Call
from ..paging import page
from ..refused import not_found
from ..shapes import ORGANIZATION
from .agent_sessions import AgentSession, find, revoke_tree, select

PATH = "/agents/sessions"


def session_routes(api: Api) -> list[Route]:
    """List, get and revoke."""
    authority = api.authority

    def listed(call: Call) -> dict[str, Any]:
        asked = {
            "i.blueprint_id = ?": call.query.get("agent_blueprint_id"),
            "s.instance_id = ?": call.query.get("agent_instance_id"),
        }
        named = {where: value for where, value in asked.items() if value is not None}
        with authority.store.transaction(write=False) as connection:
            found = select(connection, " AND ".join(["1", *named]), *named.values())
        here = call.query.get("organization_id") in (None, ORGANIZATION)
        return page([one.shown(authority.now()) for one in found if here], call.query)

    def known(session: AgentSession | None, id: str) -> AgentSession:
        if session is None:
            raise not_found("Agent instance session", id)
        return session

    def get(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            return known(find(connection, call.path["id"]), call.path["id"]).shown(authority.now())

    def revoke(call: Call) -> dict[str, Any]:
        id, now = call.path["id"], authority.now()
        with authority.store.transaction() as connection:
            revoke_tree(connection, known(find(connection, id), id), now)
            return known(find(connection, id), id).shown(now)

    return [
        api.route("GET", PATH, listed),
        api.route("GET", f"{PATH}/{{id}}", get),
        api.route("POST", f"{PATH}/{{id}}/revoke", revoke),
    ]
