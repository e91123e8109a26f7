"""JSON with comments and trailing commas, as `wrangler.jsonc` is written."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|(?<=[\]}\w"])\s*,(?=\s*[}\]])')


def parse(text: str) -> Any:
    """The value that `text` holds.

    Raises:
        ValueError: it is no JSON once comments and trailing commas are taken out; the line is the text's own.
    """
    bare = _TOKEN.sub(lambda found: found[1] or re.sub(r"[^\n]", " ", found[0]), text)
    return json.loads(_TRAILING.sub(lambda found: found[1] or re.sub(r"\S", " ", found[0]), bare))
