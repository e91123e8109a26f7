"""Text that a terminal may obey, hide or pile up, found in one way; and JSON that holds such text unaltered and
harmless."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

# C0 without tab and newline, DEL, C1, line and paragraph separators, the invisible characters that turn or join
# text (the "Trojan Source" set, CVE-2021-42574), those that carry text unseen (tags, more variation selectors than
# any script has use for), and lone surrogates, which no terminal can encode.
OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ud800-\udfff\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_MARKED: Final = re.compile("[^\x00-\u02ff]{4,}")
"""Where there may be too many marks; all others are letters that everybody uses."""
MOST_ALIKE, MOST_OF_NO_CLASS, MOST_MARKS = 3, 6, 8
"""Marks on one letter: of one combining class (Unicode 4.3: those are piled on each other), of none (vowels and
medials, which stand beside each other), in all. A syllable of Burmese or Tibetan has the most, and no more."""


def bounded(text: str, replaced: Callable[[str], str]) -> str:
    """The text with no more marks on a letter than a language has: thousands of them on one cover the lines above and
    below it, and take no column of their own.

    Args:
        replaced: what stands for the marks of one letter that are too many.
    """
    if text.isascii():
        return text
    return _MARKED.sub(lambda found: _bounded(found[0], replaced), text)


def _bounded(text: str, replaced: Callable[[str], str]) -> str:
    kept: list[str] = []
    excess: list[str] = []
    seen: dict[object, int] = {}
    for character in text:
        kind = _kind(character)
        if kind is None:
            if excess:
                kept.append(replaced("".join(excess)))
                excess.clear()
            seen = {}
        else:
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] > (MOST_OF_NO_CLASS if kind == 0 else MOST_ALIKE) or sum(seen.values()) > MOST_MARKS:
                excess.append(character)
                continue
        kept.append(character)
    if excess:
        kept.append(replaced("".join(excess)))
    return "".join(kept)


def _kind(character: str) -> object:
    """What a character is piled up with: its combining class, `hangul` for the vowels and finals of a syllable, which
    are letters and take no column either; None for what begins again."""
    if "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff":
        return "hangul"
    return unicodedata.combining(character) if unicodedata.category(character)[0] == "M" else None


def json_text(value: Any, *, indent: int | None = 2, encoding: str = "utf-8") -> str:
    """A value as JSON text, its data unaltered: what a terminal might obey, or the encoding has no bytes for, is
    escaped, which is the same string to any reader (RFC 8259, section 7)."""
    if encoding.lower().replace("-", "") != "utf8":
        return json.dumps(value, indent=indent)
    shown = json.dumps(value, indent=indent, ensure_ascii=False)  # which has escaped the control characters below 0x20
    return bounded(OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], shown), lambda marks: json.dumps(marks)[1:-1])


_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


def spreadsheet_cell(text: str) -> str:
    """A text for a cell of a CSV file: one that a spreadsheet would take for a formula begins with an apostrophe, which
    has it shown as it is (OWASP, CSV injection; CWE-1236)."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
