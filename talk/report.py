"""A performance as machine output: the JSON of `demo run --json` and JUnit XML."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from deputize.errors import UsageError
from deputize.text import json_text
from talk.playing import KINDS
from talk.results import BeatResult, StepResult

SCHEMA = 1
_DECISION = ("verdict", "rule", "reason", "user", "agent", "tool", "audit_id")


def too_little(beats: Sequence[BeatResult], most: int | None) -> str | None:
    """Why so much was skipped that the talk counts as not played; None where enough was.

    Args:
        most: how many steps may be skipped; by default half of those that speak to a server. A talk of which less was
            played says nothing of the server, and must not pass for a good one.
    """
    speaking = [step for beat in beats for step in beat.steps if KINDS[step.do].speaks]
    skipped = sum(1 for step in speaking if step.skipped)
    if skipped <= (len(speaking) // 2 if most is None else most):
        return None
    limit = "more than half" if most is None else f"more than --max-skipped {most}"
    return f"{skipped} of {len(speaking)} steps that speak to the server were skipped, {limit}"


def as_json(
    plan: str, server: str, beats: Sequence[BeatResult], seconds: float, *, too_little: str | None = None
) -> dict[str, Any]:
    """The object that docs/cli.md promises for `demo run --ci --json`.

    Args:
        too_little: why too much was skipped.
    """
    steps = [step for beat in beats for step in beat.steps]
    skipped = sum(1 for step in steps if step.skipped)
    first: dict[str, Any] = {"too_little": too_little} if too_little is not None else {}
    return first | {
        "schema": SCHEMA,
        "plan": plan,
        "server": server,
        "ok": all(beat.ok and not beat.ungranted for beat in beats) and too_little is None,
        "played": len(steps) - skipped,
        "skipped": skipped,
        "seconds": round(seconds, 3),
        "beats": [_beat(beat) for beat in beats],
    }


class Reports:
    """Where a run's result is written, looked at before the first beat: a folder that is missing is made, and a place
    that cannot be written is said before anything was played for it.

    Args:
        json_file: for the JSON object; `-` for stdout, None for nowhere.
        junit_file: for JUnit XML, likewise.
        json_to_stdout: whether the JSON object goes to stdout whatever `json_file` is.

    Raises:
        UsageError: both go to stdout, or one cannot be written.
    """

    def __init__(self, json_file: Path | None, junit_file: Path | None, *, json_to_stdout: bool = False) -> None:
        self._json = STDOUT if json_to_stdout else json_file
        self._junit = junit_file
        if self._json == STDOUT and self._junit == STDOUT:
            raise UsageError("two reports go to stdout", why="a reader could not tell them apart", do="name a file")
        for file in (self._json, self._junit):
            if file is not None and file != STDOUT:
                _see_that_it_can_be_written(file)

    @property
    def to_stdout(self) -> bool:
        """Whether stdout is a report's, and nothing else may be said there."""
        return STDOUT in (self._json, self._junit)

    @property
    def wanted(self) -> bool:
        """Whether there is any."""
        return self._json is not None or self._junit is not None

    def write(
        self,
        plan: str,
        server: str,
        beats: Sequence[BeatResult],
        seconds: float,
        *,
        too_little: str | None = None,
    ) -> list[str]:
        """Write what was asked for, each for itself.

        Args:
            too_little: why too much was skipped, None where it was not.

        Returns:
            A line for each that could not be written, with the reason.
        """
        problems = []
        as_object = json_text(as_json(plan, server, beats, seconds, too_little=too_little))
        for file, text in (
            (self._json, as_object),
            (self._junit, as_junit(plan, beats, seconds, too_little=too_little)),
        ):
            try:
                if file == STDOUT:
                    with contextlib.suppress(BrokenPipeError):  # its reader has gone
                        sys.stdout.write(f"{text}\n")
                        sys.stdout.flush()
                elif file is not None:
                    _replace(file, f"{text}\n")
            except OSError as error:
                problems.append(f"{file}: {error.strerror or error}")
        return problems


STDOUT = Path("-")


def _see_that_it_can_be_written(file: Path) -> None:
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if _is_plain(file):
            file = file.resolve()
            file.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=file.parent).close()
        elif not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{file} cannot be written", why=why, do="name another file") from error


def _is_plain(file: Path) -> bool:
    """Whether it is a file, or will be one. A device or a pipe (`/dev/null`, `>(tee ...)`) is written to as it is, and
    opened only then: its reader would take the end of a first look for the end."""
    return file.is_file() or not file.exists()


def _replace(file: Path, text: str) -> None:
    """Write a file whole: who reads it, or a full disk, sees the old one or the new one."""
    if not _is_plain(file):
        file.write_text(text, "utf-8")
        return
    file = file.resolve()  # a link goes on to lead where it led
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _beat(beat: BeatResult) -> dict[str, Any]:
    recovered = {"recovered": beat.recovered} if beat.recovered is not None else {}
    return recovered | {
        "id": beat.id,
        "title": beat.title,
        "ok": beat.ok,
        "skipped": beat.skipped,
        "seconds": round(beat.seconds, 3),
        "topics": list(beat.topics),
        "said": beat.said or None,
        "steps": [_step(step) for step in beat.steps],
    }


def _step(step: StepResult) -> dict[str, Any]:
    found = {
        "id": step.id,
        "do": step.do,
        "ok": step.ok,
        "expected": dict(step.expected),
        "observed": dict(step.observed),
        "http_status": step.http_status,
        "decision": _decision(step.decision),
    }
    more = (
        ("error", step.error),
        ("skipped", step.skipped),
        ("unchecked", dict(step.unchecked)),
        ("outcome", step.outcome),
    )
    return found | {name: value for name, value in more if value}


def _decision(decision: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if decision is None else {name: decision.get(name) for name in _DECISION}


def as_junit(plan: str, beats: Sequence[BeatResult], seconds: float, *, too_little: str | None = None) -> str:
    """JUnit XML: a test suite a plan, a class a beat, a test case a step; one more where too much was skipped."""
    steps = [(beat, step) for beat in beats for step in beat.steps]
    failures = sum(1 for _, step in steps if not step.ok or step.ungranted)
    skipped = sum(1 for _, step in steps if step.skipped)
    suite = ElementTree.Element(
        "testsuite",
        name=f"demo {plan}",
        tests=str(len(steps) + (too_little is not None)),
        failures=str(failures + (too_little is not None)),
        skipped=str(skipped),
        time=f"{seconds:.3f}",
    )
    for beat, step in steps:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{plan}.{beat.id}", name=step.id, time=f"{step.seconds:.3f}"
        )
        if step.skipped:
            ElementTree.SubElement(case, "skipped", message=_printable(step.skipped))
        elif not step.ok or step.ungranted:
            ElementTree.SubElement(case, "failure", message=_printable(failure(step)))
    if too_little is not None:
        case = ElementTree.SubElement(suite, "testcase", classname=plan, name="max-skipped", time="0.000")
        ElementTree.SubElement(case, "failure", message=_printable(too_little))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def failure(step: StepResult) -> str:
    """One line on why a step is red, or leaves the run where it is."""
    if step.error:
        return step.error
    if step.ungranted:
        return f"nothing was granted ({step.outcome})"
    seen = {key: step.observed.get(key, "nothing") for key in step.observed}
    wanted = ", ".join(f"{key} = {step.expected.get(key)!r}" for key in step.failed)
    return f"expected {wanted}; saw {seen!r}"


_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for (section 2.2, production 2); a server's words may hold some."""


def _printable(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
