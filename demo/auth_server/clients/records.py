"""Clients that made themselves known, as the state file keeps them: registered ones and documents' (RFC 7591)."""

from __future__ import annotations

import json
import sqlite3
from typing import Literal

from .client import DEFAULT_SCOPE, Client
from .metadata import ClientMetadata

MOST_CLIENTS = 500
"""How many of each kind are kept. Beyond it the oldest that nobody ever consented to go."""

USED = """
SELECT client_id FROM authority_consents UNION SELECT client_id FROM authority_device_requests WHERE expires_at > :now
"""


def find_client(connection: sqlite3.Connection, client_id: str) -> Client | None:
    """The client with this id, or None."""
    row = connection.execute("SELECT * FROM authority_clients WHERE client_id = ?", (client_id,)).fetchone()
    if row is None:
        return None
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        delegated=True,  # software that comes by itself acts for somebody, and its tokens say so
        grant_types=tuple(json.loads(row["grant_types"])),
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        auth_method=row["auth_method"],
        secret_digest=row["secret_digest"],
        source=row["source"],
        default_scope=tuple(row["scope"].split()) or DEFAULT_SCOPE,
    )


def save_client(
    connection: sqlite3.Connection,
    client_id: str,
    metadata: ClientMetadata,
    *,
    source: Literal["registered", "document"],
    secret_digest: str | None = None,
    fresh_until: float | None = None,
    now: float,
) -> bool:
    """Keep a client, or what its document says now; False when there is no room, because every place is in use.

    Args:
        secret_digest: of the secret of a confidential client, None for a public one.
        fresh_until: POSIX seconds until which a document need not be fetched again, None for a registered client.
    """
    known = connection.execute("SELECT 1 FROM authority_clients WHERE client_id = ?", (client_id,)).fetchone()
    if known is None and not _make_room(connection, source, now):
        return False
    connection.execute(
        "INSERT INTO authority_clients (client_id, source, name, auth_method, secret_digest, redirect_uris,"
        " grant_types, scope, created_at, fresh_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, redirect_uris = excluded.redirect_uris,"
        " grant_types = excluded.grant_types, scope = excluded.scope, fresh_until = excluded.fresh_until",
        (
            client_id,
            source,
            metadata.name,
            metadata.auth_method,
            secret_digest,
            json.dumps(metadata.redirect_uris),
            json.dumps(metadata.grant_types),
            " ".join(metadata.scope),
            now,
            fresh_until,
        ),
    )
    return True


def is_fresh(connection: sqlite3.Connection, client_id: str, now: float) -> bool:
    """Whether the document of this client was fetched and need not be fetched again yet."""
    row = connection.execute("SELECT fresh_until FROM authority_clients WHERE client_id = ?", (client_id,)).fetchone()
    return row is not None and row["fresh_until"] is not None and now < row["fresh_until"]


def _make_room(connection: sqlite3.Connection, source: str, now: float) -> bool:
    count = connection.execute("SELECT COUNT(*) FROM authority_clients WHERE source = ?", (source,)).fetchone()[0]
    if count < MOST_CLIENTS:
        return True
    gone = connection.execute(
        f"DELETE FROM authority_clients WHERE client_id IN (SELECT client_id FROM authority_clients"
        f" WHERE source = :source AND client_id NOT IN ({USED}) ORDER BY created_at, rowid LIMIT :many)",
        {"source": source, "now": now, "many": count - MOST_CLIENTS + 1},
    )
    return gone.rowcount > 0
