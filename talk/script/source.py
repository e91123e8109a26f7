"""Reading one TOML text of a talk: values of the right type, and every problem with its line and what fixes it."""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Where = tuple[str | int, ...]
"""A path into the parsed document, e.g. `("steps", 2, "expect", "status")`."""

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""What an id looks like."""

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, what ends a line, what turns the direction of other text (CVE-2021-42574), and lone surrogates."""
_LARGEST = 2**63
"""TOML's whole numbers have 64 bits, and what has more must be refused (TOML 1.0, Integer)."""
_LONG_NUMBER = re.compile(r"[0-9_]{4300,}")
_TYPE_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list of texts", dict: "a table"}


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a talk's files: where, what, and what to write instead."""

    file: str
    line: int
    what: str
    do: str
    why: str = ""


def type_name(kind: type) -> str:
    """What a value of this Python type is called in a message."""
    return _TYPE_NAMES[kind]


def _named(sign: str) -> str:
    """A character that cannot be shown: its code point and what it is."""
    kind = "a line break" if sign in "\n\r\x85\u2028\u2029" else "a tab" if sign == "\t" else "a control character"
    return f"U+{ord(sign):04X}, {unicodedata.name(sign, kind)},"


def fits(value: Any, kind: type) -> bool:
    """Whether a TOML value is of an option's type; true is no number, and a list holds texts only."""
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is kind


def nearest(given: str, known: Iterable[str]) -> str:
    """A hint to append to a message: "; did you mean call?" where something is close; else nothing."""
    by_letters = {one.lower(): one for one in known}
    close = difflib.get_close_matches(given.lower(), list(by_letters), n=1, cutoff=0.5)
    return f"; did you mean {by_letters[close[0]]}?" if close else ""


def _too_large(value: Any, where: Where = ()) -> Where | None:
    """Where the first whole number stands that has more than 64 bits."""
    if isinstance(value, int):
        return None if -_LARGEST <= value < _LARGEST else where
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in inside if (found := _too_large(item, (*where, key))) is not None), None)


class Source:
    """One file being read: its parsed table, and `wrong`, which notes a problem and lets the reading go on.

    Args:
        shown: the file's name in messages, e.g. `talk/beats/buy.md`.
        text: its TOML text.
        offset: how many lines of the file stand before that text.
        problems: where problems are added.
    """

    def __init__(self, shown: str, text: str, problems: list[Problem], offset: int = 0) -> None:
        self.shown = shown
        self._problems = problems
        self._text, self._offset = text, offset
        self.table: dict[str, Any] | None = None
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = _error_line(error, text, offset)
            problems.append(Problem(shown, line, f"not TOML: {error}", "fix the syntax on this line"))
        except ValueError:  # Python's own bound on the digits of a number
            found = _LONG_NUMBER.search(text)
            line = offset + 1 + text.count("\n", 0, found.start() if found else 0)
            problems.append(
                Problem(shown, line, "a number of thousands of digits", "write a number of 64 bits at most")
            )
        except RecursionError:
            problems.append(Problem(shown, offset + 1, "it is nested too deep to be read", "write it flatter"))
        else:
            large = _too_large(table)
            if large is None:
                self.table = table
            else:
                self.wrong(large, f"'{large[-1]}' has a number beyond 64 bits", "write a smaller one")

    @property
    def count(self) -> int:
        """How many problems were noted so far, in this file and those before it."""
        return len(self._problems)

    @cached_property
    def _lines(self) -> _Lines:
        return _Lines(self._text, self._offset)  # only where something is wrong: it reads the text once more

    def line(self, where: Where) -> int:
        """The line that a path into the table stands on."""
        return self._lines.of(where)

    def wrong(self, where: Where, what: str, do: str, why: str = "") -> None:
        """Note a problem at `where`."""
        self._problems.append(Problem(self.shown, self.line(where), what, do, why))

    def known(self, where: Where, table: dict[str, Any], allowed: Iterable[str]) -> None:
        """Note every key of `table` that is not `allowed`."""
        names = list(allowed)
        for key in table:
            if key not in names:
                do = f"write one of: {', '.join(names)}{nearest(key, names)}"
                self.wrong((*where, key), f"unknown key '{key}'", do)

    def text(self, where: Where, table: dict[str, Any], key: str, longest: int, *, required: bool = True) -> str:
        """A one-line text of at most `longest` characters; empty where it is missing or wrong."""
        value = table.get(key, "" if not required else None)
        if value is None:
            self.wrong(where, f"'{key}' is missing", f'write {key} = "..."')
        elif not isinstance(value, str):
            self.wrong((*where, key), f"'{key}' is not a text", f'write {key} = "..."')
        elif required and not value.strip():
            self.wrong((*where, key), f"'{key}' is empty", f"write a {key} of 1 to {longest} characters")
        elif len(value) > longest:
            self.wrong((*where, key), f"'{key}' has {len(value)} characters", f"shorten it to {longest}")
        elif found := _UNFIT.search(value):
            what = f"'{key}' has {_named(found[0])} at character {found.start() + 1}"
            self.wrong((*where, key), what, "take it out: the text goes to a terminal, on one line")
        return value if isinstance(value, str) else ""

    def minutes(self, where: Where, table: dict[str, Any]) -> float:
        """The key `minutes`, a number above zero; 0 where it is missing or wrong."""
        value = table.get("minutes")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            what = "'minutes' is missing" if value is None else f"'minutes' is {value!r}"
            self.wrong((*where, "minutes"), what, "write a number above zero, e.g. minutes = 1.5")
            return 0.0
        return float(value)

    def texts(self, where: Where, table: dict[str, Any], key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is missing or wrong."""
        value = table.get(key, [])
        if not fits(value, list):
            self.wrong((*where, key), f"'{key}' is not a list of texts", f'write {key} = ["...", "..."]')
            return ()
        return tuple(value)

    def tables(self, where: Where, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """An array of tables, at least one; empty where it is missing or wrong, which is noted."""
        value = table.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
            name = ".".join([*(part for part in where if isinstance(part, str)), key])
            self.wrong((*where, key), f"no [[{name}]]", f"write at least one [[{name}]] table")
            return []
        return value


# Lines: the standard parser gives values without line numbers, and a message needs one.

_NAME = r"(?:[\w-]+|\"[^\"]*\"|'[^']*')"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=(.*)$")
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*")
_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class _Lines:
    """The line of each table and key of one TOML text, and of each inline table that starts a line of an array.

    A key within an inline table has the line of that table.

    Args:
        text: the TOML text, already known to parse.
        offset: how many lines of the file stand before it.
    """

    def __init__(self, text: str, offset: int = 0) -> None:
        self._offset = offset
        self._found: dict[Where, int] = {}
        self._counts: dict[Where, int] = {}
        table: Where = ()
        quotes = ""  # inside a multi-line string: what ends it
        array: Where = ()  # inside a multi-line array: whose it is, how deep, how many inline tables so far
        depth = entries = 0
        for number, line in enumerate(text.split("\n"), 1):
            if quotes:
                quotes = "" if quotes in line else quotes
            elif depth:
                if line.lstrip().startswith("{"):
                    self._found.setdefault((*array, entries), number)
                    entries += 1
                depth += _opened(line)
            elif header := _HEADER.fullmatch(line):
                table = self._open(_names(header[2]), listed=header[1] == "[[")
                self._found.setdefault(table, number)
            elif key := _KEY.match(line):
                where = (*table, *_names(key[1]))
                for length in range(len(table) + 1, len(where) + 1):
                    self._found.setdefault(where[:length], number)
                quotes = next((q for q in ('"""', "'''") if key[2].count(q) % 2), "")
                array, depth, entries = where, 0 if quotes else _opened(key[2]), 0

    def _open(self, names: tuple[str, ...], *, listed: bool) -> Where:
        """The path of a table header, with the index of the latest entry of each array of tables on the way."""
        where: Where = ()
        for position, name in enumerate(names):
            where = (*where, name)
            if listed and position == len(names) - 1:
                self._counts[where] = self._counts.get(where, -1) + 1
            if where in self._counts:
                where = (*where, self._counts[where])
        return where

    def of(self, where: Where) -> int:
        """The line, in the file, of `where` or else of the nearest table around it; 1-based."""
        for length in range(len(where), 0, -1):
            if where[:length] in self._found:
                return self._found[where[:length]] + self._offset
        return self._offset + 1


def _error_line(error: tomllib.TOMLDecodeError, text: str, offset: int = 0) -> int:
    """The line of a parse error: the parser's own, or the last line where it says "at end of document"."""
    line = _ERROR_LINE.search(str(error))
    return offset + (int(line[1]) if line else text.rstrip("\n").count("\n") + 1)


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _opened(text: str) -> int:
    """How many brackets `text` opens beyond those it closes, strings and comments left aside."""
    bare = _STRING.sub("", text)
    return bare.count("[") - bare.count("]")
