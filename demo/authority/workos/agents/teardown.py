"""The end of agent instances: their live sessions are revoked first, so that the record says so, then all goes."""

from __future__ import annotations

import sqlite3

from ..events import tell
from ..shapes import ORGANIZATION, membership_of, stamp
from .agent_sessions import revoke_tree, select


def delete_instances(connection: sqlite3.Connection, where: str, value: str, now: float) -> None:
    """Delete the instances (`i`) that `where` speaks of, with their sessions."""
    for session in select(connection, where, value):
        revoke_tree(connection, session, now)
    rows = connection.execute(f"SELECT * FROM authority_workos_instances i WHERE {where}", (value,)).fetchall()
    for row in rows:
        connection.execute("DELETE FROM authority_workos_instances WHERE id = ?", (row["id"],))
        told = {
            "object": "agent_instance",
            "id": row["id"],
            "agent_blueprint_id": row["blueprint_id"],
            "organization_id": ORGANIZATION,
            "organization_membership_id": None if row["sub"] is None else membership_of(row["sub"]),
            "type": "autonomous" if row["sub"] is None else "delegated",
            "created_at": stamp(row["created_at"]),
            "updated_at": stamp(row["created_at"]),
        }
        tell(connection, "agent.instance.deleted", told, now)
