"""The state folder and the files in it: made in one place, and for this user alone, whichever command comes first.

It holds tokens, and whatever else its program keeps there. Anyone else who may write in it owns the program; anyone who
may read it has the tokens.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from deputize.errors import EnvironmentNotReady, Remedy

NO_HOME: Final = Path(os.devnull) / "no-home"
"""In the place of the default state folder where no home folder is known. Nothing can exist there: what only looks
finds nothing, and what must make the folder says what is missing."""
CHOOSE: Final = Remedy("choose_folder")
ours: set[str] = {"secrets"}
"""How the names begin of all that is put into a state folder. A program that keeps more than tokens there adds to it,
before it uses one."""


def folder(state: Path) -> Path:
    """See that the state folder is there and this user's alone: made 0700, or tightened where it is ours and open.

    Returns:
        The folder.

    Raises:
        EnvironmentNotReady: it cannot be made, it belongs to somebody else, or others may look into it and it holds
            more than ours, so that tightening it would take something from them.
    """
    if state == NO_HOME:
        raise EnvironmentNotReady(
            "no home folder is known, so there is no place for the state",
            why="HOME is not set and this user has no entry in the system's list of users",
            do="choose a folder",
            remedy=CHOOSE,
        )
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not hasattr(os, "geteuid"):
            return state  # Windows: a folder of the user's profile is theirs by its access list
        if state.stat().st_uid != os.geteuid():
            raise _refused(state, "it belongs to another user")
        if _open_to_others(state):
            foreign = next(
                (name for name in sorted(one.name for one in state.iterdir()) if not name.startswith(tuple(ours))), None
            )
            if foreign is not None:
                raise _refused(
                    state, f"other users may look into it, and it holds what is not this program's: {foreign}"
                )
            state.chmod(0o700)
            if _open_to_others(state):
                raise _refused(state, "other users may look into it, and its file system does not let that be changed")
    except OSError as error:
        raise EnvironmentNotReady(
            f"the state folder {state} cannot be used",
            why=error.strerror or str(error),
            do="choose another",
            remedy=CHOOSE,
        ) from error
    return state


def is_ours(state: Path) -> bool:
    """Whether what stands in the state folder may be believed: it belongs to this user, and nobody else may write."""
    try:
        about = state.stat()
    except OSError:
        return False
    return not hasattr(os, "geteuid") or (about.st_uid == os.geteuid() and not about.st_mode & 0o022)


def database(file: Path) -> Path:
    """See that a database's file is there and 0600 before SQLite opens it: the files that SQLite puts beside it (the
    write-ahead log, the shared memory) get the mode of the database itself (sqlite.org/wal.html, sqlite.org/tempfiles).

    Raises:
        OSError: it cannot be made, or is not this user's.
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # One that is there is not opened to try it: its close would let go of every lock that SQLite holds on it in
        # this process (sqlite.org/howtocorrupt.html, section 2.2), and the next program that closes the file would take
        # itself for the last one and remove the write-ahead log, with all that was written since.
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file)) from None
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file)) from None
    for one in (file, *(file.with_name(f"{file.name}{rest}") for rest in ("-wal", "-shm"))):
        try:
            if stat.S_IMODE(one.stat().st_mode) != 0o600:
                one.chmod(0o600)
        except FileNotFoundError:
            continue  # SQLite makes it when it needs it, and takes it away
    return file


def write(file: Path, text: str) -> None:
    """Write a file whole, 0600 from its first byte: a reader sees the old one or the new one, never a part. Of several
    writers at the same time the last one's text stays.

    Raises:
        OSError: it cannot be written.
    """
    part = file.with_name(f"{file.name}.{secrets.token_hex(6)}.part")  # one writer's alone, and ours by its beginning
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def no_locks(state: Path, error: OSError) -> EnvironmentNotReady:
    """What is said where a lock of the state folder cannot be taken, which is not that somebody else has it: a file
    system without locks (ENOLCK, ENOSYS), or a lock's file that is not this user's."""
    return EnvironmentNotReady(
        f"nothing can be locked in the state folder {state}",
        why=error.strerror or str(error),
        do="choose a folder on a disk of this machine",
        remedy=CHOOSE,
    )


def _open_to_others(state: Path) -> bool:
    return bool(state.stat().st_mode & 0o077)


def _refused(state: Path, why: str) -> EnvironmentNotReady:
    return EnvironmentNotReady(
        f"the state folder {state} is not this user's alone", why=why, do="choose a folder of your own", remedy=CHOOSE
    )
