"""Reading a recording: whole and checked, or line by line as it grows; and a panel drawn again from its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from demo.errors import UsageError
from talk.recording.writer import VERSION

if TYPE_CHECKING:
    from demo.panels.page import Page

LONGEST = 64 * 1024 * 1024
"""Bytes of a file that is read whole; a talk takes less than a hundredth of it."""


@dataclass(frozen=True)
class Event:
    """One line: what happened (`name`), when (`at`, seconds since the run began), and what belongs to it."""

    at: float
    name: str
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    line: int = 0

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or `default`."""
        return self.fields.get(name, default)


@dataclass(frozen=True)
class Take:
    """A recording, read whole. `head` is its first line."""

    path: Path
    head: Mapping[str, Any]
    events: tuple[Event, ...]

    @property
    def plan(self) -> str:
        """The id of its plan."""
        return str(self.head["plan"])

    def beats(self) -> Mapping[str, tuple[Event, ...]]:
        """Of each beat the events of its last play, from its `beat` event on, in the order of first plays."""
        found: dict[str, list[Event]] = {}
        current: list[Event] | None = None
        for event in self.events:
            if event.name == "beat":
                current = found[event["header"]["id"]] = []
            if current is not None:
                current.append(event)
        return {beat: tuple(events) for beat, events in found.items()}


def read(path: Path) -> Take:
    """Read a recording whole. A last line that is half written (the performance was killed) is left out.

    Raises:
        UsageError: it cannot be read, is no recording, is of another version, or a line of it is broken; which line.
    """
    again = "name another, or record one: demo run"
    try:
        if not path.is_file():
            raise UsageError(f"there is no recording at {path}", do=again)
        if path.stat().st_size > LONGEST:
            raise UsageError(f"{path} is no recording", why=f"it is larger than {LONGEST // 2**20} MiB", do=again)
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=error.strerror or str(error), do=again) from error
    *lines, rest = data.split(b"\n")
    if not lines:
        why = "it is empty" if not rest else "its first line has no end"
        raise UsageError(f"{path} is no recording", why=why, do=again)
    head = _head(path, lines[0], again)
    events = []
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            event = parsed(line, number)
            if event is None:
                # A crash leaves a line half written, and the performance that carries on ends it.
                if number - 1 < len(lines) - 1 and not _broken_off(line):
                    raise UsageError(f"{path}, line {number}: not a line of a recording", do=again)
                continue
            events.append(event)
    return Take(path, head, tuple(events))


def _head(path: Path, line: bytes, again: str) -> Mapping[str, Any]:
    try:
        head = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path} is no recording", why="its first line is no JSON", do=again) from error
    if not isinstance(head, dict) or not isinstance(version := head.get("recording"), int):
        raise UsageError(f"{path} is no recording", why="its first line does not say so", do=again)
    if version != VERSION:
        why = f"it is of version {version}, and this program reads version {VERSION}"
        raise UsageError(f"{path} cannot be played", why=why, do="record it again with this program: demo run")
    for name, kind in (("run", str), ("plan", str), ("started_at", int | float)):
        if not isinstance(head.get(name), kind):
            raise UsageError(f"{path} is no recording", why=f"its first line has no {name!r}", do=again)
    return MappingProxyType(head)


def _broken_off(line: bytes) -> bool:
    """Whether a line is the beginning of one."""
    return line.startswith(b"{") and not line.rstrip().endswith(b"}")


def parsed(line: bytes, number: int = 0) -> Event | None:
    """The event that a line holds; None where it holds none."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    at, name = fields.pop("at", None), fields.pop("event", None)
    if not isinstance(at, int | float) or not isinstance(name, str):
        return None
    return Event(float(at), name, MappingProxyType(fields), number)


class Tail:
    """Follows a recording as it grows. One that is not there yet has no events; one that was replaced is read anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Mapping[str, Any] = MappingProxyType({})
        self._at = 0
        self._rest = b""
        self._file: tuple[int, int] | None = None

    def new(self) -> list[Event]:
        """The events that were added since the last time, oldest first."""
        try:
            with self.path.open("rb") as opened:
                import os

                about = os.fstat(opened.fileno())
                if self._file != (about.st_dev, about.st_ino) or about.st_size < self._at:
                    self._file, self._at, self._rest = (about.st_dev, about.st_ino), 0, b""
                opened.seek(self._at)
                data = opened.read(LONGEST)
        except OSError:
            return []
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            if (event := parsed(line)) is not None:
                events.append(event)
            elif line.startswith(b'{"recording"'):
                self.head = MappingProxyType(json.loads(line))
        return events


def rebuild(event: Event) -> Page:
    """The panel of a `panel` event, drawn again from its evidence.

    Raises:
        UsageError: there is no such panel, or its evidence is not what that draws.
    """
    import inspect
    from typing import get_type_hints

    from pydantic import ConfigDict, TypeAdapter, ValidationError

    from demo import panels
    from demo.panels.page import Page

    name, given = event.get("name"), event.get("with")
    panel = getattr(panels, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not callable(panel) or not isinstance(given, Mapping):
        raise UsageError(
            f"line {event.line}: there is no panel {name!r}", do="record it again with this program: demo run"
        )
    try:
        hints = get_type_hints(inspect.unwrap(panel))
        strict = ConfigDict(arbitrary_types_allowed=True)
        arguments = {
            parameter: TypeAdapter(hints[parameter], config=None if _own(hints[parameter]) else strict).validate_python(
                value
            )
            for parameter, value in given.items()
        }
        bound = inspect.signature(panel).bind_partial()
        bound.arguments.update(arguments)
        page = panel(*bound.args, **bound.kwargs)
    except (KeyError, TypeError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(
            f"line {event.line}: the evidence of the panel {name!r} is not what it draws",
            why=why,
            do="record it again with this program: demo run",
        ) from error
    assert isinstance(page, Page)
    return page


def _own(hint: Any) -> bool:
    """Whether Pydantic takes no configuration for this type: a dataclass has its own."""
    import dataclasses

    return dataclasses.is_dataclass(hint)
