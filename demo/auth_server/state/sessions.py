"""Consents, the sessions they open, and their revocation: what a human granted, to which software, through which agent.

A consent is a record and never changes; a session holds until it is revoked. How the human was asked is not written
here, so that every grant opens sessions in the same way. Agents and users are revoked until they are reinstated.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .approvals import void_of
from .store import new_id

Kind = Literal["session", "agent", "user"]
"""What a human can revoke."""
KEPT_SECONDS = 400 * 24 * 3600.0
"""A session that is over is remembered this long, so that a year's orders can be traced to the consent behind each."""
_PRUNED_AT_ONCE = 20
"""By each new session: more than it adds, so that those that are over for long do not grow in number."""


@dataclass(frozen=True)
class Session:
    """One session with the consent that opened it. `agent_id` is None for the human's own console. `key` is the
    thumbprint of the one key that its first token was bound to (RFC 9449); None of a session of bearer tokens, and of a
    client with credentials of its own."""

    id: str
    consent_id: str
    sub: str
    client_id: str
    agent_id: str | None
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    authorization_details: tuple[dict[str, Any], ...]
    auth_time: float
    created_at: float
    revoked_at: float | None
    revoked_by_kind: str | None
    key: str | None

    @property
    def spending_limit(self) -> dict[str, Any] | None:
        """The limit the human set, as `{"amount", "currency"}`, or None."""
        return next((detail["limit"] for detail in self.authorization_details), None)

    def grants(
        self, scope: tuple[str, ...], resources: tuple[str, ...], authorization_details: tuple[dict[str, Any], ...]
    ) -> bool:
        """Whether it grants exactly this, so that a consent to it can be a repetition of the one that opened it."""
        return (self.scope, self.resources, self.authorization_details) == (scope, resources, authorization_details)


SELECT = """
SELECT s.id, s.consent_id, c.sub, c.client_id, s.agent_id, c.scope, c.resources, c.authorization_details,
       s.auth_time, s.created_at, s.revoked_at, s.revoked_by_kind, s.key
FROM oauth_sessions s JOIN oauth_consents c ON c.id = s.consent_id
"""


def _read(row: sqlite3.Row) -> Session:
    given = dict(row)
    given["scope"] = tuple(given["scope"].split())
    given["resources"] = tuple(json.loads(given["resources"]))
    given["authorization_details"] = tuple(json.loads(given["authorization_details"]))
    return Session(**given)


def open_session(
    connection: sqlite3.Connection,
    *,
    sub: str,
    client_id: str,
    delegated: bool,
    scope: tuple[str, ...],
    resources: tuple[str, ...],
    authorization_details: tuple[dict[str, Any], ...],
    auth_time: float,
    now: float,
) -> str:
    """Write down a consent of the human `sub` and open its session; the session's id.

    Args:
        delegated: whether the client acts for the human, so that an agent is named; not so their own console.
    """
    _forget(connection, now)
    consent_id, session_id = new_id("consent"), new_id("session")
    agent_id = _agent(connection, sub, client_id, now) if delegated else None
    connection.execute(
        "INSERT INTO oauth_consents (id, sub, client_id, scope, resources, authorization_details, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            consent_id,
            sub,
            client_id,
            " ".join(scope),
            json.dumps(resources),
            json.dumps(authorization_details),
            now,
        ),
    )
    connection.execute(
        "INSERT INTO oauth_sessions (id, consent_id, agent_id, auth_time, created_at) VALUES (?, ?, ?, ?, ?)",
        (session_id, consent_id, agent_id, auth_time, now),
    )
    return session_id


def bind_session(connection: sqlite3.Connection, session_id: str, key: str) -> None:
    """Note by which key the agent of a session is known: the one that its first token is bound to."""
    connection.execute("UPDATE oauth_sessions SET key = ? WHERE id = ? AND key IS NULL", (key, session_id))


def _agent(connection: sqlite3.Connection, sub: str, client_id: str, now: float) -> str:
    """The one agent that acts for this human by this software, made when it is the first time."""
    connection.execute(
        "INSERT INTO oauth_agents (id, sub, client_id, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (sub, client_id) DO NOTHING",
        (new_id("agent"), sub, client_id, now),
    )
    found = agent_of(connection, sub, client_id)
    assert found is not None, "it was just inserted"
    return found


def agent_of(connection: sqlite3.Connection, sub: str, client_id: str) -> str | None:
    """The id of the agent that acts for this human by this software, or None when there never was one."""
    row = connection.execute("SELECT id FROM oauth_agents WHERE sub = ? AND client_id = ?", (sub, client_id)).fetchone()
    return None if row is None else str(row["id"])


def find_session(connection: sqlite3.Connection, session_id: str) -> Session | None:
    """The session with this id, or None."""
    row = connection.execute(f"{SELECT} WHERE s.id = ?", (session_id,)).fetchone()
    return None if row is None else _read(row)


def lasts_until(connection: sqlite3.Connection, session: Session, *, access_token_seconds: float) -> float:
    """When a session ends by itself: with its last refresh token, in POSIX seconds.

    Args:
        access_token_seconds: what one is worth that has no refresh token: as much as its one access token.
    """
    found = connection.execute(
        "SELECT max(expires_at) AS at FROM oauth_refresh_tokens WHERE session_id = ?", (session.id,)
    ).fetchone()["at"]
    return session.created_at + access_token_seconds if found is None else float(found)


class UnknownSession(LookupError):
    """The session to go on from is none of this human's."""


def sessions_of(
    connection: sqlite3.Connection, sub: str | None = None, *, before: str | None = None, limit: int
) -> tuple[Session, ...]:
    """The newest sessions that this human's consents opened, of agents and of the human's own console; without `sub`
    the newest of all. Oldest first.

    Args:
        before: the id of a session: those that are older than it.
        limit: how many at most.

    Raises:
        UnknownSession: `before` is none of this human's.
    """
    # A consent and its session are made at the same time: what orders one orders the other.
    if sub is None:
        rows = connection.execute(f"{SELECT} ORDER BY s.created_at DESC, s.rowid DESC LIMIT ?", (limit,)).fetchall()
        return tuple(_read(row) for row in rows[::-1])
    at: tuple[float, int] = (math.inf, 0)
    if before is not None:
        found = connection.execute(
            "SELECT c.created_at, c.rowid FROM oauth_sessions s JOIN oauth_consents c ON c.id = s.consent_id"
            " WHERE s.id = ? AND c.sub = ?",
            (before, sub),
        ).fetchone()
        if found is None:
            raise UnknownSession(before)
        at = (found[0], found[1])
    rows = connection.execute(
        f"{SELECT} WHERE c.sub = ? AND (c.created_at, c.rowid) < (?, ?)"
        " ORDER BY c.created_at DESC, c.rowid DESC LIMIT ?",
        (sub, *at, limit),
    ).fetchall()
    return tuple(_read(row) for row in rows[::-1])


def sessions_through(connection: sqlite3.Connection, sub: str, client_id: str) -> tuple[str, ...]:
    """The ids of the sessions that this human's consents to one client opened and that were not revoked."""
    rows = connection.execute(
        "SELECT s.id FROM oauth_consents c JOIN oauth_sessions s ON s.consent_id = c.id"
        " WHERE c.sub = ? AND c.client_id = ? AND s.agent_id IS NOT NULL AND s.revoked_at IS NULL",
        (sub, client_id),
    )
    return tuple(row["id"] for row in rows)


def _forget(connection: sqlite3.Connection, now: float) -> None:
    """Forget a few of the sessions that have been over for long, with their consents; and agents that have none."""
    over = connection.execute(
        "SELECT s.id, s.consent_id, s.agent_id FROM oauth_sessions s WHERE s.created_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM oauth_refresh_tokens r WHERE r.session_id = s.id AND r.expires_at > ?)"
        " ORDER BY s.created_at LIMIT ?",
        (now - KEPT_SECONDS, now, _PRUNED_AT_ONCE),
    ).fetchall()
    for row in over:
        for table in (
            "oauth_refresh_tokens",
            "oauth_authorization_codes",
            "oauth_device_requests",
            "oauth_sub_agents",
            "oauth_approvals",
            "oauth_purchases",
        ):
            connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (row["id"],))
        connection.execute("DELETE FROM oauth_sessions WHERE id = ?", (row["id"],))
        connection.execute("DELETE FROM oauth_consents WHERE id = ?", (row["consent_id"],))
        # One that was revoked stays revoked, should its software come back.
        connection.execute(
            "DELETE FROM oauth_agents WHERE id = :id AND NOT EXISTS (SELECT 1 FROM oauth_sessions WHERE agent_id = :id)"
            " AND NOT EXISTS (SELECT 1 FROM oauth_revocations WHERE kind = 'agent' AND id = :id)",
            {"id": row["agent_id"]},
        )


@dataclass(frozen=True)
class Revoked:
    """What was revoked and when. `token`: the client itself handed its token in (RFC 7009)."""

    kind: Literal["session", "agent", "user", "token"]
    at: float


def session_revocation(connection: sqlite3.Connection, session: Session, through: Sequence[str] = ()) -> Revoked | None:
    """How this session was revoked: itself, its agent or its user; None while it holds.

    The session is looked at first, because nothing brings it back. A user's revocation stops what acts *for* that
    user: the human's own console, by which it is lifted again, goes on.

    Args:
        through: the agents that a token names (`tokens.actors`): a sub-agent's ends with each that is above it.
    """
    if session.revoked_at is not None:
        return Revoked("token" if session.revoked_by_kind == "token" else "session", session.revoked_at)
    if session.agent_id is None:
        return None
    for agent in dict.fromkeys((*through, session.agent_id)):
        if (revoked := revocation_of(connection, "agent", agent)) is not None:
            return revoked
    return revocation_of(connection, "user", session.sub)


def owner_of_agent(connection: sqlite3.Connection, agent_id: str) -> str | None:
    """For which human an agent or a sub-agent acts, by `sub`; None of one that is not known."""
    row = connection.execute(
        "SELECT sub FROM oauth_agents WHERE id = :id UNION ALL SELECT sub FROM oauth_sub_agents WHERE id = :id",
        {"id": agent_id},
    ).fetchone()
    return None if row is None else str(row["sub"])


def _all_below(connection: sqlite3.Connection, agent_id: str) -> frozenset[str]:
    """An agent, and each sub-agent below it."""
    found, parents = {agent_id}, [agent_id]
    while parents:
        query = "SELECT id FROM oauth_sub_agents WHERE parent = ?"
        below = {row["id"] for parent in parents for row in connection.execute(query, (parent,))}
        parents = sorted(below - found)
        found |= below
    return frozenset(found)


def revocation_of(connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str) -> Revoked | None:
    """When this agent or user was revoked, or None."""
    row = connection.execute(
        "SELECT revoked_at FROM oauth_revocations WHERE kind = ? AND id = ?", (kind, id)
    ).fetchone()
    return None if row is None else Revoked(kind, row["revoked_at"])


def cause_of(connection: sqlite3.Connection, kind: str, id: str) -> tuple[str, str] | None:
    """By whom and why a session, an agent or a user was revoked: CAEP's `initiating_entity`, and words. None where none
    was, or it was reinstated since."""
    if kind == "session":
        query = "SELECT revoked_by AS who, revoked_by_kind AS how FROM oauth_sessions WHERE id = ?"
        row, session = connection.execute(query, (id,)).fetchone(), find_session(connection, id)
        sub = None if session is None else session.sub
    else:
        query = "SELECT revoked_by AS who, kind AS how FROM oauth_revocations WHERE id = ? AND kind = ?"
        row = connection.execute(query, (id, kind)).fetchone()
        sub = id if kind == "user" else owner_of_agent(connection, id)
    if row is None or row["who"] is None:
        return None
    if row["how"] == "reuse":
        return "policy", "a code or refresh token that was used came again"
    if row["how"] == "token" or _is_its_client(connection, id, row["who"]):
        return "system", f"its client {row['who']} handed the token in"
    return ("user", "by the human") if row["who"] == sub else ("admin", f"by {row['who']}")


def _is_its_client(connection: sqlite3.Connection, agent_id: str, who: str) -> bool:
    """Whether who revoked a sub-agent is the client that holds its token (RFC 7009)."""
    found = connection.execute("SELECT client_id FROM oauth_sub_agents WHERE id = ?", (agent_id,)).fetchone()
    return found is not None and found["client_id"] == who


def revoke_session(
    connection: sqlite3.Connection,
    session_id: str,
    *,
    kind: Literal["session", "token", "reuse"],
    by: str,
    now: float,
) -> float:
    """Revoke a session for good; when it was revoked first. `kind`: by the human, by the client, or for reuse."""
    changed = connection.execute(
        "UPDATE oauth_sessions SET revoked_at = ?, revoked_by_kind = ?, revoked_by = ?"
        " WHERE id = ? AND revoked_at IS NULL",
        (now, kind, by, session_id),
    )
    if changed.rowcount:
        _note(connection, "session", session_id)
    row = connection.execute("SELECT revoked_at FROM oauth_sessions WHERE id = ?", (session_id,)).fetchone()
    return float(row["revoked_at"])


def revoke_agent_or_user(
    connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str, *, by: str, now: float
) -> float:
    """Revoke an agent or a user until they are reinstated; when that was done first."""
    changed = connection.execute(
        "INSERT INTO oauth_revocations (kind, id, revoked_at, revoked_by) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, id) DO NOTHING",
        (kind, id, now, by),
    )
    if changed.rowcount:
        _note(connection, kind, id)
        if kind == "user":
            void_of(connection, now, sub=id)
        else:
            void_of(connection, now, agents=_all_below(connection, id))
    else:
        # A token that was handed in (RFC 7009) is no reason to forget, later, that a human revoked whose it was.
        connection.execute(
            "UPDATE oauth_revocations SET revoked_by = ? WHERE kind = ? AND id = ?"
            " AND revoked_by IN (SELECT client_id FROM oauth_sub_agents WHERE id = oauth_revocations.id)",
            (by, kind, id),
        )
    revoked = revocation_of(connection, kind, id)
    assert revoked is not None, "it was just inserted"
    return revoked.at


def reinstate_agent_or_user(connection: sqlite3.Connection, kind: Literal["agent", "user"], id: str) -> bool:
    """Lift an agent's or a user's revocation; whether there was one."""
    return connection.execute("DELETE FROM oauth_revocations WHERE kind = ? AND id = ?", (kind, id)).rowcount > 0


def _note(connection: sqlite3.Connection, kind: Kind, id: str) -> None:
    """Write down, in the transaction that revokes, what the resource server has to hear of (`security_events`)."""
    # By the clock that no setting of the time of day moves, and that goes on while a process is stopped.
    connection.execute(
        "INSERT INTO oauth_security_events (jti, kind, id, at) VALUES (?, ?, ?, ?)",
        (new_id("event"), kind, id, time.monotonic()),
    )
