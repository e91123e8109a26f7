"""Text that a terminal may obey or hide, found in one way; and JSON that holds such text unaltered and harmless."""

from __future__ import annotations

import json
import re
from typing import Any, Final

# C0 without tab and newline, DEL, C1, line and paragraph separators, the invisible characters that turn or join
# text (the "Trojan Source" set, CVE-2021-42574), those that carry text unseen (tags, more variation selectors than
# any script has use for), and lone surrogates, which no terminal can encode.
OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ud800-\udfff\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def json_text(value: Any, *, indent: int | None = 2, encoding: str = "utf-8") -> str:
    """A value as JSON text, its data unaltered: what a terminal might obey, or the encoding has no bytes for, is
    escaped, which is the same string to any reader (RFC 8259, section 7)."""
    if encoding.lower().replace("-", "") != "utf8":
        return json.dumps(value, indent=indent)
    shown = json.dumps(value, indent=indent, ensure_ascii=False)  # which has escaped the control characters below 0x20
    return OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], shown)


_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


def spreadsheet_cell(text: str) -> str:
    """A text for a cell of a CSV file: one that a spreadsheet would take for a formula begins with an apostrophe, which
    has it shown as it is (OWASP, CSV injection; CWE-1236)."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
