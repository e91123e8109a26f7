"""What a model is told of a server's tools: names that both vendors take, and nothing that is not its to give."""

from __future__ import annotations

from typing import Any

from demo.client.mcp.outcome import ToolsOutcome
from demo.evidence.shop import Tool
from demo.model.tools import LONGEST, MOST, offered


def listed(schemas: dict[str, dict[str, Any]], *tools: Tool) -> ToolsOutcome:
    """A server's list."""
    return ToolsOutcome(200, tools, None, None, (), schemas=schemas)


def test_a_name_is_one_that_both_vendors_take_and_finds_the_servers_own_again() -> None:
    names = ["a.b", "a/b", "a b", "x" * 100, "x" * 99 + "y", "é\x1b[2J", "plain_name-1"]
    usable, left_out = offered(listed({name: {"type": "object"} for name in names}), without={})
    assert sorted(tool.name for tool in usable.values()) == sorted(names) and not left_out
    assert all(1 <= len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in usable)
    assert usable["plain_name-1"].name == "plain_name-1"


def test_each_tool_keeps_its_own_text_whatever_the_list_left_out() -> None:
    schemas: dict[str, dict[str, Any]] = {"odd": {}, "one": {}, "two": {}}
    usable, _ = offered(listed(schemas, Tool("one", "first", ()), Tool("two", "second", ())), without={})
    assert {name: tool.description for name, tool in usable.items()} == {"odd": "", "one": "first", "two": "second"}


def test_what_would_fill_a_models_memory_is_left_out_and_named() -> None:
    long: dict[str, Any] = {"type": "object", "properties": {"a": {"description": "x" * LONGEST}}}
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"type": "array", "items": deep}
    few: dict[str, dict[str, Any]] = {f"t{number}": {} for number in range(MOST + 2)}
    usable, left_out = offered(listed({"long": long, "deep": {"properties": deep}, **few}), without={})
    assert len(usable) == MOST and set(left_out) == {"long", "deep", f"t{MOST}", f"t{MOST + 1}"}


def test_an_argument_that_is_the_runs_own_is_not_the_models_to_give() -> None:
    schema = {"type": "object", "properties": {"a": {}, "key": {}}, "required": ["a", "key"]}
    usable, _ = offered(listed({"buy": schema, "look": {"properties": "none"}}), without={"buy": ("key",)})
    assert usable["buy"].schema == {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert usable["look"].schema == {"type": "object", "properties": {}}
    assert "key" in schema["properties"]  # the server's own is as it was
