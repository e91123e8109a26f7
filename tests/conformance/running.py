"""One scenario, one process of the suite: run within a bound, with everything that it started ended after it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.conformance.npm import Suite, output_of
from tests.conformance.results import Job, Outcome, judge

SCENARIO_SECONDS: Final = 60.0
"""What the suite gives a scenario. Its own half a minute is for an idle machine."""

GRACE_SECONDS: Final = 20.0
"""What the suite may take beside that, to start and to write its verdict."""


def arguments_of(job: Job, target: str, folder: Path) -> list[str]:
    """The suite's arguments for a job.

    Args:
        target: of the client leg the client's command, of the server leg the server's URL.
        folder: where the verdict goes.
    """
    way = ["--command", target] if job.leg == "client" else ["--url", target]
    named = ["--scenario", job.scenario, "--spec-version", job.revision]
    # An extension belongs to no revision: without this the suite would skip it, and say so to nobody.
    forced = ["--force"] if job.leg == "client" else []
    bound = ["--timeout", str(int(SCENARIO_SECONDS * 1000))]
    return [job.leg, *way, *named, *forced, *bound, "--output-dir", str(folder)]


class Runs:
    """The processes of one run of the harness; all can be ended at once, and then none starts any more."""

    def __init__(self) -> None:
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._ended = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the suite with its output in a file; ended in the end, with all that it started itself.

        The suite ends the shell that it ran a client in, not the client: that one must not be left behind.
        """
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )
            try:
                with self._lock:
                    self._alive.add(process)
                    if self._ended:
                        _kill(process)
                yield process
            finally:
                with self._lock:
                    self._alive.discard(process)
                    _kill(process)
                process.wait(timeout=GRACE_SECONDS)

    def end(self) -> None:
        """End all of them, for somebody who does not want to wait."""
        with self._lock:
            self._ended = True
            for process in self._alive:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; it has a session of its own."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # the group keeps its number as long as anything of it lives
    else:
        process.kill()


def run(runs: Runs, suite: Suite, job: Job, target: str, folder: Path, environment: Mapping[str, str]) -> Outcome:
    """Run one scenario and judge it. What the suite says goes to `suite.log` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "suite.log"
    began = time.monotonic()
    code: int | None = None
    command = suite.command(*arguments_of(job, target, folder))
    with runs.start(command, log, environment) as process, contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(timeout=SCENARIO_SECONDS + GRACE_SECONDS)
    seconds = time.monotonic() - began
    return judge(job, output_of(folder), ended_badly=_how_it_ended(code, log), seconds=seconds)


def _how_it_ended(code: int | None, log: Path) -> str:
    """In words, where the suite itself did not say that all is well; empty where it did."""
    if code == 0:
        return ""
    if code is None:
        return f"no end within {SCENARIO_SECONDS + GRACE_SECONDS:.0f} s"
    said = log.read_text("utf-8", "replace")
    reason = re.search(r"Client (?:timed out after \d+ms|exited with code -?\d+)", said)
    return f"the suite ended with code {code}{f': {reason[0].lower()}' if reason else ''}"
