"""The agent that one human has by a blueprint (an instance), and its sessions, as they are kept. A session ends with
the human's own, on which it is opened."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from demo.auth_server.administration import digest, new_id

from .api import not_found
from .events import record
from .shapes import ORGANIZATION, derived_id, stamp
from .users import UserSession

KEPT_SECONDS = 90 * 24 * 3600.0
"""A session that ended by itself is remembered this long."""
_SELECT = """
SELECT s.id, s.instance_id, i.blueprint_id, i.sub, s.user_session_id, s.intent, s.expires_at, s.revoked_at,
       s.created_at, s.updated_at
FROM workos_agent_sessions s JOIN workos_instances i ON i.id = s.instance_id WHERE s.id = ?
"""


@dataclass(frozen=True)
class AgentSession:
    """One session of the agent of the human `sub`, on that human's session."""

    id: str
    instance_id: str
    blueprint_id: str
    sub: str
    user_session_id: str
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

    def recorded(self, now: float) -> dict[str, Any]:
        """As an event names it: with its organization, without its status."""
        shown = self.shown(now) | {"organization_id": ORGANIZATION}
        del shown["status"]
        return shown


def find_agent_session(connection: sqlite3.Connection, id: str) -> AgentSession | None:
    """The session with this id, or None."""
    row = connection.execute(_SELECT, (id,)).fetchone()
    return None if row is None else AgentSession(**dict(row))


def known_agent_session(connection: sqlite3.Connection, id: str) -> AgentSession:
    """The session with this id.

    Raises:
        Refused: 404.
    """
    session = find_agent_session(connection, id)
    if session is None:
        raise not_found("Agent instance session", id)
    return session


def open_agent_session(
    connection: sqlite3.Connection,
    blueprint: dict[str, Any],
    human: UserSession,
    refresh_token: str,
    intent: str | None,
    now: float,
) -> tuple[AgentSession, bool]:
    """The session that a mint opens, and whether its instance is new."""
    instance_id, new_instance = _instance(connection, blueprint["id"], human.session.sub, now)
    connection.execute("DELETE FROM workos_agent_sessions WHERE expires_at < ?", (now - KEPT_SECONDS,))
    settings, id = blueprint["session_settings"], new_id("agent_instance_session")
    expires_at = now + min(settings["refresh_token_ttl_seconds"], settings["max_age_seconds"])
    connection.execute(
        "INSERT INTO workos_agent_sessions (id, instance_id, user_session_id, refresh_digest, intent,"
        " expires_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (id, instance_id, human.session.id, digest(refresh_token), intent, expires_at, now, now),
    )
    return known_agent_session(connection, id), new_instance


def revoke_agent_session(connection: sqlite3.Connection, id: str, now: float) -> AgentSession:
    """Revoke a session; as it is then. One that has ended already keeps how it ended.

    Raises:
        Refused: 404.
    """
    if known_agent_session(connection, id).status(now) == "active":
        connection.execute(
            "UPDATE workos_agent_sessions SET revoked_at = ?, updated_at = ? WHERE id = ?", (now, now, id)
        )
        recorded = known_agent_session(connection, id).recorded(now)
        record(connection, "agent.instance.session.revoked", recorded, now)
    return known_agent_session(connection, id)


def _instance(connection: sqlite3.Connection, blueprint_id: str, sub: str, now: float) -> tuple[str, bool]:
    """The instance of a blueprint for this human, made with its first token; and whether it is new."""
    id = new_id("agent_instance")
    made = connection.execute(
        "INSERT OR IGNORE INTO workos_instances (id, blueprint_id, sub, created_at) VALUES (?, ?, ?, ?)",
        (id, blueprint_id, sub, now),
    )
    if not made.rowcount:
        row = connection.execute(
            "SELECT id FROM workos_instances WHERE blueprint_id = ? AND sub = ?", (blueprint_id, sub)
        ).fetchone()
        return str(row["id"]), False
    shown = {
        "object": "agent_instance",
        "id": id,
        "agent_blueprint_id": blueprint_id,
        "organization_id": ORGANIZATION,
        "organization_membership_id": derived_id("om", sub),
        "type": "delegated",
        "created_at": stamp(now),
        "updated_at": stamp(now),
    }
    record(connection, "agent.instance.created", shown, now)
    return id, True
