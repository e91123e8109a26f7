"""A performance as machine output: the JSON of `demo run --json` and JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from talk.run import BeatResult, StepResult

SCHEMA = 1
_DECISION = ("verdict", "rule", "reason", "user", "agent", "tool", "audit_id")


def as_json(plan: str, server: str, beats: Sequence[BeatResult], seconds: float) -> dict[str, Any]:
    """The object that docs/cli.md promises for `demo run --ci --json`."""
    return {
        "schema": SCHEMA,
        "plan": plan,
        "server": server,
        "ok": all(beat.ok for beat in beats),
        "seconds": round(seconds, 3),
        "beats": [_beat(beat) for beat in beats],
    }


def _beat(beat: BeatResult) -> dict[str, Any]:
    return {
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
    told = {
        "id": step.id,
        "do": step.do,
        "ok": step.ok,
        "expected": dict(step.expected),
        "observed": dict(step.observed),
        "http_status": step.http_status,
        "decision": _decision(step.decision),
    }
    more = (("error", step.error), ("skipped", step.skipped), ("unchecked", dict(step.unchecked)))
    return told | {name: value for name, value in more if value}


def _decision(decision: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if decision is None else {name: decision.get(name) for name in _DECISION}


def as_junit(plan: str, beats: Sequence[BeatResult], seconds: float) -> str:
    """JUnit XML: a test suite a plan, a class a beat, a test case a step."""
    steps = [(beat, step) for beat in beats for step in beat.steps]
    failures = sum(1 for _, step in steps if not step.ok)
    skipped = sum(1 for _, step in steps if step.skipped)
    suite = ElementTree.Element(
        "testsuite",
        name=f"demo {plan}",
        tests=str(len(steps)),
        failures=str(failures),
        skipped=str(skipped),
        time=f"{seconds:.3f}",
    )
    for beat, step in steps:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{plan}.{beat.id}", name=step.id, time=f"{step.seconds:.3f}"
        )
        if step.skipped:
            ElementTree.SubElement(case, "skipped", message=_printable(step.skipped))
        elif not step.ok:
            ElementTree.SubElement(case, "failure", message=_printable(failure(step)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def failure(step: StepResult) -> str:
    """One line on why a step is red."""
    if step.error:
        return step.error
    seen = {key: step.observed.get(key, "nothing") for key in step.observed}
    wanted = ", ".join(f"{key} = {step.expected.get(key)!r}" for key in step.failed)
    return f"expected {wanted}; saw {seen!r}"


_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for (section 2.2, production 2); a server's words may hold some."""


def _printable(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
