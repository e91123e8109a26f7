"""Reading a recording: whole and checked, or line by line as it grows; and a panel drawn again from its evidence."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from math import isfinite
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, get_type_hints

from demo.evidence.screen import BeatHeader
from deputize.errors import UsageError
from talk.recording.writer import VERSION

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from demo.panels.page import Page

AGAIN = "record it again with this program: demo run"
LATEST = 4e9
"""POSIX seconds; a later beginning (after 2096) is a slip."""
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
        """Of each beat the events of its last play, from its `beat` event on, in the order of first plays. A play that
        went on after an interruption has what was played before that in front."""
        plays: dict[str, list[list[Event]]] = {}
        current: list[Event] = []
        for event in self.events:
            if event.name == "beat":
                current = []
                plays.setdefault(event["header"]["id"], []).append(current)
            current.append(event)
        merged: dict[str, tuple[Event, ...]] = {}
        for beat, made in plays.items():
            whole = made[0]
            for play in made[1:]:
                whole = _carried_on(whole, play)
            merged[beat] = tuple(whole)
        return merged

    def beat(self, beat: str) -> tuple[Event, ...]:
        """The events of one beat.

        Raises:
            UsageError: it is not in the recording.
        """
        if (events := self.beats().get(beat)) is None:
            has = ", ".join(self.beats()) or "none"
            raise UsageError(f"beat {beat!r} is not in the recording {self.path}", why=f"it has {has}", do="name one")
        return events

    def check(self) -> None:
        """See that each of its panels can be drawn, before any is.

        Raises:
            UsageError: one cannot; in which line, and why.
        """
        from demo.panels.fit import drawn

        for event in self.events:
            if event.name == "panel":
                try:
                    drawn(rebuild(event), 80)
                except UsageError as error:
                    raise UsageError(f"{self.path}, {error.what}", why=error.why, do=error.do) from error
                except Exception as error:
                    # Evidence of the right types may still be none: a currency that is not, a time beyond all clocks.
                    what = f"{self.path}, line {event.line}: the panel {event['name']!r} cannot be drawn"
                    raise UsageError(what, why=str(error), do=AGAIN) from error


def _carried_on(before: list[Event], play: list[Event]) -> list[Event]:
    """A play, with what was played before it where it went on from there: the steps that had ended, and that it has not
    played again."""
    if play[0].get("recorded") or any(event.name == "end" for event in before):
        return play
    done = {event["step"] for event in before if event.name == "result"}
    done -= {event["id"] for event in play if event.name == "step"}
    kept, step = [], None
    for event in before:
        step = event["id"] if event.name == "step" else step
        if step in done:
            kept.append(event)
    return [play[0], *kept, *play[1:]]


def read(path: Path) -> Take:
    """Read a recording whole. A last line that is half written (the performance was killed) is left out.

    Raises:
        UsageError: it cannot be read, is no recording, is of another version, or a line of it is broken; which line.
    """
    again = "name another, or record one: demo run"
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not there"
            raise UsageError(f"there is no recording at {path}", why=f"it {what}", do=again)
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
        if not line.strip():
            continue
        try:
            events.append(_event(line, number))
        except _BrokenOff:
            continue  # a crash leaves a line half written, and the performance that carries on ends it
        except ValueError as error:
            raise UsageError(
                f"{path}, line {number}: not a line of a recording", why=str(error), do=f"take the line out, or {again}"
            ) from error
    return Take(path, head, tuple(events))


def begins_like_one(path: Path) -> bool:
    """Whether a file's first bytes are those of a recording, of whichever version."""
    with path.open("rb") as opened:
        return opened.read(13) == b'{"recording":'


def _head(path: Path, line: bytes, again: str) -> Mapping[str, Any]:
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no recording", why="its first line is no JSON", do=again) from error
    if not isinstance(head, dict) or not isinstance(version := head.get("recording"), int):
        raise UsageError(f"{path} is no recording", why="its first line does not say so", do=again)
    if version != VERSION:
        why = f"it is of version {version}, and this program reads version {VERSION}"
        raise UsageError(f"{path} cannot be played", why=why, do=AGAIN)
    for name, kind in (("run", str), ("plan", str), ("started_at", int | float)):
        if not isinstance(head.get(name), kind):
            raise UsageError(f"{path} is no recording", why=f"its first line has no {name!r}", do=again)
    if not 0 <= head["started_at"] < LATEST:
        raise UsageError(f"{path} is no recording", why="'started_at' in its first line is no time", do=again)
    return MappingProxyType(head)


class _BrokenOff(ValueError):
    """A line is the beginning of one."""


_TEXT, _FLAG = (str, NoneType), (bool, NoneType)
"""What may be missing."""
_SHAPES: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "beat": {"header": dict, "recorded": _FLAG},
    "step": {"id": str, "do": str, "title": _TEXT},
    "panel": {"name": str, "with": dict, "shown_as": _TEXT, "step": _TEXT},
    "note": {"text": str},
    "waiting": {"what": str},
    "pause": {"text": _TEXT},
    "trouble": {"text": str},
    "recovery": {"how": str},
    "consent": {"state": str, "human": _TEXT, "agent": _TEXT, "amount": _TEXT},
    "result": {
        **{"step": str, "ok": _FLAG, "status": (int, NoneType)},
        **dict.fromkeys(("skipped", "error", "verdict", "gate", "rule", "order_id", "username", "agent"), _TEXT),
    },
    "closing": {"text": str},
    "end": {"beat": str, "ok": _FLAG, "skipped": _TEXT},
    "stage": {"state": str},
}
"""What readers rely on. An event that is not here is ignored by a reader that does not know it."""
_HEADER: Mapping[str, type | tuple[type, ...]] = {
    **{"id": str, "title": str, "speaker": str},
    **{"number": int, "of": int, "minutes": (int, float), "topics": list},
}


def _event(line: bytes, number: int) -> Event:
    """The event that a line holds.

    Raises:
        ValueError: it holds none, and why.
    """
    text = line.decode("utf-8", "replace").rstrip()
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        if text.startswith("{") and (error.pos >= len(text) or error.msg.startswith("Unterminated string")):
            raise _BrokenOff from error
        raise ValueError(f"it is no JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")
    at, name = fields.pop("at", None), fields.pop("event", None)
    if isinstance(at, bool) or not isinstance(at, int | float) or not isfinite(at):
        raise ValueError("it has no time: 'at' is to be a number of seconds")
    if not isinstance(name, str):
        raise ValueError("it has no 'event'")
    wanted = {key: (fields, kind) for key, kind in _SHAPES.get(name, {}).items()}
    if isinstance(header := fields.get("header"), dict) and name == "beat":
        wanted |= {key: (header, kind) for key, kind in _HEADER.items()}
    for key, (place, kind) in wanted.items():
        if not isinstance(place.get(key), kind):
            raise ValueError(f"{key!r} of the event {name!r} is missing, or is not what it should be")
    return Event(float(at), name, MappingProxyType(fields), number)


def parsed(line: bytes, number: int = 0) -> Event | None:
    """The event that a line holds; None where it holds none."""
    try:
        return _event(line, number)
    except ValueError:
        return None


def header_of(event: Event) -> BeatHeader:
    """The header of a `beat` event."""
    given = {name: value for name, value in event["header"].items() if name in _HEADER}
    recorded = bool(event.get("recorded"))
    return BeatHeader(**given | {"topics": tuple(map(str, given["topics"])), "recorded": recorded})


class Tail:
    """Follows a recording as it grows. One that is not there yet has no events; one that was replaced is read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
        return events


def rebuild(event: Event) -> Page:
    """The panel of a `panel` event, drawn again from its evidence.

    Raises:
        UsageError: there is no such panel, or its evidence is not what that draws.
    """
    from pydantic import ValidationError

    from demo.panels.page import Page

    name, given = event.get("name"), event.get("with")
    try:
        panel, readers = _panel(name)
    except AttributeError as error:
        raise UsageError(f"line {event.line}: there is no panel {name!r}", do=AGAIN) from error
    try:
        arguments = {parameter: readers[parameter].validate_python(value) for parameter, value in given.items()}
        bound = inspect.signature(panel).bind_partial()
        bound.arguments.update(arguments)
        page = panel(*bound.args, **bound.kwargs)
    except (KeyError, TypeError, ValidationError) as error:
        raise UsageError(
            f"line {event.line}: the evidence of the panel {name!r} is not what it draws",
            why=" ".join(str(error).split())[:200],
            do=AGAIN,
        ) from error
    assert isinstance(page, Page)
    return page


@functools.cache
def _panel(name: str) -> tuple[Callable[..., Page], Mapping[str, TypeAdapter[Any]]]:
    """A panel, and what reads each of its parameters.

    Raises:
        AttributeError: there is none of this name.
    """
    from pydantic import ConfigDict, TypeAdapter

    from demo import panels

    panel = getattr(panels, name) if name.isidentifier() and not name.startswith("_") else None
    # What that package uses itself, such as `import_module`, is named in it as well, and is no panel.
    if not callable(panel) or getattr(panel, "__module__", "") != f"{panels.__name__}._{name}":
        raise AttributeError(name)
    hints = get_type_hints(inspect.unwrap(panel))
    # A dataclass has a configuration of its own, and Pydantic takes no other.
    config = ConfigDict(arbitrary_types_allowed=True)
    return panel, {
        parameter: TypeAdapter(hint, config=None if is_dataclass(hint) else config)
        for parameter, hint in hints.items()
        if parameter != "return"
    }
