"""Programs of others, run within bounds: an end in time, nothing left running, whatever ends us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from demo.processes import apart, end_tree, reap
from deputize.signals import signals_ignored

GENTLE_SECONDS: Final = 3.0
"""How long a program has to end by itself once it was asked to."""


@dataclass(frozen=True)
class Ended:
    """What a program said before it ended."""

    code: int
    out: str
    err: str

    def last_words(self, lines: int = 4) -> str:
        """What matters of what went wrong: the lines that say ERROR, else the last ones."""
        said = [line.strip() for line in f"{self.out}\n{self.err}".splitlines()]
        said = [line for line in said if line and not set(line) <= set("─-=⛅️ ") and "🪵" not in line]
        wrong = [line for line in said if "ERROR" in line or line.startswith(("npm error", "Error"))]
        return " / ".join((wrong or said[-lines:])[:lines])


class TooSlow(Exception):
    """A program that did not end within its bound; it is ended."""


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    given: str | None = None,
) -> Ended:
    """Run a program to its end; `given` is what it reads from stdin.

    It has a session of its own, so that Ctrl-C strikes us alone and we end it and all that it started.

    Raises:
        TooSlow: it did not end in time.
        OSError: it cannot be started.
    """
    with _started(command, folder, environment, subprocess.PIPE, subprocess.PIPE) as process:
        try:
            out, err = process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise TooSlow from error
    return Ended(process.returncode, out, err)


@contextmanager
def running(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[str]]:
    """Keep a program running for as long as the block, with all that it says in the file `log`.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("w", encoding="utf-8") as said, _started(command, folder, environment, said, said) as process:
        yield process


def begin(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> int:
    """Start a program that outlives this one, with all that it says in the file `log`; its process's number.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("w", encoding="utf-8") as said:
        started = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            **apart(),
        )
    return started.pid


@contextmanager
def _started(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    out: int | IO[str],
    err: int | IO[str],
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=err,
        text=True,
        encoding="utf-8",
        errors="replace",
        **apart(),
    )
    try:
        yield process
    finally:
        with signals_ignored():
            end(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


def end(process: subprocess.Popen[str]) -> None:
    """End a program and all that it started."""
    for sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, sign)
            else:
                end_tree(process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GENTLE_SECONDS)
            if sign != signal.SIGTERM or not _group_lives(process.pid):
                return


def end_group(leader: int) -> None:
    """End a group of processes that an earlier process of ours started; `leader` is its first one."""
    if not hasattr(os, "killpg"):
        end_tree(leader)
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, sign)
        if not _group_lives(leader):
            return


def kill(pid: int) -> None:
    """End one process at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def kill_group(leader: int) -> None:
    """End a group of processes at once, with no time to end anything well; `leader` is its first one."""
    if not hasattr(os, "killpg"):
        end_tree(leader)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    reap(leader, GENTLE_SECONDS)


def _group_lives(group: int) -> bool:
    """Whether anything of the process group is left: what a program started may outlive it."""
    if not hasattr(os, "killpg"):
        return False
    gone = threading.Event()
    for _ in range(20):
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return False
        gone.wait(0.05)
    return True
