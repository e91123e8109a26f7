"""The file that a run is kept in: opened, moved aside where it is damaged or of another version, written in whole
transactions; and what is wrong where that does not work."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from demo.migrations import write_ahead
from deputize import private
from deputize.errors import EnvironmentNotReady

T = TypeVar("T")

FILE = "run.sqlite3"
BUSY_SECONDS = 5.0
"""How long to wait for another command that writes the run."""
VERSION = 1
"""Of the run file's tables (`PRAGMA user_version`); raised with each change of them. A run of another version is moved
aside and not migrated: it is one performance, and the program that began it ends it."""
_TABLES = """
CREATE TABLE IF NOT EXISTS run (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, talk TEXT, server TEXT, world TEXT, started_at REAL NOT NULL,
    cursor TEXT, cursor_done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS attempt (world TEXT NOT NULL, beat TEXT, step TEXT, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS result (
    world TEXT NOT NULL, beat TEXT, step TEXT, play INTEGER, at REAL NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (beat, step, play));
CREATE TABLE IF NOT EXISTS played (
    world TEXT NOT NULL, beat TEXT, play INTEGER, started_at REAL NOT NULL, ended_at REAL, ok INTEGER,
    PRIMARY KEY (beat, play));
"""


def _set_aside(file: Path) -> None:
    """Move a run of another version out of the way, to `run.before.sqlite3`: it cannot be carried on by this one."""
    with contextlib.closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as kept, contextlib.closing(fresh()) as ours:
        version = kept.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return
        # 0: empty, or from before versions. Then it is ours to carry on if its columns are.
        for (table,) in ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = f"SELECT name FROM pragma_table_info('{table}')"
            there = kept.execute(columns).fetchall()
            if there and there != ours.execute(columns).fetchall():
                break
        else:
            if version == 0:
                return
        kept.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.replace(file.with_name("run.before.sqlite3"))
    for rest in ("-wal", "-shm"):
        file.with_name(f"{file.name}{rest}").unlink(missing_ok=True)


class _Damaged(sqlite3.DatabaseError):
    """The file can be opened, and SQLite's own check of it finds what cannot be."""


def connected(file: Path) -> sqlite3.Connection:
    """A connection to the run file, made where it is missing.

    Raises:
        OSError, sqlite3.Error: it cannot be opened, or is damaged; `trouble` says it in words.
    """
    private.database(file)
    _set_aside(file)
    private.database(file)
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        write_ahead(connection)
        connection.executescript(_TABLES)
        if connection.execute("PRAGMA user_version").fetchone() == (0,):  # else a reader would want the lock of writers
            connection.execute(f"PRAGMA user_version = {VERSION}")
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise _Damaged(found)
    except BaseException:
        connection.close()
        raise
    return connection


def repair(state: Path) -> bool:
    """Move a damaged run file aside, to `run.damaged.sqlite3`, so that a fresh one can be made.

    Returns:
        Whether there was one.
    """
    file = state / FILE
    if not seen(file):
        return False
    try:
        connected(file).close()
    except sqlite3.OperationalError:
        return False  # held by another program, or a disk that fails: nothing that moving it aside would repair
    except sqlite3.DatabaseError:
        file.replace(file.with_name("run.damaged.sqlite3"))
        for rest in ("-wal", "-shm"):
            file.with_name(f"{file.name}{rest}").unlink(missing_ok=True)
        return True
    return False


def trouble(file: Path, error: Exception) -> EnvironmentNotReady:
    """What is wrong with the run file, and what helps: the kinds differ by SQLite's own result codes
    (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, _Damaged) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        what, do = f"{file} is damaged", "begin a fresh run with: demo reset (the damaged file is kept beside it)"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what, do = f"another program holds {file}", "end that program, or give this run a folder with --state DIR"
    elif code == sqlite3.SQLITE_FULL:
        what, do = f"the disk of {file.parent} is full", "free some space, or choose --state DIR elsewhere"
    else:
        what, do = f"the run cannot be kept in {file.parent}", "choose another folder with --state DIR, on a local disk"
    return EnvironmentNotReady(what, why=str(error), do=do)


def copied(file: Path) -> sqlite3.Connection:
    """The run as its file has it, in memory; where a program died in mid-write, as it was at the last checkpoint."""
    memory = fresh()
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as kept:
        kept.backup(memory)
    return memory


def fresh() -> sqlite3.Connection:
    """A run file in memory, with nothing in it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_TABLES)
    return connection


def seen(file: Path) -> bool:
    """Whether a file is there. One in a folder that this user may not search is not there, as far as they can see:
    before Python 3.14 `Path.exists` raises instead."""
    try:
        return file.exists()
    except OSError:
        return False


def committed(database: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Everything that `work` does, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        done = work(database)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite has ended it itself where the disk is full (sqlite.org/lang_transaction)
            database.execute("ROLLBACK")
        raise
    return done


def is_full(error: sqlite3.Error) -> bool:
    """Whether a write failed for want of room: the disk's, a quota's, a limit's (sqlite.org/rescode.html)."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
