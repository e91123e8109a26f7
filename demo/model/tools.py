"""What goes to a model, and comes from it: a server's tools as they are offered, arguments as they are sent, answers as
they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from demo.client.mcp.calling import check_arguments
from demo.client.mcp.outcome import CallOutcome, ToolsOutcome, refused
from demo.model.script import Came
from deputize.errors import UsageError
from deputize.http.sanitizing import DEEPEST, safe_text

MOST = 64
"""Tools that a model is offered."""
LONGEST = 32_000
"""Characters of a tool's schema; a longer one would fill what a small model can read."""
LONGEST_DESCRIPTION = 2_000
LONGEST_READ = 16_000
"""Characters of a tool's answer that a model is given."""
_NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class OfferedTool:
    """One tool: its name at the server, and what the model reads of it."""

    name: str
    description: str
    schema: Mapping[str, Any]


def offered(
    listed: ToolsOutcome, *, without: Mapping[str, Iterable[str]]
) -> tuple[dict[str, OfferedTool], dict[str, str]]:
    """The tools by the name that the model calls them, and those that are left out with the reason.

    Args:
        without: by tool, arguments that are not the model's to give.

    A name is what both vendors take: letters, digits, `_` and `-`, 64 of them at most (OpenAI API reference, Chat,
    `tools.function.name`; Anthropic API reference, Messages, `tools.name`).
    """
    usable: dict[str, OfferedTool] = {}
    left_out = dict(listed.left_out)
    about = {tool.name: tool.description for tool in listed.tools}  # names there are fit for a screen
    for name, schema in listed.schemas.items():
        shown = safe_text(name, one_line=True)
        if len(usable) == MOST:
            left_out[shown] = f"more than {MOST} tools"
        elif _is_deep(schema):
            left_out[shown] = f"its schema is nested deeper than {DEEPEST} levels"
        elif len(json.dumps(schema)) > LONGEST:
            left_out[shown] = f"its schema is longer than {LONGEST} characters"
        else:
            ours = _distinct(_NAME.sub("_", name)[:64] or "tool", usable)
            usable[ours] = OfferedTool(
                name, about.get(safe_text(name), "")[:LONGEST_DESCRIPTION], _less(schema, without.get(name, ()))
            )
    return usable, left_out


def _is_deep(value: Any, left: int = DEEPEST) -> bool:
    """Whether JSON is nested beyond reason: what sends it to a model would end in the middle of it."""
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) and (left == 0 or any(_is_deep(one, left - 1) for one in within))


def _distinct(name: str, taken: Mapping[str, Any]) -> str:
    number, base = 1, name
    while name in taken:
        number += 1
        name = f"{base[:60]}_{number}"
    return name


def properties(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A schema's properties; none where it is no schema of an object."""
    found = (schema or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _less(schema: Mapping[str, Any], without: Iterable[str]) -> dict[str, Any]:
    """A schema of an object without some of its properties; a schema that is none becomes that of an object."""
    kept, required = dict(properties(schema)), schema.get("required")
    for name in without:
        kept.pop(name, None)
    less = {**schema, "type": "object", "properties": kept}
    if isinstance(required, list):
        less["required"] = [name for name in required if name not in without]
    return less


def arguments(tool: str, given: str | Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    """A model's arguments as they are sent, and why they cannot be. Whether they fit the tool the server says."""
    if given is None or given == "":
        return {}, ""
    read: Any = given
    if isinstance(given, str):
        try:
            read = json.loads(given)
        except RecursionError:
            return {}, f"the arguments are nested deeper than {DEEPEST} levels"
        except ValueError as error:
            return {}, f"the arguments are not JSON: {error}"
    if not isinstance(read, Mapping):
        return {}, "the arguments are not a JSON object"
    try:
        check_arguments(tool, dict(read))
    except UsageError as error:
        return {}, f"{error.what}: {error.why}"
    return dict(read), ""


def as_read(outcome: CallOutcome) -> Came:
    """What a call came to, as a model reads it: a refusal with its rule, reason and remedy as data."""
    why = refused(outcome)
    if why is None:
        text = outcome.said if len(outcome.said) <= LONGEST_READ else f"{outcome.said[:LONGEST_READ]} [cut]"
        return Came(text, "error" if outcome.is_error else "allowed")
    rule = outcome.decision.rule if outcome.decision is not None else why.error
    data = {"refused": True, "rule": rule, "reason": why.description[:LONGEST_READ], "to_pass": why.do}
    return Came(json.dumps(data, ensure_ascii=False), "refused", rule)
