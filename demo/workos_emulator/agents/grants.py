"""What a new agent session may rest on: a human's access token, nobody's, the agent's own token, or a refresh."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from demo.auth_server.context import Authority
from demo.auth_server.grants.access_token import read_access_token
from demo.auth_server.state.accounts import Account, account_by_sub
from demo.auth_server.state.store import digest

from ..organizations import check_organization
from ..permissions import granted_to, role_of
from ..refused import Refused, malformed
from ..user_sessions import UserSession
from ..user_sessions import find as find_user_session
from .agent_sessions import DEEPEST, AgentSession, chain, check_live, select
from .agent_token import read_agent_token


@dataclass(frozen=True)
class Ground:
    """What a session is minted on.

    Args:
        sub: the human; None for an agent that acts for itself.
        user_session_id: the human's session, where this is the first session of a chain.
        parent: the session it is delegated from, None for a first one.
        renewed: the session that is refreshed, None for a new one.
        auth_time: when the human signed in; None without a human.
        until: when the chain ends at the latest, in POSIX seconds.
    """

    sub: str | None
    user_session_id: str | None = None
    parent: AgentSession | None = None
    renewed: AgentSession | None = None
    auth_time: float | None = None
    until: float | None = None


def ground(
    authority: Authority, connection: sqlite3.Connection, blueprint: dict[str, Any], body: dict[str, Any]
) -> Ground:
    """Judge what a mint request presents.

    Raises:
        Refused: 400 for what is presented, 403 for what the blueprint does not allow.
    """
    kinds = {"user_delegated": _human, "autonomous": _nobody, "agent_delegated": _agent, "refresh": _refresh}
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise malformed("type", f"type is one of: {', '.join(kinds)}")
    found = kinds[kind](authority, connection, blueprint, body)
    wanted = "autonomous" if found.sub is None else "delegated"
    if wanted not in blueprint["invocable_as"]["instance_types"]:
        raise Refused(403, "instance_type_not_invocable", f"This blueprint makes no {wanted} instances.")
    return found


def permitted(blueprint: dict[str, Any], sub: str | None) -> list[str]:
    """What an agent may do now: the blueprint's ceiling, no more than the human it acts for may hand on.

    Raises:
        Refused: 403 where the human's role may not call this blueprint up.
    """
    ceiling: list[str] = blueprint["permissions"]
    if sub is None:
        return ceiling
    account = account_by_sub(sub)
    if account is None:
        raise Refused(403, "user_not_member_of_organization", "The user is not a member of the organization.")
    roles = blueprint["invocable_by"]["role_slugs"]
    if roles and role_of(account) not in roles:
        raise Refused(403, "role_not_invocable", "The user's role may not invoke this agent blueprint.")
    return [slug for slug in ceiling if slug in granted_to(account)]


def _human(
    authority: Authority, connection: sqlite3.Connection, blueprint: dict[str, Any], body: dict[str, Any]
) -> Ground:
    claims = read_access_token(authority, _text(body, "user_access_token"))
    account, session = _whose(authority, connection, claims)
    # An agent's token carries `act`: whoever acts for a human may not deputize somebody else in the human's name.
    if claims is None or account is None or session is None or "act" in claims or authority.now() >= claims["exp"]:
        raise Refused(400, "invalid_user_access_token", "The provided user access token is invalid.")
    if session.status != "active":
        raise Refused(400, "user_session_ended", "The delegating user session has ended.")
    signed_in = session.session.auth_time
    if authority.now() >= signed_in + blueprint["session_settings"]["max_age_seconds"]:
        raise _too_old()
    return Ground(account.sub, user_session_id=session.session.id, auth_time=signed_in)


def _whose(
    authority: Authority, connection: sqlite3.Connection, claims: dict[str, Any] | None
) -> tuple[Account | None, UserSession | None]:
    if claims is None or not isinstance(claims.get("sid"), str):
        return None, None
    return account_by_sub(str(claims.get("sub"))), find_user_session(authority, connection, claims["sid"])


def _nobody(_: Authority, __: sqlite3.Connection, ___: dict[str, Any], body: dict[str, Any]) -> Ground:
    check_organization(_text(body, "organization_id"))
    return Ground(None)


def _agent(
    authority: Authority, connection: sqlite3.Connection, blueprint: dict[str, Any], body: dict[str, Any]
) -> Ground:
    presented = session_of(authority, connection, blueprint, _text(body, "agent_access_token"))
    try:
        root = check_live(authority, connection, presented)
    except Refused as refused:
        raise invalid_agent_token() from refused
    if len(chain(connection, presented)) > DEEPEST:
        raise Refused(400, "chain_depth_exceeded", "The agent delegation chain is too deep.")
    return _going_on(authority, connection, blueprint, root, Ground(presented.sub, parent=presented))


def _refresh(
    authority: Authority, connection: sqlite3.Connection, blueprint: dict[str, Any], body: dict[str, Any]
) -> Ground:
    found = select(connection, "s.refresh_digest = ?", digest(_text(body, "refresh_token")))
    if not found or found[0].blueprint_id != blueprint["id"]:
        raise Refused(400, "invalid_refresh_token", "The provided refresh token is invalid.")
    root = check_live(authority, connection, found[0])
    return _going_on(authority, connection, blueprint, root, Ground(found[0].sub, renewed=found[0]))


def _going_on(
    authority: Authority,
    connection: sqlite3.Connection,
    blueprint: dict[str, Any],
    root: AgentSession,
    on: Ground,
) -> Ground:
    """Neither a link nor a refresh makes a chain last longer than its root may."""
    until = root.created_at + blueprint["session_settings"]["max_age_seconds"]
    if until - authority.now() < 1:
        raise _too_old()
    human = None
    if root.user_session_id is not None:
        human = find_user_session(authority, connection, root.user_session_id)
    auth_time = None if human is None else human.session.auth_time
    return Ground(on.sub, parent=on.parent, renewed=on.renewed, auth_time=auth_time, until=until)


def session_of(
    authority: Authority, connection: sqlite3.Connection, blueprint: dict[str, Any], token: str
) -> AgentSession:
    """The session behind an agent token of this blueprint; that it is live is not said.

    Raises:
        Refused: 400 `invalid_agent_access_token`: not ours, expired, another blueprint's, or its session is gone.
    """
    claims = read_agent_token(authority, token)
    found = [] if claims is None else select(connection, "s.id = ?", str(claims.get("sid")))
    if claims is None or not found or found[0].instance_id != claims["sub"]:
        raise invalid_agent_token()
    if found[0].blueprint_id != blueprint["id"]:
        raise invalid_agent_token()
    return found[0]


def invalid_agent_token() -> Refused:
    """An agent token that is not good here; why is not said."""
    return Refused(400, "invalid_agent_access_token", "The provided agent access token is invalid.")


def _too_old() -> Refused:
    return Refused(400, "max_age_exceeded", "The delegating authentication is older than the blueprint allows.")


def _text(body: dict[str, Any], field: str) -> str:
    given = body.get(field)
    if not isinstance(given, str) or not given:
        raise malformed(field, f"{field} is required")
    return given
