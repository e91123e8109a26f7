"""Text that came from a server, made safe to show: control and direction characters become visible."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from deputize.text import OBEYED, bounded

DEEPEST = 64
"""Levels of JSON that anything is read from."""

_BREAKS = re.compile(r"[\t\n]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures, e.g. U+241B for ESC
    if code == 0x7F:
        return "\u2421"
    return f"<U+{code:04X}>"


def safe_text(text: str, *, one_line: bool = False) -> str:
    """`text` with every control character and terminal escape replaced by a visible one, and more marks on one letter
    than any language has by their number.

    Args:
        text: anything that a server sent.
        one_line: replace tabs and newlines too, for a name, a header or a claim.
    """
    shown = bounded(OBEYED.sub(_visible, text), lambda marks: f"<+{len(marks)} marks>")
    return _BREAKS.sub(_visible, shown) if one_line else shown


def safe_data(value: Any) -> Any:
    """A JSON value with `safe_text` applied to every string in it, keys included."""
    return map_strings(value, safe_text)


def map_strings(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    """A JSON value with `change` applied to every string in it, keys included; what is nested beyond reason goes."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict | list) and depth == DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {
            _BREAKS.sub(_visible, change(str(key))): map_strings(item, change, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list):
        return [map_strings(item, change, depth + 1) for item in value]
    return value
