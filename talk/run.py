"""One performance: which plan, where the cursor stands, what was seen; kept so that `kill -9` loses nothing.

Every write is one SQLite transaction in its own file (`run.sqlite3`). A step is written down twice: before it is
played (an attempt) and after (its result). The cursor is a beat's id, so that editing a talk shifts nothing.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deputize import private
from deputize.errors import EnvironmentNotReady
from talk.results import StepResult
from talk.run_file import (
    BUSY_SECONDS,
    FILE,
    VERSION,
    committed,
    connected,
    copied,
    fresh,
    is_full,
    seen,
    trouble,
)

T = TypeVar("T")

_LOCK = "run.lock"
_WORLD = "(SELECT world FROM run)"
_HERE = f"(world = '' OR world = {_WORLD})"
"""What was played in the server's present data, or before any server was known: words need none."""


OWN_WORKER = "worker"
"""What stands in the place of a world where the run's server is a Worker that is started for it each time."""


@dataclass(frozen=True)
class Cursor:
    """Where a run stands: on `beat`, which was played to its end or not. `beat` None: nothing played yet."""

    beat: str | None
    done: bool


@dataclass(frozen=True)
class Glance:
    """A run as its file has it at one moment; what is not known yet is empty."""

    id: str
    plan: str
    talk: str | None
    server: str
    world: str
    started_at: float
    cursor: Cursor


def glance(state: Path) -> Glance | None:
    """A look at the run for who follows it, as often as they like: it makes, checks and tidies up nothing, as the last
    one who closes a database does for its writer. None where no run has begun, or one of another version.

    Raises:
        EnvironmentNotReady: the file is damaged, or cannot be read now.
    """
    file = state / FILE
    if not seen(file):
        return None
    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as looking:
            if looking.execute("PRAGMA user_version").fetchone() != (VERSION,):
                return None
            columns = "id, plan, talk, server, world, started_at, cursor, cursor_done"
            row = looking.execute(f"SELECT {columns} FROM run").fetchone()
    except sqlite3.Error as error:
        raise trouble(file, error) from error
    if row is None:
        return None
    id_, plan, talk, server, world, started_at, beat, done = row
    return Glance(id_, plan, talk, server or "", world or "", started_at, Cursor(beat, bool(done)))


def is_held(state: Path) -> bool:
    """Whether a command is playing the run of this state folder at the moment."""
    import filelock

    lock = state / _LOCK
    if not lock.exists():  # nobody has played yet, and a command that only looks makes nothing
        return False
    try:
        with filelock.FileLock(lock, mode=0o600).acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # another user's folder: whether somebody plays there cannot be seen
        return False


class Run:
    """The run kept in a state folder. Use `Run.open`; only the holder of `performing()` writes."""

    def __init__(self, connection: sqlite3.Connection, state: Path) -> None:
        self._db = connection
        self._file: sqlite3.Connection | None = None
        self._state = state
        self.unkept: str | None = None
        """Why the run is kept in memory at the moment: the disk is full, say. None: it is in its file."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path) -> Iterator[Run]:
        """Open the state folder's run file, making it when missing.

        Raises:
            EnvironmentNotReady: the folder cannot be written, the file is not ours, another program holds it, or it is
                damaged: on opening, or later while it is used.
        """
        file = state / FILE
        private.folder(state)
        unkept = None
        try:
            try:
                connection = connected(file)
            except sqlite3.OperationalError as error:
                if not is_full(error):
                    raise
                # Even to read a file in WAL mode takes some room beside it.
                connection, unkept = copied(file), str(error)
        except (OSError, sqlite3.Error) as error:
            raise trouble(file, error) from error
        with contextlib.closing(connection):
            try:
                opened = cls(connection, state)
                opened.unkept = unkept
                yield opened
            except sqlite3.Error as error:  # this process opens no other database
                raise trouble(file, error) from error

    @contextlib.contextmanager
    def performing(self) -> Iterator[None]:
        """Hold the run for playing. The operating system lets go of it when the process dies, however it dies.

        Raises:
            EnvironmentNotReady: another command is playing right now.
        """
        import filelock

        try:
            held = filelock.FileLock(self._state / _LOCK, mode=0o600).acquire(timeout=0.2)
        except filelock.Timeout as error:
            raise EnvironmentNotReady(
                "another demo command is playing this run right now",
                do="wait for it to end, or give this one a run of its own with --state DIR",
            ) from error
        except OSError as error:
            raise private.no_locks(self._state, error) from error
        with held:
            yield

    def held(self) -> bool:
        """Whether a command is playing this run at the moment."""
        return is_held(self._state)

    @property
    def id(self) -> str | None:
        """The run's id, None when no run has begun."""
        row = self._db.execute("SELECT id FROM run").fetchone()
        return str(row[0]) if row else None

    def begin(self, *, plan: str, talk: str | None, server: str, world: str) -> str:
        """Begin a fresh run, forgetting the one before. Returns its id."""
        run, begun = f"run_{secrets.token_hex(8)}", time.time()

        def begin(database: sqlite3.Connection) -> None:
            _forget(database)
            database.execute(
                "INSERT INTO run (id, plan, talk, server, world, started_at) VALUES (?, ?, ?, ?, ?, ?)",
                (run, plan, talk, server, world, begun),
            )

        self._write(begin)
        return run

    def clear(self) -> None:
        """Forget the run."""
        self._write(_forget)

    def about(self) -> Mapping[str, Any] | None:
        """plan, talk, server, world, started_at of the run; None when none has begun."""
        row = self._db.execute("SELECT plan, talk, server, world, started_at FROM run").fetchone()
        return dict(zip(("plan", "talk", "server", "world", "started_at"), row, strict=True)) if row else None

    @property
    def at_own_worker(self) -> bool:
        """Whether its server is the Worker that is started for it each time."""
        return (self.about() or {}).get("world") == OWN_WORKER

    def settle(self, *, server: str, world: str) -> None:
        """Note that the run goes on at this server with this data."""
        self._write(lambda database: database.execute("UPDATE run SET server = ?, world = ?", (server, world)))

    @property
    def cursor(self) -> Cursor:
        """Where the run stands."""
        row = self._db.execute("SELECT cursor, cursor_done FROM run").fetchone()
        return Cursor(row[0], bool(row[1])) if row else Cursor(None, False)

    def place(self, beat: str | None, *, done: bool) -> None:
        """Put the cursor on a beat: `done` as if it had been played, so that `next` plays the one after it."""
        at = (beat, int(done))
        self._write(lambda database: database.execute("UPDATE run SET cursor = ?, cursor_done = ?", at))

    def start_beat(self, beat: str, *, moves_cursor: bool = True) -> int:
        """The cursor goes to this beat, not yet done. Returns the number of this play (1 for the first)."""

        def start(database: sqlite3.Connection) -> int:
            play = 1 + _one(database, "SELECT COALESCE(MAX(play), 0) FROM played WHERE beat = ?", beat)
            database.execute(
                f"INSERT INTO played (world, beat, play, started_at) VALUES ({_WORLD}, ?, ?, ?)",
                (beat, play, time.time()),
            )
            if moves_cursor:
                database.execute("UPDATE run SET cursor = ?, cursor_done = 0", (beat,))
            return play

        return self._write(start)

    def open_play(self, beat: str) -> int | None:
        """The play of this beat that was begun and never ended (a crash), or None."""
        row = self._db.execute(
            f"SELECT play FROM played WHERE beat = ? AND ended_at IS NULL AND {_HERE} ORDER BY play DESC", (beat,)
        ).fetchone()
        return int(row[0]) if row else None

    def end_beat(self, beat: str, play: int, *, ok: bool, moves_cursor: bool = True) -> None:
        """The beat was played to its end: one transaction ends the play and moves the cursor."""

        def end(database: sqlite3.Connection) -> None:
            database.execute(
                "UPDATE played SET ended_at = ?, ok = ? WHERE beat = ? AND play = ?", (time.time(), ok, beat, play)
            )
            if moves_cursor:
                database.execute("UPDATE run SET cursor = ?, cursor_done = 1", (beat,))

        self._write(end)

    def attempt(self, beat: str, step: str) -> int:
        """Write down that a step is about to be played. Returns how often it was attempted before, in any play."""

        def note(database: sqlite3.Connection) -> int:
            before = _one(database, f"SELECT COUNT(*) FROM attempt WHERE beat = ? AND step = ? AND {_HERE}", beat, step)
            database.execute(f"INSERT INTO attempt VALUES ({_WORLD}, ?, ?, ?)", (beat, step, time.time()))
            return before

        return self._write(note)

    def attempted(self, beat: str, step: str) -> bool:
        """Whether this step was attempted before, in any play."""
        counted = f"SELECT COUNT(*) FROM attempt WHERE beat = ? AND step = ? AND {_HERE}"
        return bool(_one(self._db, counted, beat, step))

    def record(self, beat: str, play: int, result: StepResult) -> None:
        """Write down a step's result."""
        values = (beat, result.id, play, time.time(), json.dumps(result.__dict__))
        self._write(
            lambda database: database.execute(f"INSERT OR REPLACE INTO result VALUES ({_WORLD}, ?, ?, ?, ?, ?)", values)
        )

    def results(self, beat: str, play: int) -> dict[str, StepResult]:
        """The results of one play of a beat, by step id."""
        rows = self._db.execute(
            f"SELECT step, result FROM result WHERE beat = ? AND play = ? AND {_HERE} ORDER BY rowid", (beat, play)
        )
        return {step: _read(result) for step, result in rows}

    def all_results(self) -> list[StepResult]:
        """Every step result of this run in the present data, oldest first."""
        rows = self._db.execute(f"SELECT result FROM result WHERE {_HERE} ORDER BY rowid")
        return [_read(row[0]) for row in rows]

    def results_of(self, steps: Collection[tuple[str, str]]) -> list[StepResult]:
        """The results of these steps, each a beat's id and its own, in any play; oldest first."""
        rows = self._db.execute(f"SELECT beat, step, result FROM result WHERE {_HERE} ORDER BY rowid")
        return [_read(result) for beat, step, result in rows if (beat, step) in steps]

    def purchases(self, beats: Iterable[str]) -> list[StepResult]:
        """The results in these beats that placed or found an order, oldest first."""
        rows = self._db.execute(f"SELECT beat, result FROM result WHERE {_HERE} ORDER BY rowid")
        wanted = set(beats)
        found = [_read(result) for beat, result in rows if beat in wanted]
        return [result for result in found if (result.decision or {}).get("order_id")]

    def has_asked(self, speaks: Callable[[str], bool]) -> bool:
        """Whether a step was played, or begun, that asks a server.

        Args:
            speaks: whether a kind of step does; what was begun and has no result may have.
        """
        rows = self._db.execute("SELECT result FROM result").fetchall()
        done = "SELECT 1 FROM result WHERE (result.beat, result.step) = (attempt.beat, attempt.step)"
        begun = _one(self._db, f"SELECT COUNT(*) FROM attempt WHERE NOT EXISTS ({done})")
        return begun > 0 or any(speaks(kind) for kind in {_read(row[0]).do for row in rows})

    def beats_played(self) -> dict[str, bool]:
        """The beats played to their end in the present data, with whether the latest such play was as expected."""
        rows = self._db.execute(f"SELECT beat, ok FROM played WHERE ended_at IS NOT NULL AND {_HERE} ORDER BY play")
        return {beat: bool(ok) for beat, ok in rows}

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction. Where the disk takes no more, the run goes on in memory, and is back in its
        file as soon as there is room: what was done on stage must not be forgotten in mid-talk."""
        try:
            done = committed(self._db, work)
        except sqlite3.OperationalError as error:
            if self._file is not None or not is_full(error):
                raise
            self._file, self._db, self.unkept = self._db, fresh(), str(error)
            self._file.backup(self._db)
            return committed(self._db, work)
        if self._file is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.backup(self._file)
                self._db.close()
                self._db, self._file, self.unkept = self._file, None, None
        return done


def _forget(database: sqlite3.Connection) -> None:
    for table in ("run", "attempt", "result", "played"):
        database.execute(f"DELETE FROM {table}")


def _one(database: sqlite3.Connection, query: str, *values: Any) -> int:
    return int(database.execute(query, values).fetchone()[0])


def _read(text: str) -> StepResult:
    given = json.loads(text)
    return StepResult(**given | {"failed": tuple(given["failed"]), "decisions": tuple(given["decisions"])})
