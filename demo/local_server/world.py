"""The world of a local server: the name of its data, and the secrets that its parts know each other by.

They are made once, and kept in the server's database, which only its owner reads. Commands share the state folder, and
read there what they need.

The human's own console has a key because its `client_id` is public, and a consent page cannot tell software apart: the
server registers the public half, the command line signs with the private one (RFC 7523), and so the console is a
first-party client that nobody else can be.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from pathlib import Path
from typing import Any, Final

from demo.migrations import migrate, write_ahead
from deputize import private

DATABASE: Final = "server.sqlite3"
"""In the state folder."""
RESOURCE_SERVER: Final = "shop"
"""The client id of the shops of this machine at the authorization server."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS world (id TEXT NOT NULL, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS console_key (pem TEXT NOT NULL, issuer TEXT NOT NULL);
"""
STEPS: Final = (_TABLES,)
"""The schema's history. To change it: append a step, never edit one. Each package in the file has its own."""


def settle(database: Path) -> tuple[str, str]:
    """The name of this data, and the shop's secret at the authorization server's introspection endpoint.

    Raises:
        sqlite3.Error: the file is damaged, or cannot be read or written.
        NewerSchema: a newer version of this program wrote it.
    """
    private.database(database)
    with contextlib.closing(_connect(database)) as connection, connection:
        write_ahead(connection)
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        migrate(connection, "the local server", STEPS)
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT id, secret FROM world").fetchone()
        if row is None:
            row = (secrets.token_hex(8), secrets.token_urlsafe(32))
            connection.execute("INSERT INTO world VALUES (?, ?)", row)
    return str(row[0]), str(row[1])


def settle_console(database: Path, issuer: str) -> dict[str, str]:
    """The public JWK of the console at the server with this database, which is settled.

    Args:
        issuer: what the authorization server is called now: the only one that the key is for.

    Raises:
        sqlite3.Error: the file cannot be read or written.
    """
    from joserfc.jwk import ECKey  # half of what a command that needs no key would load

    with contextlib.closing(_connect(database)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT pem FROM console_key").fetchone()
        if row is None:
            row = (ECKey.generate_key("P-256").as_pem(private=True).decode(),)
            connection.execute("INSERT INTO console_key VALUES (?, ?)", (*row, issuer))
        connection.execute("UPDATE console_key SET issuer = ?", (issuer,))
    return {name: str(value) for name, value in ECKey.import_key(row[0]).as_dict(private=False).items()}


def console(database: Path) -> tuple[str, str] | None:
    """The issuer and the console's private key (PEM) at the server with this database; None before its first start."""
    row = _row(database, "SELECT issuer, pem FROM console_key")
    return (str(row[0]), str(row[1])) if row else None


def credentials(state: Path) -> tuple[str, str] | None:
    """Client id and secret with which a resource server of this machine asks the local authorization server about a
    token (RFC 7662 section 2.1); None before its first start."""
    row = _row(state / DATABASE, "SELECT secret FROM world")
    return (RESOURCE_SERVER, str(row[0])) if row else None


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=10, isolation_level=None)


def _row(database: Path, query: str) -> Any:
    if not database.is_file():
        return None
    try:
        uri = f"{database.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
            return connection.execute(query).fetchone()
    except sqlite3.Error:
        return None
