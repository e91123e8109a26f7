"""`authorized_applications`: the software that a human let act for them, by the consents that still stand."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.context import Authority
from demo.auth_server.state.accounts import account_by_sub
from demo.auth_server.state.standing import revoke_session

from .api import Api, Call
from .paging import page
from .refused import not_found
from .shapes import derived_id, stamp
from .user_sessions import UserSession, sessions
from .users import REVOKED_BY

PATH = "/user_management/users/{id}/authorized_applications"


def application_routes(api: Api) -> list[Route]:
    """List, and take back. A client's id may be a URL (client ID metadata documents), slashes and all."""
    authority = api.authority

    def listed(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            found = [_authorized(authority, one) for one in _standing(authority, connection, call.path["id"])]
        return page(found, call.query)

    def delete(call: Call) -> None:
        named = call.path["application"]
        with authority.store.transaction() as connection:
            ended = [
                one.session
                for one in _standing(authority, connection, call.path["id"])
                if named in (one.session.client_id, _id(one.session.client_id))
            ]
            if not ended:
                raise not_found("Authorized application", named)
            for session in ended:
                revoke_session(connection, session.id, kind="session", by=REVOKED_BY, now=authority.now())

    return [api.route("GET", PATH, listed), api.route("DELETE", f"{PATH}/{{application:path}}", delete)]


def _standing(authority: Authority, connection: sqlite3.Connection, sub: str) -> list[UserSession]:
    """The active sessions in which an agent acts for this human, one for each consent; oldest first."""
    if account_by_sub(sub) is None:
        raise not_found("User", sub)
    found = sessions(authority, connection, sub)
    return [one for one in found if one.status == "active" and one.session.agent_id is not None]


def _authorized(authority: Authority, one: UserSession) -> dict[str, Any]:
    session = one.session
    return {
        "object": "authorized_connect_application",
        "id": session.consent_id,
        "granted_scopes": list(session.scope),
        "oauth_resource": session.resources[0] if session.resources else None,
        "application": _application(authority, session.client_id, session.created_at),
    }


def _application(authority: Authority, client_id: str, seen_at: float) -> dict[str, Any]:
    client = authority.client(client_id)
    uris = () if client is None else client.redirect_uris
    return {
        "object": "connect_application",
        "id": _id(client_id),
        "client_id": client_id,
        "name": client_id if client is None else client.name,
        "description": None,
        "application_type": "oauth",
        "scopes": [] if client is None else sorted(client.scopes),
        "redirect_uris": [{"uri": uri, "default": number == 0} for number, uri in enumerate(uris)],
        "cors_origins": [],
        "uses_pkce": True,
        "is_first_party": client is not None and client.source == "known",
        "was_dynamically_registered": client is not None and client.source == "registered",
        "organization_id": None,
        # When a client became known is not kept; when it was first let in by this consent is.
        "created_at": stamp(seen_at),
        "updated_at": stamp(seen_at),
    }


def _id(client_id: str) -> str:
    return derived_id("conn_app", client_id)
