"""Where a key stands in a TOML text: the standard parser gives values without line numbers, and a mend needs one."""

from __future__ import annotations

import re
import tomllib

Where = tuple[str | int, ...]
"""A path into the parsed document, e.g. `("steps", 2, "expect", "status")`."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\-\"' ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=(.*)$")
_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class Lines:
    """The line of each table and key of one TOML text.

    Args:
        text: the TOML text, already known to parse.
        offset: how many lines of the file stand before it.
    """

    def __init__(self, text: str, offset: int = 0) -> None:
        self._offset = offset
        self._found: dict[Where, int] = {}
        self._counts: dict[Where, int] = {}
        table: Where = ()
        quotes = ""
        for number, line in enumerate(text.splitlines(), 1):
            if quotes:
                quotes = "" if quotes in line else quotes
            elif header := _HEADER.match(line):
                table = self._open(_names(header[2]), listed=header[1] == "[[")
                self._found.setdefault(table, number)
            elif key := _KEY.match(line):
                where = (*table, *_names(key[1]))
                for depth in range(len(table) + 1, len(where) + 1):
                    self._found.setdefault(where[:depth], number)
                quotes = next((q for q in ('"""', "'''") if key[2].count(q) % 2), "")

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
        for depth in range(len(where), 0, -1):
            if where[:depth] in self._found:
                return self._found[where[:depth]] + self._offset
        return self._offset + 1


def error_line(error: tomllib.TOMLDecodeError, text: str, offset: int = 0) -> int:
    """The line of a parse error: the parser's own, or the last line where it says "at end of document"."""
    told = _ERROR_LINE.search(str(error))
    return offset + (int(told[1]) if told else max(1, len(text.splitlines())))


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
