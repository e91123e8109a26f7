"""Arguments that a tool wants in headers too (`x-mcp-header`, SEP-2243): which tools do, and which do it wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from demo.client.reading import mapping


def listed(result: dict[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and input schema of each tool in a `tools/list` result, as the server sent them."""
    tools = (result or {}).get("tools")
    for item in tools if isinstance(tools, list) else ():
        tool = mapping(item)
        if isinstance(tool.get("name"), str):
            yield tool["name"], mapping(tool.get("inputSchema"))


def mirrors(schema: dict[str, Any]) -> bool:
    """Whether some argument goes into a header, so that the list must be seen before the tool is called."""
    from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map

    return find_invalid_x_mcp_header(schema) is None and bool(x_mcp_header_map(schema))


def misdeclared(result: dict[str, Any] | None) -> dict[str, str]:
    """The tools that must be left out, each with the reason: what they say of their headers is invalid.

    MCP 2026-07-28, Server Features, Tools, "x-mcp-header": clients reject such a tool, and keep the others.
    """
    from mcp.shared.inbound import find_invalid_x_mcp_header

    found = {name: find_invalid_x_mcp_header(schema) for name, schema in listed(result)}
    return {name: reason for name, reason in found.items() if reason is not None}
