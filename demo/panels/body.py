"""HTTP bodies as lines: JSON pretty-printed as tightly as it reads, forms field by field, event streams unwrapped."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

LONGEST = 200_000
"""Characters; a longer body is not parsed, only its first lines are shown."""


def body_lines(body: str | None, content_type: str, width: int) -> list[str]:
    """The lines of a body, each to be cut where it is drawn; none for no body.

    Args:
        body: the text as sent, or None.
        content_type: the value of the header, "" where there was none.
        width: columns that a one-line JSON value may take.
    """
    if not body or not body.strip():
        return []
    if len(body) > LONGEST:
        return body[:LONGEST].splitlines()
    if "application/x-www-form-urlencoded" in content_type.lower():
        return [f"{name} = {value}" for name, value in parse_qsl(body, keep_blank_values=True)] or [body]
    text = body
    if "text/event-stream" in content_type.lower():
        found = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
        text = "\n".join(line for line in found if line) or body
    try:
        return pretty(_folded(json.loads(text)), width)
    except (ValueError, RecursionError):
        return text.splitlines()


def _folded(value: Any) -> Any:
    """JSON with each MCP `_meta` last and closed, its entries counted: what a call is about comes first."""
    if isinstance(value, list):
        return [_folded(item) for item in value]
    if not isinstance(value, dict):
        return value
    rest = {name: _folded(item) for name, item in value.items() if name != "_meta"}
    meta = value.get("_meta")
    return rest | ({"_meta": f"({len(meta)} entries)"} if isinstance(meta, dict) else {})


def pretty(value: Any, width: int, indent: int = 0, prefix: str = "") -> list[str]:
    """JSON in lines: what fits in `width` columns shares a line, the rest is opened up."""
    flat = json.dumps(value, ensure_ascii=False)
    start = " " * indent + prefix
    if len(start) + len(flat) <= width or not isinstance(value, dict | list) or not value:
        return [start + flat]
    named = isinstance(value, dict)
    lines = [start + ("{" if named else "[")]
    pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
    items = [("" if key is None else f"{json.dumps(key, ensure_ascii=False)}: ", item) for key, item in pairs]
    for number, (name, item) in enumerate(items):
        comma = "," if number < len(items) - 1 else ""
        short = name + json.dumps(item, ensure_ascii=False) + comma
        if not isinstance(item, dict | list) and len(lines[-1]) + 1 + len(short) <= width:
            lines[-1] += short if number == 0 else f" {short}"
        else:
            inner = pretty(item, width, indent + 2, name)
            inner[-1] += comma
            lines += inner
    return [*lines, " " * indent + ("}" if named else "]")]
