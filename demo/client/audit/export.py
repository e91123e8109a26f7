"""The audit trail in a file: JSON lines, which can be verified again without a server, or CSV for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TextIO

from demo.client.audit.chain import Reading
from demo.client.audit.reading import Trail
from demo.evidence.shop import Decision
from deputize import private
from deputize.errors import UsageError
from deputize.http.sanitizing import safe_text
from deputize.text import spreadsheet_cell

KIND: Final = "audit trail"
_END: Final = 2.0**53
"""No time is later; a number that is none is not below it either."""
LONGEST: Final = 64 * 2**20
"""Characters of a line that are read: a file that has no end of line is not read into memory whole."""
COLUMNS: Final = ("log", "seq", *(field.name for field in fields(Decision)), "link")


def json_lines(trail: Trail, at: float) -> Iterator[str]:
    """A line about the trail with the shop's keys, one about each log with its checkpoints, and one for each entry.

    Args:
        at: when it was read, in POSIX seconds.
    """
    about = {"kind": KIND, "schema": 1, "server": trail.server, "reader": trail.reader, "at": at}
    yield _line({**about, "keys_at": trail.keys_at, "jwks": trail.jwks})
    for log in trail.logs:
        told = {name: value for name, value in vars(log).items() if name != "entries"}
        yield _line({**told, "checkpoints": list(log.checkpoints)})
        for item in log.entries:
            yield _line({"of": log.log, **item})


def table(trail: Trail) -> str:
    """The entries as CSV (RFC 4180), for reading: what a terminal would obey, or a spreadsheet run as a formula, is
    written so that it does not, and so this is no copy that could be verified."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for log in trail.logs:
        for item in log.entries:
            entry = item.get("entry")
            row = {**(entry if isinstance(entry, Mapping) else {}), "log": log.log, "link": item.get("link")}
            writer.writerow(["" if row.get(name) is None else _cell(str(row[name])) for name in COLUMNS])
    return text.getvalue()


def write(text: str, file: Path) -> None:
    """Write an export, whole or not at all, for its owner's eyes alone.

    Raises:
        UsageError: it cannot be written, or there is such a file, which may be the only copy of something.
    """
    if file.exists():
        raise UsageError(f"{file} is there already", do="name another file, or move that one away")
    try:
        private.write(file, text)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written", why=error.strerror or str(error), do="name another file"
        ) from error


def lines_of(file: TextIO, name: str) -> Iterator[str]:
    """Its lines.

    Raises:
        UsageError: one is longer than any of an export.
    """
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise _no_export(name, number, "it does not end")
        yield line


def read(lines: Iterable[str], name: str) -> Trail:
    """A trail as `json_lines` wrote it.

    Args:
        name: of the file, for what is said of it.

    Raises:
        UsageError: it is none; which line, and why.
    """
    about: dict[str, Any] | None = None
    logs: dict[str, tuple[dict[str, Any], list[Mapping[str, Any]]]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise _no_export(name, number, "it is no JSON object")
        if about is None:
            if told.get("kind") != KIND or told.get("schema") != 1:
                raise _no_export(name, number, f'the first line says kind "{KIND}", schema 1')
            about = told
        elif "of" in told:
            if not isinstance(told["of"], str) or told["of"] not in logs:
                raise _no_export(name, number, "its log has no line of its own before it")
            logs[told["of"]][1].append(told)
        else:
            logs[_text(told, "log", name, number)] = (told, [])
            for wanted in ("size", "pruned"):
                if type(told.get(wanted)) is not int:
                    raise _no_export(name, number, f"{wanted} is a number")
            _text(told, "pruned_link", name, number)
    if about is None:
        raise _no_export(name, 1, "it is empty")
    jwks, user, at = about.get("jwks"), about.get("reader"), about.get("at")
    return Trail(
        server=_text(about, "server", name, 1),
        reader=user if isinstance(user, str) else None,
        logs=tuple(_reading(told, entries) for told, entries in logs.values()),
        jwks=jwks if isinstance(jwks, dict) else None,
        keys_at=about["keys_at"] if isinstance(about.get("keys_at"), str) else None,
        at=float(at) if isinstance(at, int | float) and abs(at) < _END else None,
    )


def _reading(told: Mapping[str, Any], entries: list[Mapping[str, Any]]) -> Reading:
    user, checkpoint, older = told.get("user"), told.get("checkpoint"), told.get("checkpoints")
    return Reading(
        log=told["log"],
        user=user if isinstance(user, str) else None,
        size=told["size"],
        pruned=told["pruned"],
        pruned_link=told["pruned_link"],
        entries=tuple(entries),
        checkpoint=checkpoint if isinstance(checkpoint, str) else None,
        checkpoints=tuple(one for one in older if isinstance(one, str)) if isinstance(older, list) else (),
    )


def _text(told: Mapping[str, Any], wanted: str, name: str, number: int) -> str:
    found = told.get(wanted)
    if not isinstance(found, str):
        raise _no_export(name, number, f"{wanted} is a text")
    return found


def _no_export(name: str, number: int, why: str) -> UsageError:
    return UsageError(
        f"{name} is no export of an audit trail", why=f"line {number}: {why}", do="make one: demo audit export"
    )


def _cell(text: str) -> str:
    return spreadsheet_cell(safe_text(text, one_line=True))


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
