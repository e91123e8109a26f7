"""SQLite files as this program opens them, and their schema versions: which steps a file has had, and those that it
still needs; a list of steps for each package.

Packages may share a file and know nothing of each other's tables. So a version is a row of a table, by package, and not
`PRAGMA user_version`, of which a file has only one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

from deputize.errors import EnvironmentNotReady

Step = str | Callable[[sqlite3.Connection], None]
"""SQL, or a function for what depends on what is there. It is called in a transaction and leaves it open."""


class NewerSchema(EnvironmentNotReady):
    """A file was written by a newer version of this program, whose tables this one does not know."""

    def __init__(self, file: str, package: str, version: int, known: int) -> None:
        super().__init__(
            f"{file} was written by a newer version of this program",
            why=f"its schema of {package} is version {version}, and this program knows {known}",
            do="update this program; or choose another folder with --state DIR, or demo reset for fresh data",
        )


def migrate(connection: sqlite3.Connection, package: str, steps: Sequence[Step]) -> None:
    """Bring a package's tables up to date: each step that the file has not had, in a transaction of its own.

    The first steps are what the tables were when versions began. They have to hold for a file from before as well, so
    they make only what is missing. A step that was released is never edited: what changes is a new step.

    Args:
        connection: in autocommit mode (`isolation_level=None`), and in no transaction.
        package: whose tables they are.
        steps: oldest first; the version is how many of them were done.

    Raises:
        NewerSchema: more steps were done than there are. Nothing is changed then.
        sqlite3.Error: a step cannot be done, and is not.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS schema_versions (room TEXT PRIMARY KEY, version INTEGER NOT NULL)")
    while (done := _version(connection, package)) < len(steps):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it meanwhile.
            if _version(connection, package) == done:
                step = steps[done]
                if isinstance(step, str):
                    for statement in _statements(step):
                        connection.execute(statement)
                else:
                    step(connection)
                connection.execute("INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", (package, done + 1))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if done > len(steps):
        raise NewerSchema(connection.execute("PRAGMA database_list").fetchone()[2], package, done, len(steps))


def write_ahead(connection: sqlite3.Connection, *, patience: float = 5.0) -> None:
    """Keep a write-ahead log for this file (sqlite.org/wal.html).

    Of several that turn it on at once in a new file SQLite refuses all but one without waiting, whatever their busy
    timeout, since each holds a lock that the other must have: so it is tried again.

    Args:
        patience: seconds.

    Raises:
        sqlite3.Error: somebody holds the file for longer, or it is no database.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether there is such a table with such a column."""
    found = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column))
    return found.fetchone() is not None


def _version(connection: sqlite3.Connection, package: str) -> int:
    row = connection.execute("SELECT version FROM schema_versions WHERE room = ?", (package,)).fetchone()
    return 0 if row is None else int(row[0])


def _statements(sql: str) -> list[str]:
    """The statements of a step. `executescript` would commit before the first of them."""
    found, rest = [], ""
    for line in sql.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return [*found, rest] if rest.strip() else found
