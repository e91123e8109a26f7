"""Agent access tokens in WorkOS's convention: `sub` is the agent, and `act.sub` the human who deputized it.

RFC 8693 section 4.1 has it the other way round, as this authority's own tokens do. They are told apart by
`sub_profile`, and their audience is the WorkOS environment, so no shop takes one for the other.
"""

from __future__ import annotations

from typing import Any

from demo.auth_server.context import Authority
from demo.auth_server.state.store import new_id

from ..shapes import CLIENT_ID, ORGANIZATION
from .agent_sessions import AgentSession

TYPE = "at+jwt"
AGENT, HUMAN = "ai_agent", "user"


def sign_agent_token(
    authority: Authority,
    session: AgentSession,
    *,
    permissions: list[str],
    auth_time: float | None,
    seconds: int,
) -> str:
    """An access token in `session`, good for `seconds` from now."""
    now = int(authority.now())
    claims: dict[str, Any] = {
        "iss": authority.issuer,
        "sub": session.instance_id,
        "sub_profile": AGENT,
        "aud": CLIENT_ID,
        "sid": session.id,
        "jti": new_id("token"),
        "org_id": ORGANIZATION,
        "permissions": permissions,
        "iat": now,
        "exp": now + seconds,
    }
    if session.intent is not None:
        claims["intent"] = {"text": session.intent}
    if session.sub is not None:
        claims["act"] = {"sub": session.sub, "sub_profile": HUMAN}
    if auth_time is not None:
        claims["auth_time"] = int(auth_time)
    return authority.keys.sign(claims, typ=TYPE)


def read_agent_token(authority: Authority, token: str) -> dict[str, Any] | None:
    """The claims of an agent token that this authority signed and that has not expired; None for anything else."""
    claims = authority.keys.read(token, typ=TYPE)
    if claims is None or claims.get("sub_profile") != AGENT or claims.get("iss") != authority.issuer:
        return None
    return claims if authority.now() < claims["exp"] else None
