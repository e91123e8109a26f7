"""The key of the human's own console, by which it is a first-party client that nobody else can be (RFC 7523).

Its `client_id` is public, and a consent page cannot tell software apart. So the console has a key: made once for the
data of a local server, beside the authorization server's own keys in a file that only its owner reads. The server
registers the public half; the command line, which shares the state folder, signs with the private one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path


def settle(database: Path, issuer: str) -> dict[str, str]:
    """The public JWK of the console at the server with this database; its key is made when it has none.

    Args:
        issuer: what the authorization server is called now: the only one that the key is for.

    Raises:
        sqlite3.Error: the file cannot be read or written.
    """
    from joserfc.jwk import ECKey  # half of what a command that needs no key would load

    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS console_key (pem TEXT NOT NULL, issuer TEXT NOT NULL)")
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT pem FROM console_key").fetchone()
        if row is None:
            row = (ECKey.generate_key("P-256").as_pem(private=True).decode(),)
            connection.execute("INSERT INTO console_key VALUES (?, ?)", (*row, issuer))
        connection.execute("UPDATE console_key SET issuer = ?", (issuer,))
    return {name: str(value) for name, value in ECKey.import_key(row[0]).as_dict(private=False).items()}


def read(database: Path) -> tuple[str, str] | None:
    """The issuer and the console's private key (PEM) at the server with this database; None before its first start."""
    if not database.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            row = connection.execute("SELECT issuer, pem FROM console_key").fetchone()
    except sqlite3.Error:
        return None
    return (str(row[0]), str(row[1])) if row else None
