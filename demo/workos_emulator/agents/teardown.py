"""The end of agent instances: their live sessions are revoked first, so that the record says so, then all goes."""

from __future__ import annotations

import sqlite3

from ..events import tell
from ..shapes import instance_shown
from .agent_sessions import revoke_tree, select


def delete_instances(connection: sqlite3.Connection, where: str, value: str, now: float) -> None:
    """Delete the instances (`i`) that `where` speaks of, with their sessions."""
    for session in select(connection, where, value):
        revoke_tree(connection, session, now)
    rows = connection.execute(f"SELECT * FROM authority_workos_instances i WHERE {where}", (value,)).fetchall()
    for row in rows:
        connection.execute("DELETE FROM authority_workos_instances WHERE id = ?", (row["id"],))
        tell(connection, "agent.instance.deleted", instance_shown(row), now)
