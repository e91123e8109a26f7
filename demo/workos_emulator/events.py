"""`events`: what happened here, oldest first. Session events are derived from the sessions themselves; those of agents
are recorded in the transaction that they are about."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.administration import Context, new_id

from .api import Api, Call, unprocessable
from .shapes import ORGANIZATION, derived_id, page, seconds, stamp
from .users import MOST_SESSIONS, UserSession, user_sessions

KEPT_SECONDS = 90 * 24 * 3600.0


def event_routes(api: Api) -> list[Route]:
    """The list."""

    def listed(call: Call) -> dict[str, Any]:
        wanted = {name.strip() for name in call.query.get("events", "").split(",")} - {""}
        if not wanted:
            raise unprocessable("events", "events names at least one type of event")
        since, until = _time(call, "range_start"), _time(call, "range_end")
        if call.query.get("organization_id") not in (None, ORGANIZATION):
            return page([], call.query, order="asc")
        with api.context.store.transaction(write=False) as connection:
            found = _all(api.context, connection)
        kept = [
            event
            for at, event in found
            if event["event"] in wanted and (since is None or at >= since) and (until is None or at <= until)
        ]
        return page(kept, call.query, order="asc")

    return [api.route("GET", "/events", listed)]


def record(connection: sqlite3.Connection, event: str, data: dict[str, Any], at: float) -> None:
    """Write down that something happened, and forget what happened long before."""
    connection.execute("DELETE FROM workos_events WHERE created_at < ?", (at - KEPT_SECONDS,))
    connection.execute(
        "INSERT INTO workos_events (id, event, data, created_at) VALUES (?, ?, ?, ?)",
        (new_id("event"), event, json.dumps(data), at),
    )


def _all(context: Context, connection: sqlite3.Connection) -> list[tuple[float, dict[str, Any]]]:
    """The newest of everything, with its time. Where two happened at once, the human's session comes before what stands
    on it."""
    found = [event for session in user_sessions(context, connection) for event in _of_session(session)]
    rows = connection.execute("SELECT * FROM workos_events ORDER BY seq DESC LIMIT ?", (MOST_SESSIONS,)).fetchall()
    for row in rows[::-1]:
        found.append((row["created_at"], _event(row["id"], row["event"], json.loads(row["data"]), row["created_at"])))
    return sorted(found, key=lambda event: event[0])  # stable: the order within a source stays


def _of_session(one: UserSession) -> list[tuple[float, dict[str, Any]]]:
    session = one.session
    events = [("session.created", session.created_at, "active")]
    if session.revoked_at is not None:  # its agent's or user's revocation can be lifted and is no end of the session
        events.append(("session.revoked", session.revoked_at, "revoked"))
    return [
        (at, _event(derived_id("event", f"{name} {session.id}"), name, one.shown(status=status), at))
        for name, at, status in events
    ]


def _event(id: str, name: str, data: dict[str, Any], at: float) -> dict[str, Any]:
    return {"object": "event", "id": id, "event": name, "data": data, "created_at": stamp(at)}


def _time(call: Call, name: str) -> float | None:
    given = call.query.get(name)
    try:
        return None if given is None else seconds(given)
    except ValueError:
        raise unprocessable(name, f"{name} is an ISO 8601 time in UTC that ends in Z") from None
