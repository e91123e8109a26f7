"""A tool's arguments, checked as its schema says and a little more: nothing that could forge what is displayed."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from demo.shop.catalog import Tool, say

_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the writing direction around: an order would not be displayed as it is."""


class BadArguments(Exception):
    """Arguments that do not fit: which ones and why, without the values themselves."""


def read(tool: Tool, given: dict[str, Any]) -> dict[str, str | None]:
    """The arguments by name, tidied; an optional one that is absent is None.

    Raises:
        BadArguments: the message is whole, and names each argument at fault.
    """
    found: dict[str, str | None] = {}
    faults: list[str] = []
    for name, schema in tool.input_schema.get("properties", {}).items():
        try:
            if name not in given and name in tool.input_schema.get("required", ()):
                raise BadArguments(say("missing"))
            found[name] = _read(name, schema, given.get(name))
        except BadArguments as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        raise BadArguments(say("bad_arguments", faults="; ".join(faults)))
    return found


def _read(name: str, schema: dict[str, Any], value: Any) -> str | None:
    if "anyOf" in schema:
        return None if value is None else _read(name, schema["anyOf"][0], value)
    if "enum" in schema and value not in schema["enum"]:
        raise BadArguments(say("not_one_of", words=", ".join(schema["enum"])))
    if not isinstance(value, str):
        raise BadArguments(say("not_text"))
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if len(value) < least:
        raise BadArguments(say("too_short"))
    if len(value) > most:
        raise BadArguments(say("too_many", most=most))
    text = value if not least else (_one_line(value) if name == "mailingAddress" else value).strip()
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one in _BIDI for one in text):
        raise BadArguments(say("control"))
    if least and not text:
        raise BadArguments(say("empty"))
    return text


def _one_line(address: str) -> str:
    """An address may come in lines; it is kept in one."""
    return ", ".join(line.strip(" ,") for line in address.splitlines() if line.strip(" ,"))
