"""Event streams: which resource server hears of revocations, where, what it has acknowledged; and since when each may
rely on something (OpenID Shared Signals Framework 1.0, section 8.1)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from .store import new_id

MOST: Final = 100
"""Streams of one authorization server: one for each origin of a resource."""
INACTIVE_SECONDS: Final = 24 * 3600
"""A stream that its receiver has not had verified for so long may give its place to another."""


@dataclass(frozen=True)
class Stream:
    """Where one resource server takes events. `resource` is their audience."""

    id: str
    client_id: str
    resource: str
    endpoint_url: str
    events_requested: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The origin of the resource: all resources there are one resource server's."""
        return origin_of(self.resource)


@dataclass(frozen=True)
class Pending:
    """A revocation that the resource server of a stream has not acknowledged yet. `at` is by `time.monotonic`."""

    jti: str
    kind: str
    id: str
    at: float
    stream: Stream


_COLUMNS: Final = "id, client_id, resource, endpoint_url, events_requested"


def _read(row: sqlite3.Row) -> Stream:
    requested = tuple(str(row["events_requested"]).split())
    return Stream(row["id"], row["client_id"], row["resource"], row["endpoint_url"], requested)


def open_stream(
    connection: sqlite3.Connection,
    *,
    client_id: str,
    resource: str,
    endpoint_url: str,
    events_requested: tuple[str, ...],
    now: float,
) -> Stream | None:
    """Open a stream for the resource server at this origin; None where there is one already, or no place for one.

    Args:
        now: POSIX seconds.
    """
    stream = Stream(new_id("stream"), client_id, resource, endpoint_url, events_requested)
    if connection.execute("SELECT count(*) FROM oauth_event_streams").fetchone()[0] >= MOST:
        connection.execute("DELETE FROM oauth_event_streams WHERE used_at < ?", (now - INACTIVE_SECONDS,))
    made = connection.execute(
        f"INSERT INTO oauth_event_streams ({_COLUMNS}, origin, used_at) SELECT ?, ?, ?, ?, ?, ?, ?"
        " WHERE (SELECT count(*) FROM oauth_event_streams) < ? ON CONFLICT (origin) DO NOTHING",
        (stream.id, client_id, resource, endpoint_url, " ".join(events_requested), stream.origin, now, MOST),
    )
    return stream if made.rowcount else None


def streams_of(connection: sqlite3.Connection, client_id: str) -> tuple[Stream, ...]:
    """The streams of one resource server's client, the oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM oauth_event_streams WHERE client_id = ? ORDER BY rowid", (client_id,)
    )
    return tuple(map(_read, rows))


def find_stream(connection: sqlite3.Connection, id: str, client_id: str) -> Stream | None:
    """The stream with this id, where it is this client's; or None."""
    return next((one for one in streams_of(connection, client_id) if one.id == id), None)


def use_stream(connection: sqlite3.Connection, stream: Stream, now: float) -> None:
    """Remember that its receiver is there. `now`: POSIX seconds."""
    connection.execute("UPDATE oauth_event_streams SET used_at = ? WHERE id = ?", (now, stream.id))


def close_stream(connection: sqlite3.Connection, stream: Stream) -> None:
    """End a stream; nobody hears of anything by it any more."""
    connection.execute("DELETE FROM oauth_event_acknowledgements WHERE stream = ?", (stream.id,))
    connection.execute("DELETE FROM oauth_event_streams WHERE id = ?", (stream.id,))


def pending(connection: sqlite3.Connection, *, lease: float, stream: Stream | None = None) -> tuple[Pending, ...]:
    """What is revoked and not acknowledged, by any stream or this one, the oldest first; and forget what is so old that
    nobody acts any more on an answer from before it.

    Args:
        lease: seconds.
    """
    over = time.monotonic() - lease
    if connection.execute("DELETE FROM oauth_security_events WHERE at < ?", (over,)).rowcount:
        connection.execute(
            "DELETE FROM oauth_event_acknowledgements WHERE jti NOT IN (SELECT jti FROM oauth_security_events)"
        )
    rows = connection.execute(
        f"SELECT e.jti, e.kind, e.id AS subject, e.at, {', '.join(f's.{one}' for one in _COLUMNS.split(', '))}"
        " FROM oauth_security_events e CROSS JOIN oauth_event_streams s"
        " WHERE s.id = coalesce(?, s.id) AND NOT EXISTS ("
        "SELECT 1 FROM oauth_event_acknowledgements a WHERE a.jti = e.jti AND a.stream = s.id) ORDER BY e.rowid",
        (stream.id if stream else None,),
    )
    return tuple(Pending(row["jti"], row["kind"], row["subject"], row["at"], _read(row)) for row in rows)


def last_revocation(connection: sqlite3.Connection) -> float | None:
    """When the newest revocation was made that somebody may not know of, by `time.monotonic`; None: there is none."""
    found = connection.execute("SELECT max(at) AS at FROM oauth_security_events").fetchone()["at"]
    return None if found is None else float(found)


def origins_told(connection: sqlite3.Connection) -> frozenset[str]:
    """The origins whose resource servers have a stream."""
    return frozenset(row["origin"] for row in connection.execute("SELECT origin FROM oauth_event_streams"))


def acknowledge(connection: sqlite3.Connection, one: Pending) -> None:
    """Note that the resource server has acknowledged this."""
    connection.execute(
        "INSERT OR IGNORE INTO oauth_event_acknowledgements (jti, stream) VALUES (?, ?)", (one.jti, one.stream.id)
    )


def count_from_now(connection: sqlite3.Connection) -> None:
    """Count what is not acknowledged from now, where the machine was restarted since, and its clock with it."""
    now = time.monotonic()
    connection.execute("UPDATE oauth_security_events SET at = ? WHERE at > ?", (now, now))


class Leases:
    """Until when a resource server may rely on what this authorization server said before. In memory: after a start
    each may have been told something a moment before it.

    Args:
        seconds: how long anybody relies on anything.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = time.monotonic()
        self._until: dict[str, float] = {}

    def extend(self, resource: str) -> None:
        """To be called *before* looking at what the resource server is then told."""
        now, origin = time.monotonic(), origin_of(resource)
        self._until[origin] = now + self._seconds
        if len(self._until) > 10 * MOST:
            self._until = {name: until for name, until in self._until.items() if until > now}

    def longest(self, but: Collection[str]) -> float:
        """Until when, by `time.monotonic`, any resource server may rely on something but those at these origins."""
        return max((until for origin, until in list(self._until.items()) if origin not in but), default=0.0)

    def live(self, stream: Stream) -> bool:
        """Whether the resource server of this stream may still rely on something."""
        return time.monotonic() <= max(self._until.get(stream.origin, 0.0), self._started + self._seconds)


def origin_of(url: str) -> str:
    """The origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
