"""Where a key stands in a TOML text: the standard parser gives values without line numbers, and a mend needs one."""

from __future__ import annotations

import re
import tomllib

Where = tuple[str | int, ...]
"""A path into the parsed document, e.g. `("steps", 2, "expect", "status")`."""

_NAME = r"(?:[\w-]+|\"[^\"]*\"|'[^']*')"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=(.*)$")
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*")
_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class Lines:
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


def error_line(error: tomllib.TOMLDecodeError, text: str, offset: int = 0) -> int:
    """The line of a parse error: the parser's own, or the last line where it says "at end of document"."""
    told = _ERROR_LINE.search(str(error))
    return offset + (int(told[1]) if told else text.rstrip("\n").count("\n") + 1)


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _opened(text: str) -> int:
    """How many brackets `text` opens beyond those it closes, strings and comments left aside."""
    bare = _STRING.sub("", text)
    return bare.count("[") - bare.count("]")
