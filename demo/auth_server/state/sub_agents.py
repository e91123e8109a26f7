"""Sub-agents: whom an agent handed a part of its authority on to (RFC 8693). Each is known by a key of its own.

A sub-agent acts in sessions of the agent that the human consented to. What it has of one ends with that session and its
user, and with every agent above it: its tokens name them all (`act` in `act`). Alone it can be revoked like any agent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .sessions import Session, revocation_of
from .store import new_id

MOST_AT_ONCE: Final = 20
"""Sub-agents that may act in one session at a time, those of sub-agents among them."""
MOST_KEPT: Final = 100
"""Sub-agents of one session that are remembered, those that are over among them; of more the oldest are forgotten."""


@dataclass(frozen=True)
class SubAgent:
    """One sub-agent in one session, with what was handed on to it there last. It may act in another session, too: by
    the same key it is the same sub-agent of the same agent, as that one is the same in each session of its human.

    Args:
        parent: the agent above it: the one that the human consented to, or another sub-agent.
        key: the thumbprint of its key (RFC 7638).
        name: what it calls itself; nobody verified that.
        spending_limit: as `{"amount", "currency"}`; None where it may spend nothing.
        expires_at: when the last token that it was given ends, in POSIX seconds.
        until: when what was handed on last ends, of which scope and limit are; not later than `expires_at`.
    """

    id: str
    parent: str
    key: str
    name: str
    scope: tuple[str, ...]
    spending_limit: Mapping[str, Any] | None
    created_at: float
    expires_at: float
    until: float


class TooManySubAgents(Exception):
    """As many act in this session as may."""


def hand_on(
    connection: sqlite3.Connection,
    session: Session,
    *,
    parent: str,
    key: str,
    name: str,
    scope: tuple[str, ...],
    spending_limit: Mapping[str, Any] | None,
    expires_at: float,
    now: float,
) -> str:
    """Write down what an agent hands on, to the sub-agent with this key; the sub-agent's id, the same each time.

    Args:
        key: the thumbprint of the sub-agent's key (RFC 7638).
        now: POSIX seconds.

    Raises:
        TooManySubAgents: no other one may act in this session now.
    """
    known = find_by_key(connection, parent, key)
    acting = connection.execute(
        "SELECT count(*) FROM oauth_sub_agents a WHERE session_id = ? AND expires_at > ? AND id IS NOT ? AND NOT EXISTS"
        " (SELECT 1 FROM oauth_revocations r WHERE r.kind = 'agent' AND r.id = a.id)",
        (session.id, now, known),
    ).fetchone()[0]
    if acting >= MOST_AT_ONCE:
        raise TooManySubAgents
    id = known or new_id("agent")
    connection.execute(
        "INSERT INTO oauth_sub_agents (id, parent, key, name, sub, client_id, session_id, scope, spending_limit,"
        " created_at, expires_at, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id, session_id)"
        " DO UPDATE SET name = excluded.name, scope = excluded.scope, spending_limit = excluded.spending_limit,"
        " expires_at = max(expires_at, excluded.expires_at), until = excluded.until",
        (
            id,
            parent,
            key,
            name,
            session.sub,
            session.client_id,
            session.id,
            " ".join(scope),
            json.dumps(spending_limit),
            now,
            expires_at,
            expires_at,
        ),
    )
    # Whom a human revoked is known as long as the session is: forgotten, it would come back by the same key.
    connection.execute(
        "DELETE FROM oauth_sub_agents WHERE rowid IN (SELECT rowid FROM oauth_sub_agents a WHERE session_id = ?"
        " AND expires_at <= ? AND NOT EXISTS (SELECT 1 FROM oauth_revocations r WHERE r.kind = 'agent' AND r.id = a.id"
        " AND r.revoked_by IS NOT a.client_id) ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        (session.id, now, MOST_KEPT - MOST_AT_ONCE),
    )
    return id


def find_by_key(connection: sqlite3.Connection, parent: str, key: str) -> str | None:
    """The id of the sub-agent of this agent that has this key, in whichever session, or None."""
    row = connection.execute("SELECT id FROM oauth_sub_agents WHERE parent = ? AND key = ?", (parent, key)).fetchone()
    return None if row is None else str(row["id"])


def sub_agents_of(connection: sqlite3.Connection, session_id: str) -> tuple[SubAgent, ...]:
    """The sub-agents that act, or acted, in a session, the oldest first: so each comes after the one above it."""
    rows = connection.execute(
        "SELECT * FROM oauth_sub_agents WHERE session_id = ? ORDER BY created_at, rowid", (session_id,)
    )
    return tuple(
        SubAgent(
            row["id"],
            row["parent"],
            row["key"],
            row["name"],
            tuple(row["scope"].split()),
            json.loads(row["spending_limit"]),
            row["created_at"],
            row["expires_at"],
            row["until"],
        )
        for row in rows
    )


def line_of(connection: sqlite3.Connection, session: Session, agent_id: str) -> tuple[SubAgent, ...] | None:
    """The sub-agent with this id, then each sub-agent above it; none for the agent of the session itself. None where it
    is nobody who acts, or acted, in this session."""
    if agent_id == session.agent_id:
        return ()
    known = {one.id: one for one in sub_agents_of(connection, session.id)}
    line: list[SubAgent] = []
    while agent_id != session.agent_id:
        if agent_id not in known:
            return None
        line.append(known[agent_id])
        agent_id = line[-1].parent
    return tuple(line)


def describe(connection: sqlite3.Connection, session: Session) -> list[dict[str, Any]]:
    """The sub-agents of a session as the account API tells them. `revoked_at` is of what was revoked by itself; what
    ends them all is told of the session."""
    told = []
    for one in sub_agents_of(connection, session.id):
        revoked = revocation_of(connection, "agent", one.id)
        told.append(
            {
                "id": one.id,
                "parent": one.parent,
                "name": one.name,
                "scopes": list(one.scope),
                "spending_limit": one.spending_limit,
                "created_at": one.created_at,
                "expires_at": one.expires_at,
                "revoked_at": None if revoked is None else revoked.at,
            }
        )
    return told
