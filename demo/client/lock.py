"""A lock between processes: held on a file, let go by the operating system when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.errors import EnvironmentNotReady

_POLL = 0.02


@contextmanager
def held(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock on `path`; between threads of one process too.

    Args:
        path: the lock's file, made where missing and never removed: removing it would let two in.
        seconds: how long to wait for another holder.

    Raises:
        EnvironmentNotReady: somebody else holds it for longer, or the file cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise EnvironmentNotReady(
            f"the lock file {path} cannot be opened", why=str(error), do="check that the folder of --state is yours"
        ) from None
    try:
        until = time.monotonic() + seconds
        while not _try(handle):
            if time.monotonic() >= until:
                raise EnvironmentNotReady(
                    f"another process holds {path} for more than {seconds:g} s",
                    why="it may be refreshing a token at a server that does not answer",
                    do="wait for it, or end it, and try again",
                )
            time.sleep(_POLL)
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
