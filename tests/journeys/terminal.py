"""A command in a terminal of its own (a pty), so that it believes a person is watching."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests import in_process
from tests.conftest import HANGS

if TYPE_CHECKING:
    from tests.conftest import Command

ROOT = Path(__file__).parent.parent.parent
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Pty:
    """Runs a command in a pty of the given size. `screen` is everything that it wrote so far, unescaped."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, width: int = 80, height: int = 24
    ) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
            # The pty must be the controlling terminal, or Ctrl-C typed into it reaches nobody.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.line = slave
        """The terminal's own side, to look at its mode."""
        self.written = b""

    @property
    def screen(self) -> str:
        return _ESCAPES.sub("", self.written.decode("utf-8", "replace"))

    def until(self, pattern: str, timeout: float = HANGS) -> re.Match[str]:
        """Read on until `pattern` is on the screen."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.screen)) is None:
            self._read(min(deadline, time.monotonic() + 0.5))
            gone = self.process.poll() is not None and not self._read(time.monotonic() + 0.2)
            late = time.monotonic() > deadline
            assert not (gone or late), f"{pattern!r} never came. The screen:\n{self.screen}"
        return found

    def read_for(self, seconds: float) -> None:
        """Read what is written meanwhile."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass

    def type(self, keys: str | bytes) -> None:
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def lines(self) -> list[str]:
        """The lines as they stand at the end: what was drawn over is gone."""
        text = re.sub(r"[^\n]*\r\x1b\[2K", "", self.written.decode("utf-8", "replace").replace("\r\n", "\n"))
        return _ESCAPES.sub("", text).split("\n")

    def wait(self, timeout: float = HANGS) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(time.monotonic() + 0.1)
        while self._read(time.monotonic() + 0.2):
            pass
        return self.process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=HANGS)
        os.close(self._master)
        os.close(self.line)

    def _read(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # the other side is closed: Linux says EIO
            return False
        self.written += chunk
        return bool(chunk)


class Terminal(Pty):
    """Runs `demo ARGUMENTS` in a pty of the given size.

    Where a test's servers are threads the local one runs already, unless `served` is false.
    """

    def __init__(
        self,
        demo: Command,
        *arguments: str,
        width: int = 80,
        height: int = 24,
        browser: str = "true",
        served: bool = True,
    ) -> None:
        if served:
            in_process.serve(demo.state)
        environment = demo.environment() | {"TERM": "xterm-256color", "BROWSER": browser}
        environment.pop("COLUMNS", None)
        command = [sys.executable, "-m", "demo", *arguments]
        super().__init__(command, environment, cwd=ROOT, width=width, height=height)
