"""Passes of a rehearsal, each in a process and a state folder of its own, side by side, and never without bound."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demo.processes import apart, environment
from deputize import net
from deputize.errors import ExplainedError
from talk.rehearsal.playing import OUTSIDE, Cell, Outcome, Pass

START_SECONDS: Final = 60.0
"""How long the process of a pass may take until it begins its first beat."""
_FENCE: Final = Path(__file__).parent / "fence"


@dataclass
class Rehearsed:
    """What came of a pass: how each beat went, and what tried to leave the machine."""

    outcomes: list[Outcome] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def play(
    plan: str,
    cells: tuple[Cell, ...],
    report: Callable[[Outcome], None],
    *,
    talk: Path | None = None,
    under_way: set[subprocess.Popen[bytes]] | None = None,
) -> Rehearsed:
    """Play one pass in a throwaway world; a beat that does not end in its time ends the pass.

    Args:
        report: told how each beat went, as soon as it has ended.
        talk: the folder of a talk of one's own.
        under_way: has the pass's process while it runs.
    """
    from demo.local_server import local

    state = Path(tempfile.mkdtemp(prefix="demo-rehearsal-"))
    try:
        given = Pass(plan, cells, str(state), net.free_port(), str(talk) if talk else None)
        return _followed(given, report, set() if under_way is None else under_way)
    finally:
        with contextlib.suppress(ExplainedError, OSError):  # what a killed process has left may be in any state
            local.stop(state)
        shutil.rmtree(state, ignore_errors=True)


def play_all(
    passes: list[tuple[str, tuple[Cell, ...]]],
    report: Callable[[Outcome], None],
    *,
    side_by_side: int,
    talk: Path | None,
) -> Rehearsed:
    """Play passes, so many side by side. An interruption ends them, and takes their worlds away."""
    whole, under_way = Rehearsed(), set[subprocess.Popen[bytes]]()
    pool = ThreadPoolExecutor(side_by_side)

    def one_pass(given: tuple[str, tuple[Cell, ...]]) -> Rehearsed:
        return play(given[0], given[1], report, talk=talk, under_way=under_way)

    try:
        for one in pool.map(one_pass, passes):
            whole.outcomes += one.outcomes
            whole.outside += one.outside
        return whole
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(under_way):
            process.kill()
        pool.shutdown()


def _followed(given: Pass, report: Callable[[Outcome], None], under_way: set[subprocess.Popen[bytes]]) -> Rehearsed:
    rehearsed = Rehearsed()
    path = os.pathsep.join(filter(None, (str(_FENCE), os.environ.get("PYTHONPATH"))))
    outside = str(Path(given.state) / OUTSIDE)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "talk.rehearsal.playing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(PYTHONPATH=path, REHEARSAL_OUTSIDE=outside, NO_COLOR="1"),
            **apart(),
        )
        under_way.add(process)
        try:
            assert process.stdin is not None
            process.stdin.write(given.written().encode())
            process.stdin.close()
            beat, fault, seconds = "", "", START_SECONDS
            lines = _lines(process)
            while True:
                try:
                    line = lines.get(timeout=seconds)
                except queue.Empty:
                    _add(
                        rehearsed, _broken(given, beat, fault, f"hangs: no end within {seconds:.0f} s", errors), report
                    )
                    return rehearsed
                if line is None:
                    break
                if "begins" in line:
                    beat, fault, seconds = line["begins"], line["fault"], line["seconds"]
                elif "outcome" in line:
                    _add(rehearsed, Outcome.read(line["outcome"]), report)
                    seconds = START_SECONDS
                else:
                    rehearsed.outside += line["outside"]
            if process.wait(START_SECONDS) != 0:
                _add(
                    rehearsed,
                    _broken(given, beat, fault, f"the process ends with {process.returncode}", errors),
                    report,
                )
            return rehearsed
        finally:
            under_way.discard(process)
            if process.poll() is None:
                process.kill()
                process.wait()


def _add(rehearsed: Rehearsed, outcome: Outcome, report: Callable[[Outcome], None]) -> None:
    rehearsed.outcomes.append(outcome)
    report(outcome)


def _broken(given: Pass, beat: str, fault: str, why: str, errors: Any) -> Outcome:
    errors.seek(0)
    last = errors.read().decode("utf-8", errors="replace").strip().splitlines()[-12:]
    step = next((cell.step for cell in given.cells if cell.beat == beat), 0)
    return Outcome(given.plan, beat, fault, step, "broken", why, 0.0, "\n".join([why, *last]))


def _lines(process: subprocess.Popen[bytes]) -> queue.Queue[dict[str, Any] | None]:
    """The lines that the process writes, as they come; None at their end."""
    came: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            came.put(json.loads(line))
        came.put(None)

    threading.Thread(target=read, daemon=True).start()
    return came
