"""JSON as it is written for machines: the data unaltered, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import re
from typing import Any

_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def json_text(value: Any, *, indent: int | None = 2, encoding: str = "utf-8") -> str:
    """A value as JSON text, its data unaltered: what a terminal might obey, or the encoding has no bytes for, is
    escaped, which is the same string to any reader (RFC 8259, section 7)."""
    if encoding.lower().replace("-", "") != "utf8":
        return json.dumps(value, indent=indent)
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(value, indent=indent, ensure_ascii=False))
