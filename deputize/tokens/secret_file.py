"""A small JSON file of secrets: 0600 in a 0700 folder of its own, replaced whole, never half written."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deputize import private
from deputize.errors import EnvironmentNotReady, Remedy

LOCK_SECONDS = 10.0


class SecretFile:
    """A JSON object on disk.

    Args:
        folder: in the state folder; both are made with mode 0700 where missing, and must belong to this user.
        name: of the file in it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.path = folder / name

    def read(self) -> dict[str, Any]:
        """What it holds; empty where there is no file, or one that was not written by us."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise _in_the_way(self.path, str(error)) from None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def update(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Read, change and replace it, while no other process does.

        Raises:
            EnvironmentNotReady: the disk or the folder does not allow it.
        """
        with self.locked(f"{self.path.name}.lock", seconds=LOCK_SECONDS):
            content = self.read()
            change(content)
            self._replace(json.dumps(content, indent=1))

    @contextmanager
    def locked(self, name: str, *, seconds: float) -> Iterator[None]:
        """Hold a lock between processes, and between threads; the operating system lets it go when its holder dies.

        Args:
            name: of the lock's file in the folder.
            seconds: how long to wait for another holder.

        Raises:
            EnvironmentNotReady: somebody else holds it for longer, or the folder does not allow it.
        """
        from filelock import FileLock, Timeout

        self.prepare()
        path = self.folder / name
        lock = FileLock(path, timeout=seconds, mode=0o600, poll_interval=0.02)
        try:
            lock.acquire()
        except Timeout:
            raise EnvironmentNotReady(
                f"another process holds {path} for more than {seconds:g} s",
                why="it may be renewing a token at a server that does not answer",
                do="wait for it, or end it, and try again",
            ) from None
        except OSError as error:
            raise _in_the_way(path, str(error)) from None
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> None:
        """Make the folder, for this user's eyes only."""
        try:
            private.folder(self.folder.parent)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.is_symlink():
                raise _in_the_way(self.folder, "it is a link to somewhere else")
            if hasattr(os, "getuid"):
                about = self.folder.stat()
                if about.st_uid != os.getuid():
                    raise _in_the_way(self.folder, "it belongs to another user")
                if about.st_mode & 0o077:
                    self.folder.chmod(0o700)
        except OSError as error:
            raise _in_the_way(self.folder, str(error)) from None

    def _replace(self, text: str) -> None:
        # A new file that is renamed over the old one: a reader, or a crash, sees the old or the new, never a part.
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self.path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _in_the_way(self.path, str(error)) from None


def _in_the_way(path: Path, why: str) -> EnvironmentNotReady:
    return EnvironmentNotReady(
        f"tokens cannot be kept in {path}",
        why=why,
        do="choose a folder of your own, on a disk with room",
        remedy=Remedy("choose_folder"),
    )
