"""Minting an agent's tokens, and the live validation that sees a revocation before the token expires."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.state.store import digest, new_id

from ..api import Api, Call
from ..events import tell
from ..refused import Refused, malformed
from ..shapes import ORGANIZATION, stamp
from .agent_sessions import AgentSession, check_live, find, told
from .agent_token import read_agent_token, sign_agent_token
from .blueprints import PATH, find_blueprint
from .grants import Ground, ground, permitted, session_of
from .instances import ensure_instance

LONGEST_INTENT = 255


def token_routes(api: Api) -> list[Route]:
    """Mint and validate."""
    authority = api.authority

    def mint(call: Call) -> dict[str, Any]:
        intent, now = _intent(call.body), authority.now()
        with authority.store.transaction() as connection:
            blueprint = find_blueprint(connection, call.path["id"])
            on = ground(authority, connection, blueprint, call.body)
            allowed = blueprint["invocable_by"]["organization_ids"]
            if allowed and ORGANIZATION not in allowed:
                raise Refused(403, "organization_not_invocable", "This organization may not invoke the blueprint.")
            permissions = permitted(blueprint, on.sub)
            refresh_token = secrets.token_urlsafe(32)
            session, new_instance = _open(connection, blueprint, on, refresh_token, intent, now)
            if on.renewed is None:
                created = told(session, now) | {"permission_slugs": permissions}
                tell(connection, "agent.instance.session.created", created, now)
            lasts = min(blueprint["session_settings"]["access_token_ttl_seconds"], int(session.expires_at - now))
            return {
                "access_token": sign_agent_token(
                    authority, session, permissions=permissions, auth_time=on.auth_time, seconds=lasts
                ),
                "token_type": "Bearer",
                "expires_in": lasts,
                "refresh_token": refresh_token,
                "agent_instance_id": session.instance_id,
                "new_instance": new_instance,
                "agent_instance_session_id": session.id,
                "permissions": permissions,
            }

    def validate(call: Call) -> dict[str, Any]:
        token = call.body.get("agent_access_token")
        if not isinstance(token, str) or not token:
            raise malformed("agent_access_token", "agent_access_token is required")
        with authority.store.transaction(write=False) as connection:
            blueprint = find_blueprint(connection, call.path["id"])
            session = session_of(authority, connection, blueprint, token)
            check_live(authority, connection, session)
            claims = read_agent_token(authority, token) or {}
        return {
            "valid": True,
            "agent_instance_id": session.instance_id,
            "agent_instance_session_id": session.id,
            "organization_id": ORGANIZATION,
            "permissions": claims["permissions"],
            "intent": claims.get("intent", {}).get("text"),
            "acting_user_id": session.sub,
            "session_expires_at": stamp(session.expires_at),
        }

    return [
        api.route("POST", f"{PATH}/{{id}}/tokens", mint),
        api.route("POST", f"{PATH}/{{id}}/tokens/validate", validate),
    ]


def _open(
    connection: sqlite3.Connection,
    blueprint: dict[str, Any],
    on: Ground,
    refresh_token: str,
    intent: str | None,
    now: float,
) -> tuple[AgentSession, bool]:
    """The session that a mint opens or renews, and whether its instance is new. A refresh token works once, since
    its successor takes its place."""
    settings = blueprint["session_settings"]
    lasts_until = now + settings["refresh_token_ttl_seconds"]
    expires_at = lasts_until if on.until is None else min(lasts_until, on.until)
    if on.until is None:
        expires_at = min(expires_at, now + settings["max_age_seconds"])
    if on.renewed is not None:
        id, new_instance = on.renewed.id, False
        connection.execute(
            "UPDATE authority_workos_agent_sessions SET refresh_digest = ?,"
            " intent = coalesce(?, intent), expires_at = ?, updated_at = ? WHERE id = ?",
            (digest(refresh_token), intent, expires_at, now, id),
        )
    else:
        id = new_id("agent_instance_session")
        instance_id, new_instance = (
            ensure_instance(connection, blueprint["id"], on.sub, now)
            if on.parent is None
            else (on.parent.instance_id, False)
        )
        connection.execute(
            "INSERT INTO authority_workos_agent_sessions VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)",
            (
                id,
                instance_id,
                None if on.parent is None else on.parent.id,
                on.user_session_id,
                digest(refresh_token),
                intent,
                expires_at,
                now,
                now,
            ),
        )
    session = find(connection, id)
    assert session is not None, "it was just written"
    return session, new_instance


def _intent(body: dict[str, Any]) -> str | None:
    intent = body.get("intent")
    if intent is not None and not (isinstance(intent, str) and 1 <= len(intent) <= LONGEST_INTENT):
        raise malformed("intent", f"intent is text of 1 to {LONGEST_INTENT} characters")
    return intent
