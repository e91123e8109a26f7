"""Arguments that a tool wants in headers too (`x-mcp-header`, SEP-2243): which tools do, and which do it wrongly."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from demo.client.mcp.reading import mapping


def listed(result: dict[str, Any] | None, *, without: Container[str] = ()) -> list[dict[str, Any]]:
    """The tools that have a name in a `tools/list` result, as the server sent them, `without` some."""
    tools = (result or {}).get("tools")
    named = (mapping(item) for item in (tools if isinstance(tools, list) else ()))
    return [tool for tool in named if isinstance(tool.get("name"), str) and tool["name"] not in without]


def mirroring(result: dict[str, Any] | None) -> set[str]:
    """The tools with an argument that goes into a header, so that the list must be seen before they are called."""
    from mcp.shared.inbound import x_mcp_header_map

    wrong = misdeclared(result)
    return {tool["name"] for tool in listed(result, without=wrong) if x_mcp_header_map(tool.get("inputSchema"))}


def misdeclared(result: dict[str, Any] | None) -> dict[str, str]:
    """The tools that must be left out, each with the reason: what they say of their headers is invalid.

    MCP 2026-07-28, Server Features, Tools, "x-mcp-header": clients reject such a tool, and keep the others.
    """
    from mcp.shared.inbound import find_invalid_x_mcp_header

    found: dict[str, str] = {}
    for tool in listed(result):
        try:
            reason = find_invalid_x_mcp_header(tool.get("inputSchema"))
        except RecursionError:
            reason = "its schema is nested beyond reason"
        if reason is not None:
            found[tool["name"]] = reason
    return found
