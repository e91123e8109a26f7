"""Agent registrations: the agents that came from outside and act for a human by a consent, and their credentials.

A registration is one human's one agent, as this authority's tokens name it in `act.sub`. WorkOS's revocation of one
is for good; here the human who owns the agent can lift it again at the console (docs/wire.md, standing).
"""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.context import Authority
from demo.auth_server.grants.access_token import read_access_token
from demo.auth_server.state.standing import revoke_standing, standing_of

from ..api import Api, Call
from ..events import tell
from ..refused import malformed, not_found
from ..shapes import ORGANIZATION, stamp
from ..user_sessions import find as find_user_session
from ..users import REVOKED_BY

PATH = "/agents/registrations"
INVALID = {"valid": False, "registration_id": None, "expires_at": None}


def registration_routes(api: Api) -> list[Route]:
    """Get and revoke a registration, validate a credential."""
    authority = api.authority

    def get(call: Call) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            return _registration(connection, call.path["id"])

    def revoke(call: Call) -> dict[str, Any]:
        id, now = call.path["id"], authority.now()
        with authority.store.transaction() as connection:
            before = _registration(connection, id)
            revoke_standing(connection, "agent", id, by=REVOKED_BY, now=now)
            if before["revoked_at"] is None:
                tell(connection, "agent.registration.revoked", {"agent_registration_id": id}, now)
            return _registration(connection, id)

    def validate(call: Call) -> dict[str, Any]:
        kind, credential, audience = (call.body.get(name) for name in ("type", "credential", "audience"))
        if kind not in ("access_token", "api_key"):
            raise malformed("type", "type is access_token or api_key")
        if not isinstance(credential, str) or not credential:
            raise malformed("credential", "credential is required")
        if kind == "api_key":
            return INVALID  # this authority gives agents no API keys, so none is valid
        with authority.store.transaction(write=False) as connection:
            return _validate(authority, connection, credential, audience)

    return [
        api.route("GET", f"{PATH}/{{id}}", get),
        api.route("POST", f"{PATH}/{{id}}/revoke", revoke),
        api.route("POST", "/agents/credentials/validate", validate),
    ]


def _validate(authority: Authority, connection: sqlite3.Connection, token: str, audience: str | None) -> dict[str, Any]:
    """Whether an agent's access token holds now: signature, expiry, audience where one is named, and standing."""
    claims = read_access_token(authority, token)
    if claims is None or not isinstance(claims.get("act"), dict) or authority.now() >= claims["exp"]:
        return INVALID
    session = find_user_session(authority, connection, str(claims.get("sid")))
    if session is None or session.ended_at is not None or session.session.agent_id != claims["act"].get("sub"):
        return INVALID
    if audience is not None and claims["aud"] != audience:
        return INVALID
    return {"valid": True, "registration_id": session.session.agent_id, "expires_at": stamp(claims["exp"])}


def _registration(connection: sqlite3.Connection, id: str) -> dict[str, Any]:
    row = connection.execute("SELECT * FROM authority_agents WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise not_found("Agent registration", id)
    revoked = standing_of(connection, "agent", id)
    made = stamp(row["created_at"])
    changed = made if revoked is None else stamp(revoked.at)
    return {
        "object": "agent_registration",
        "id": id,
        "agent_identity": {
            "id": id,
            "userland_user_id": row["sub"],
            "created_at": made,
            "updated_at": made,
        },
        "organization_id": ORGANIZATION,
        "status": "verified" if revoked is None else "revoked",
        "revoked_at": None if revoked is None else stamp(revoked.at),
        # Of WorkOS's three kinds the one in which the human confirms the agent at the authority itself.
        "kind": "service_auth",
        "claim": None,
        "created_at": made,
        "updated_at": changed,
    }
