"""Spans out of a file (`demo.tracing.file`, or anybody's in OTLP's JSON mapping), as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from demo.evidence.audit import TracedSpan
from deputize.errors import UsageError

MOST_BYTES: Final = 256 * 1024 * 1024
_KINDS: Final = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_FAILED: Final = 2


def read(file: Path) -> tuple[TracedSpan, ...]:
    """Every span of a file, in the order in which they began. A line that another process is writing is passed over.

    Raises:
        UsageError: it cannot be read, or there is no span in it.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UsageError(f"{file} is too long to be read", do="name a newer file with --trace FILE")
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"{file} cannot be read", why=why, do="write one: demo --trace FILE call ...") from None
    found = sorted((span for line in text.splitlines() for span in _spans(line)), key=lambda span: span.at)
    if not found:
        raise UsageError(
            f"there is no span in {file}",
            why="it is no trace in OTLP's JSON",
            do="write one: demo --trace FILE call ...",
        )
    return tuple(found)


def one_trace(spans: tuple[TracedSpan, ...], trace: str | None) -> tuple[TracedSpan, ...]:
    """The spans of one trace: of the one that is named, also by its beginning, else of the one that began last.

    Raises:
        UsageError: there is none such, or several.
    """
    if trace is None:
        roots = [span for span in spans if span.parent is None] or list(spans)
        trace = roots[-1].trace
    ids = {span.trace for span in spans if span.trace.startswith(trace.lower())}
    if len(ids) != 1:
        raise UsageError(
            f"{'several traces begin' if ids else 'no trace begins'} with {trace}",
            do="take the trace id of an entry: demo audit --json",
        )
    return tuple(span for span in spans if span.trace in ids)


def tree(spans: tuple[TracedSpan, ...]) -> Iterator[tuple[int, TracedSpan]]:
    """The spans of one trace from the top, each with its depth; one whose parent is not there stands at the top."""
    below: dict[str | None, list[TracedSpan]] = {}
    there = {span.id for span in spans}
    for span in spans:
        below.setdefault(span.parent if span.parent in there and span.parent != span.id else None, []).append(span)
    waiting = [(0, span) for span in reversed(below.get(None, []))]
    seen: set[str] = set()
    while waiting:
        depth, span = waiting.pop()
        if span.id in seen:
            continue
        seen.add(span.id)
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(below.get(span.id, []))]


def _spans(line: str) -> Iterator[TracedSpan]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return
    for resource in _list(told, "resourceSpans"):
        about = _attributes(resource.get("resource"))
        for scope in _list(resource, "scopeSpans"):
            for given in _list(scope, "spans"):
                try:
                    begun, ended = int(given["startTimeUnixNano"]), int(given["endTimeUnixNano"])
                    status = given.get("status")
                    yield TracedSpan(
                        trace=str(given["traceId"]).lower(),
                        id=str(given["spanId"]).lower(),
                        parent=str(given["parentSpanId"]).lower() if given.get("parentSpanId") else None,
                        name=str(given.get("name", "")),
                        service=str(about.get("service.name", "")),
                        kind=_KINDS.get(given.get("kind", 0), ""),
                        at=begun / 1e9,
                        seconds=max(0, ended - begun) / 1e9,
                        failed=isinstance(status, Mapping) and status.get("code") == _FAILED,
                        attributes=tuple((name, str(value)) for name, value in _attributes(given).items()),
                    )
                except (KeyError, TypeError, ValueError, OverflowError):
                    continue


def _list(told: Any, name: str) -> list[Mapping[str, Any]]:
    found = told.get(name) if isinstance(told, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _attributes(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in _list(told, "attributes"):
        value = one.get("value")
        if isinstance(value, Mapping) and len(value) == 1:
            found[str(one.get("key", ""))] = next(iter(value.values()))
    return found
