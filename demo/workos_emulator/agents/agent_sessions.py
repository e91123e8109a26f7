"""The sessions of agent instances: what they look like, the chain they stand in, and whether they still stand."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from demo.auth_server.context import Authority

from ..events import tell
from ..refused import Refused
from ..shapes import ORGANIZATION, stamp
from ..user_sessions import find as find_user_session

DEEPEST = 32
"""Sessions in a chain of delegation, at most."""


@dataclass(frozen=True)
class AgentSession:
    """One session. `user_session_id` is the human's that it stands on, None where nobody deputized the agent."""

    id: str
    instance_id: str
    blueprint_id: str
    sub: str | None
    parent_id: str | None
    user_session_id: str | None
    intent: str | None
    expires_at: float
    revoked_at: float | None
    created_at: float
    updated_at: float

    def status(self, now: float) -> str:
        """`active`, `revoked` or `expired`; a revoked one stays so."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"

    def shown(self, now: float) -> dict[str, Any]:
        """WorkOS's object."""
        return {
            "object": "agent_instance_session",
            "id": self.id,
            "agent_instance_id": self.instance_id,
            "status": self.status(now),
            "expires_at": stamp(self.expires_at),
            "revoked_at": None if self.revoked_at is None else stamp(self.revoked_at),
            "created_at": stamp(self.created_at),
            "updated_at": stamp(self.updated_at),
        }


_COLUMNS = (
    "s.id, s.instance_id, i.blueprint_id, i.sub, s.parent_id, s.user_session_id, s.intent,"
    " s.expires_at, s.revoked_at, s.created_at, s.updated_at"
)


def select(connection: sqlite3.Connection, where: str = "1", *values: str) -> list[AgentSession]:
    """Sessions, oldest first. `where` speaks of a session as `s` and of its instance as `i`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM authority_workos_agent_sessions s"
        f" JOIN authority_workos_instances i ON i.id = s.instance_id WHERE {where} ORDER BY s.rowid",
        values,
    ).fetchall()
    return [AgentSession(**dict(row)) for row in rows]


def find(connection: sqlite3.Connection, id: str) -> AgentSession | None:
    """The session with this id, or None."""
    return next(iter(select(connection, "s.id = ?", id)), None)


def chain(connection: sqlite3.Connection, session: AgentSession) -> list[AgentSession]:
    """The session and those it was delegated from, the root last."""
    found = [session]
    while found[-1].parent_id is not None and len(found) <= DEEPEST:
        parent = find(connection, found[-1].parent_id)
        if parent is None:
            break
        found.append(parent)
    return found


def check_live(authority: Authority, connection: sqlite3.Connection, session: AgentSession) -> AgentSession:
    """See that the session, each it came from, and the human's that all stand on still hold; the root of the chain.

    Raises:
        Refused: 400 `session_revoked`, `session_expired` or `user_session_ended`.
    """
    now, links = authority.now(), chain(connection, session)
    if any(link.revoked_at is not None for link in links):
        raise Refused(400, "session_revoked", "The session backing this token has been revoked.")
    if now >= session.expires_at:
        raise Refused(400, "session_expired", "The session backing this token has expired.")
    root = links[-1]
    if root.user_session_id is not None:
        human = find_user_session(authority, connection, root.user_session_id)
        if human is None or human.status != "active":
            raise Refused(400, "user_session_ended", "The delegating user session has ended.")
    return root


def revoke_tree(connection: sqlite3.Connection, session: AgentSession, now: float) -> None:
    """Revoke a session and all that were delegated from it. One that has ended already keeps how it ended."""
    if session.status(now) == "active":
        connection.execute(
            "UPDATE authority_workos_agent_sessions SET revoked_at = ?, updated_at = ? WHERE id = ?",
            (now, now, session.id),
        )
        after = find(connection, session.id)
        assert after is not None, "it was just updated"
        tell(connection, "agent.instance.session.revoked", told(after, now), now)
    for child in select(connection, "s.parent_id = ?", session.id):
        revoke_tree(connection, child, now)


def told(session: AgentSession, now: float) -> dict[str, Any]:
    """A session as an event tells it: with its organization, without its status."""
    shown = session.shown(now) | {"organization_id": ORGANIZATION}
    del shown["status"]
    return shown
