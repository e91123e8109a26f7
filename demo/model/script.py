"""A run of a model in a file: lines that somebody wrote, or what a model answered once. Its calls are made for real.

TOML (docs/agent.md has an example). A line is played where its conditions hold, so that a script reacts to what it
reads as a model would: the first line after those that were played, and a line again where it says `times`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from demo.evidence.model import MadeBy, ModelCall, ModelEvent, ModelTask, ModelWords
from deputize.errors import EnvironmentNotReady, UsageError
from deputize.text import json_text

SHIPPED: Final = Path(__file__).parent / "scripts"
BY_HAND: Final = "script"
"""What `made_by` says of lines that somebody wrote; else it names the model that answered them."""
LONGEST: Final = 1_000_000
"""Bytes of a file."""
_FILE = ("made_by", "task", "line")
_LINE = ("says", "calls", "asked", "read", "last", "times")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Wanted:
    """A call that a line makes; `arguments` are text where they are no JSON object."""

    tool: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One answer of a script, and where it is given.

    Args:
        says: its words; `{name}` stands for a named group that `asked` or `read` found, here and in `calls`.
        calls: what it calls; a line without calls is the last of a run.
        asked: is found in what the human asked for.
        read: is found in something that the script has read so far.
        last: how the last call ended: `allowed`, `refused`, `error`, or the rule of the gate that refused it.
        times: how often it may be played in a row, as long as its conditions hold.
    """

    says: str = ""
    calls: tuple[Wanted, ...] = ()
    asked: re.Pattern[str] | None = None
    read: re.Pattern[str] | None = None
    last: str | None = None
    times: int = 1


@dataclass(frozen=True)
class Script:
    """Lines, and who made them: `script`, or the name of the model that answered them once."""

    name: str
    lines: tuple[Line, ...]
    made_by: str = BY_HAND
    task: str = ""

    @property
    def kind(self) -> MadeBy:
        """Whether somebody wrote it or a model answered it."""
        return "script" if self.made_by == BY_HAND else "recording"


@dataclass(frozen=True)
class Came:
    """What a call came to, as a script may ask for it."""

    text: str
    ended: str
    """`allowed`, `refused` or `error`."""
    rule: str = ""


class OutOfLines(Exception):
    """A script has no line for what came, or none that can be found in time."""


PATIENCE: Final = 1.0
"""Seconds of this process's work that may pass before the next line is found. Python's `re` has no bound, and a pattern
that somebody else wrote, tried against what somebody else says, may backtrack for ever (CWE-1333)."""


class Player:
    """One run of a script."""

    def __init__(self, script: Script) -> None:
        self._lines = script.lines
        self._at, self._played = 0, 0

    def next(self, prompt: str, came: Iterable[Came]) -> Line:
        """The line that is due, its slots filled in.

        Args:
            came: of the calls so far.

        Raises:
            OutOfLines: there is none, or a pattern takes too long.
        """
        seen, until = tuple(came), time.process_time() + PATIENCE
        for at in range(self._at, len(self._lines)):
            line = self._lines[at]
            if at == self._at and self._played >= line.times:
                continue
            if (found := _holds(line, prompt, seen, until)) is not None:
                self._played = self._played + 1 if at == self._at else 1
                self._at = at
                return _filled(line, found)
        raise OutOfLines("the script has no line for what came")


def _holds(line: Line, prompt: str, came: tuple[Came, ...], until: float) -> Mapping[str, str] | None:
    """What the named groups of a line's conditions found; None where one does not hold."""
    found: dict[str, str] = {}
    if line.asked is not None:
        if (asked := _search(line.asked, prompt, until)) is None:
            return None
        found |= asked
    if line.read is not None:
        looked = (_search(line.read, each.text, until) for each in reversed(came))
        read = next((one for one in looked if one is not None), None)
        if read is None:
            return None
        found |= read
    if line.last is not None and (not came or line.last not in (came[-1].ended, came[-1].rule)):
        return None
    return MappingProxyType(found)


def _search(pattern: re.Pattern[str], text: str, until: float) -> dict[str, str] | None:
    """What the named groups of a pattern found in a text; None where it is not in there."""
    import regex  # comes with what a script needs to play; to read one, nobody waits for it

    try:
        left = max(0.001, until - time.process_time())
        found = regex.compile(pattern.pattern, regex.IGNORECASE).search(text, timeout=left)
    except TimeoutError:
        raise OutOfLines(f"to look for {_short(pattern)} takes the script too long") from None
    except regex.error as error:  # `re` takes it, and read the script by it
        raise OutOfLines(f"the script looks for {_short(pattern)}: {error}") from None
    return None if found is None else {name: part or "" for name, part in found.groupdict().items()}


def _short(pattern: re.Pattern[str]) -> str:
    return repr(pattern.pattern if len(pattern.pattern) <= 60 else f"{pattern.pattern[:59]}…")


def _filled(line: Line, found: Mapping[str, str]) -> Line:
    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return _SLOT.sub(lambda slot: found.get(slot[1], slot[0]), value)
        if isinstance(value, list):
            return [fill(one) for one in value]
        return {name: fill(one) for name, one in value.items()} if isinstance(value, Mapping) else value

    return Line(fill(line.says), tuple(Wanted(one.tool, fill(one.arguments)) for one in line.calls), times=line.times)


def shipped(name: str = "shopper") -> Script:
    """A script of this package."""
    return load(SHIPPED / f"{name}.toml")


def load(file: Path) -> Script:
    """Read a script.

    Raises:
        UsageError: there is no such file, or it is no script; what is wrong is named.
    """
    import tomllib

    try:
        content = file.read_bytes()
        if len(content) > LONGEST:
            raise UsageError(f"{file.name} is no script of a model", why=f"it is longer than {LONGEST} bytes", do=_DO)
        table = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"the script {file} cannot be read", why=why, do="name one that is there") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name} is not valid TOML", why=str(error), do="fix the line it names") from error
    return read(table, file.stem, file.name)


def read(table: Mapping[str, Any], name: str, where: str) -> Script:
    """A script from its table.

    Args:
        where: what an error calls it.

    Raises:
        UsageError: it is none; what is wrong is named.
    """
    _known(table, _FILE, where)
    lines = table.get("line")
    if not isinstance(lines, list) or not lines:
        raise UsageError(f"{where} has no lines", why="a script is at least one [[line]]", do=_DO)
    made_by, task = table.get("made_by"), table.get("task", "")
    if not isinstance(made_by, str) or not made_by.strip() or not isinstance(task, str):
        why = f'it says who made it: made_by = "{BY_HAND}", or the model that answered so'
        raise UsageError(f"{where}: made_by or task is missing or no text", why=why, do=_DO)
    return Script(name, tuple(_line(one, f"{where}: line {at}") for at, one in enumerate(lines, 1)), made_by, task)


_DO = "docs/agent.md has an example"


def _known(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} is no table", do=_DO)
    if unknown := sorted(set(table) - set(keys)):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}", do=f"use some of: {', '.join(keys)}")


def _line(table: Any, where: str) -> Line:
    _known(table, _LINE, where)
    for key in ("says", "asked", "read", "last"):
        if not isinstance(table.get(key, ""), str):
            raise UsageError(f"{where}: {key} is {table[key]!r}", why="it must be text", do=f"change or remove {key}")
    times = table.get("times", 1)
    if type(times) is not int or not 1 <= times <= 100:
        raise UsageError(f"{where}: times is {times!r}", why="it must be from 1 to 100", do="change or remove times")
    calls = table.get("calls", [])
    if not isinstance(calls, list):
        raise UsageError(f"{where}: calls is no list", do='write calls = [{ tool = "NAME", arguments = {} }]')
    if not calls and not table.get("says"):
        raise UsageError(f"{where} neither says nor calls anything", do="write says or calls")
    return Line(
        table.get("says", ""),
        tuple(_wanted(one, f"{where}: calls") for one in calls),
        _pattern(table, "asked", where),
        _pattern(table, "read", where),
        table.get("last"),
        times,
    )


def _wanted(table: Any, where: str) -> Wanted:
    _known(table, ("tool", "arguments"), where)
    tool, arguments = table.get("tool"), table.get("arguments", {})
    if not isinstance(tool, str) or not tool:
        raise UsageError(f"{where}: tool is {tool!r}", why="it must be a tool's name", do=_DO)
    if not isinstance(arguments, Mapping | str):
        raise UsageError(f"{where}: arguments is no table", why="it is a table, or JSON as text", do=_DO)
    return Wanted(tool, arguments)


def _pattern(table: Mapping[str, Any], key: str, where: str) -> re.Pattern[str] | None:
    if key not in table:
        return None
    try:
        return re.compile(table[key], re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        why = f"it is no regular expression: {error}"
        raise UsageError(f"{where}: {key} is {table[key]!r}", why=why, do=f"change or remove {key}") from None


def written(events: Iterable[ModelEvent]) -> str:
    """What a model answered in a run, as a script: its words and its calls, and nothing that it read."""
    return "\n".join(_written(tuple(events))) + "\n"


def _written(events: tuple[ModelEvent, ...]) -> Iterator[str]:
    for event in events:
        if isinstance(event, ModelTask):
            yield f"made_by = {_quoted(event.model)}"
            yield f"task = {_quoted(event.prompt)}"
    steps: dict[int, tuple[list[str], list[str]]] = {}
    for event in events:
        if isinstance(event, ModelWords):
            steps.setdefault(event.step, ([], []))[0].append(event.text)
        elif isinstance(event, ModelCall):
            call = f"{{ tool = {_quoted(event.tool)}, arguments = {_quoted(event.arguments)} }}"
            steps.setdefault(event.step, ([], []))[1].append(call)
    for said, called in steps.values():
        yield "\n[[line]]"
        if said:
            yield f"says = {_quoted(' '.join(said))}"
        if called:
            yield f"calls = [{', '.join(called)}]"


def _quoted(text: str) -> str:
    # A string of JSON is one of TOML, but for DEL and for escaped pairs of surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def keep(events: Iterable[ModelEvent], file: Path) -> None:
    """Write a run of a model to a new file, which is its user's alone: what was asked for stands in it.

    Raises:
        EnvironmentNotReady: it cannot be written, or something has that name by now, a link to another file as well.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(written(events))
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentNotReady(f"{file} cannot be written", why=why, do="name a place where it can") from error


def as_json(arguments: Mapping[str, Any] | str) -> str:
    """Arguments as the text that a model writes."""
    return arguments if isinstance(arguments, str) else json_text(dict(arguments), indent=None)
