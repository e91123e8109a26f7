"""`agents`: an agent's tokens, minted on a human's session, validated live, and the end of an agent's session.

An access token is in WorkOS's convention: `sub` is the agent, `act.sub` the human who deputized it. RFC 8693 section
4.1 has it the other way round, as the authorization server's own tokens do. `sub_profile` distinguishes them, and
their audience is the WorkOS environment, so no shop takes one for the other.

Of the four types of WorkOS's mint this one is answered: `user_delegated`.
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.administration import Context, account_by_sub, new_id, read_access_token

from .agent_sessions import AgentSession, find_agent_session, open_agent_session, revoke_agent_session
from .api import Api, Call, Refused, malformed
from .blueprints import PATH, find_blueprint
from .events import record
from .organizations import granted_to, role_of
from .shapes import CLIENT_ID, ORGANIZATION, stamp
from .users import UserSession, find_user_session

LONGEST_INTENT = 255
TYPE = "at+jwt"
AGENT, HUMAN = "ai_agent", "user"


def agent_token_routes(api: Api) -> list[Route]:
    """Mint a token, which opens a session; validate one live; revoke a session."""
    context = api.context

    def mint(call: Call) -> dict[str, Any]:
        intent, now = _intent(call.body), context.now()
        with context.store.transaction() as connection:
            blueprint = find_blueprint(connection, call.path["id"])
            human = _delegating(context, connection, blueprint, call.body)
            permissions = _permitted(blueprint, human.session.sub)
            refresh_token = secrets.token_urlsafe(32)
            session, new_instance = open_agent_session(connection, blueprint, human, refresh_token, intent, now)
            created = session.recorded(now) | {"permission_slugs": permissions}
            record(connection, "agent.instance.session.created", created, now)
        lasts = min(blueprint["session_settings"]["access_token_ttl_seconds"], int(session.expires_at - now))
        return {
            "access_token": _sign(context, session, permissions, human.session.auth_time, lasts),
            "token_type": "Bearer",
            "expires_in": lasts,
            "refresh_token": refresh_token,
            "agent_instance_id": session.instance_id,
            "new_instance": new_instance,
            "agent_instance_session_id": session.id,
            "permissions": permissions,
        }

    def validate(call: Call) -> dict[str, Any]:
        token = _text(call.body, "agent_access_token")
        with context.store.transaction(write=False) as connection:
            blueprint = find_blueprint(connection, call.path["id"])
            claims = _read(context, token)
            session = None if claims is None else find_agent_session(connection, str(claims.get("sid")))
            if claims is None or session is None or session.blueprint_id != blueprint["id"]:
                raise Refused(400, "invalid_agent_access_token", "The provided agent access token is invalid.")
            _check_live(context, connection, session)
        return {
            "valid": True,
            "agent_instance_id": session.instance_id,
            "agent_instance_session_id": session.id,
            "organization_id": ORGANIZATION,
            "permissions": claims["permissions"],
            "intent": session.intent,
            "acting_user_id": session.sub,
            "session_expires_at": stamp(session.expires_at),
        }

    def revoke(call: Call) -> dict[str, Any]:
        now = context.now()
        with context.store.transaction() as connection:
            return revoke_agent_session(connection, call.path["id"], now).shown(now)

    return [
        api.route("POST", f"{PATH}/{{id}}/tokens", mint),
        api.route("POST", f"{PATH}/{{id}}/tokens/validate", validate),
        api.route("POST", "/agents/sessions/{id}/revoke", revoke),
    ]


def _check_live(context: Context, connection: sqlite3.Connection, session: AgentSession) -> None:
    """See that the session holds, and the human's that it stands on.

    Raises:
        Refused: 400 `session_revoked`, `session_expired` or `user_session_ended`.
    """
    if session.revoked_at is not None:
        raise Refused(400, "session_revoked", "The session backing this token has been revoked.")
    if context.now() >= session.expires_at:
        raise Refused(400, "session_expired", "The session backing this token has expired.")
    human = find_user_session(context, connection, session.user_session_id)
    if human is None or human.status != "active":
        raise _user_session_ended()


def _delegating(
    context: Context, connection: sqlite3.Connection, blueprint: dict[str, Any], body: dict[str, Any]
) -> UserSession:
    """The session of the human who deputizes the agent by this request.

    Raises:
        Refused: 400 for what is presented, 403 for what the blueprint does not allow.
    """
    if body.get("type") != "user_delegated":
        raise malformed("type", "type is user_delegated: the others are not answered here")
    claims = read_access_token(context, _text(body, "user_access_token"))
    human = None if claims is None else find_user_session(context, connection, str(claims.get("sid")))
    # An agent's token carries `act`: anyone who acts for a human may not deputize somebody else in the human's name.
    if claims is None or human is None or "act" in claims or context.now() >= claims["exp"]:
        raise Refused(400, "invalid_user_access_token", "The provided user access token is invalid.")
    if human.status != "active":
        raise _user_session_ended()
    if context.now() >= human.session.auth_time + blueprint["session_settings"]["max_age_seconds"]:
        raise Refused(400, "max_age_exceeded", "The delegating authentication is older than the blueprint allows.")
    if "delegated" not in blueprint["invocable_as"]["instance_types"]:
        raise Refused(403, "instance_type_not_invocable", "This blueprint makes no delegated instances.")
    organizations = blueprint["invocable_by"]["organization_ids"]
    if organizations and ORGANIZATION not in organizations:
        raise Refused(403, "organization_not_invocable", "This organization may not invoke the blueprint.")
    return human


def _permitted(blueprint: dict[str, Any], sub: str) -> list[str]:
    """What an agent may do now: the blueprint's ceiling, no more than the human it acts for may hand on.

    Raises:
        Refused: 403 where the human's role may not invoke this blueprint.
    """
    account = account_by_sub(sub)
    if account is None:
        raise Refused(403, "user_not_member_of_organization", "The user is not a member of the organization.")
    roles = blueprint["invocable_by"]["role_slugs"]
    if roles and role_of(account) not in roles:
        raise Refused(403, "role_not_invocable", "The user's role may not invoke this agent blueprint.")
    return [slug for slug in blueprint["permissions"] if slug in granted_to(account)]


def _sign(context: Context, session: AgentSession, permissions: list[str], auth_time: float, seconds: int) -> str:
    """An access token in `session`, good for `seconds` from now."""
    now = int(context.now())
    claims: dict[str, Any] = {
        "iss": context.issuer,
        "sub": session.instance_id,
        "sub_profile": AGENT,
        "aud": CLIENT_ID,
        "sid": session.id,
        "jti": new_id("token"),
        "org_id": ORGANIZATION,
        "permissions": permissions,
        "iat": now,
        "exp": now + seconds,
        "act": {"sub": session.sub, "sub_profile": HUMAN},
        "auth_time": int(auth_time),
    }
    if session.intent is not None:
        claims["intent"] = {"text": session.intent}
    return context.keys.sign(claims, typ=TYPE)


def _read(context: Context, token: str) -> dict[str, Any] | None:
    """The claims of an agent token that this server signed and that has not expired; None for anything else."""
    claims = context.keys.read(token, typ=TYPE)
    if claims is None or claims.get("sub_profile") != AGENT or claims.get("iss") != context.issuer:
        return None
    return claims if context.now() < claims["exp"] else None


def _user_session_ended() -> Refused:
    return Refused(400, "user_session_ended", "The delegating user session has ended.")


def _intent(body: dict[str, Any]) -> str | None:
    intent = body.get("intent")
    if intent is not None and not (isinstance(intent, str) and 1 <= len(intent) <= LONGEST_INTENT):
        raise malformed("intent", f"intent is text of 1 to {LONGEST_INTENT} characters")
    return intent


def _text(body: dict[str, Any], field: str) -> str:
    given = body.get(field)
    if not isinstance(given, str) or not given:
        raise malformed(field, f"{field} is required")
    return given
