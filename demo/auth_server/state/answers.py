"""What humans said to requests that opened no session: no, or yes to one purchase. Kept for the human alone, so that a
trail of their consents has every answer; a yes that opened a session is in that session.

Of a purchase the amount is kept, and never where it goes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

TABLES: Final = """
CREATE TABLE oauth_answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sub TEXT NOT NULL, said TEXT NOT NULL, client_id TEXT NOT NULL,
    client_name TEXT NOT NULL, agent_id TEXT, session_id TEXT, scope TEXT NOT NULL, amount TEXT, at REAL NOT NULL);
CREATE INDEX oauth_answers_sub ON oauth_answers (sub, seq);
"""
OF_PURCHASES: Final = """
ALTER TABLE oauth_answers ADD COLUMN purchase INTEGER NOT NULL DEFAULT 0;
UPDATE oauth_answers SET purchase = session_id IS NOT NULL;
"""
"""Whether one purchase was asked for: a no to somebody else's has no session, and is no answer to a consent."""
MOST: Final = 200
"""Of one human: the newest."""


@dataclass(frozen=True)
class HumanAnswer:
    """One answer: to which software, and to which agent where the human has had one of it; for which scopes, up to
    which amount. `purchase`: it was asked to approve one purchase, within the grant `session_id`, which is None where
    it is somebody else's."""

    said: Literal["denied", "approved"]
    client_id: str
    client_name: str
    agent_id: str | None
    session_id: str | None
    scope: tuple[str, ...]
    amount: dict[str, Any] | None
    at: float
    purchase: bool


def note_answer(connection: sqlite3.Connection, sub: str, answer: HumanAnswer) -> None:
    """Keep a human's answer, and forget the oldest of too many."""
    connection.execute(
        "INSERT INTO oauth_answers (sub, said, client_id, client_name, agent_id, session_id, scope, amount, at,"
        " purchase) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            *(sub, answer.said, answer.client_id, answer.client_name, answer.agent_id, answer.session_id),
            *(" ".join(answer.scope), None if answer.amount is None else json.dumps(answer.amount), answer.at),
            answer.purchase,
        ),
    )
    connection.execute(
        "DELETE FROM oauth_answers WHERE sub = ? AND seq <="
        " (SELECT seq FROM oauth_answers WHERE sub = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (sub, sub, MOST),
    )


def answers_of(connection: sqlite3.Connection, sub: str) -> Sequence[HumanAnswer]:
    """What a human answered, oldest first."""
    rows = connection.execute("SELECT * FROM oauth_answers WHERE sub = ? ORDER BY seq", (sub,))
    return [
        HumanAnswer(
            row["said"],
            row["client_id"],
            row["client_name"],
            row["agent_id"],
            row["session_id"],
            tuple(row["scope"].split()),
            None if row["amount"] is None else json.loads(row["amount"]),
            row["at"],
            bool(row["purchase"]),
        )
        for row in rows
    ]
