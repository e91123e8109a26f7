"""A peer's process, read line by line, within bounds."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.conftest import HANGS


class Running:
    """A process. `said` is what it has written so far, to stdout and stderr together."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def line(self, holding: str, seconds: float = 40.0) -> str:
        """The next line that holds a text; what stands before it is passed over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                break
            self.said.append(line)
            if holding in line:
                return line.strip()
        raise AssertionError(f"no line with {holding!r} in:\n{''.join(self.said)}")

    def rest(self, seconds: float = 5.0) -> str:
        """All that it has written, when it has ended."""
        self.end(seconds)
        return "".join(self.said)

    def end(self, seconds: float = 40.0) -> int:
        """Wait for its end. Returns the exit code; `said` is complete."""
        code = self.process.wait(timeout=seconds)
        while (line := self._lines.get(timeout=seconds)) is not None:
            self.said.append(line)
        return code


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], cwd: str | None = None) -> Iterator[Running]:
    """Start a process, and see that it ends, with all that it started: workerd outlives a wrangler that is killed."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environment),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(HANGS)
