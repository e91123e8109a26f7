"""The methods that the bridge passes on, with the SDK's types for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Passage:
    """One method.

    Attributes:
        ability: the server's capability that it belongs to.
        empty: what it answers where the server has no such thing; None where that is an error.
    """

    method: str
    request: type[Any]
    params: type[Any]
    result: type[Any]
    ability: str
    empty: dict[str, Any] | None = None


def passages() -> tuple[Passage, ...]:
    """All of them. Subscriptions, sampling and elicitation are not among them: what the server asks or tells on its own
    is not passed on to the host."""
    import mcp_types as types

    page = types.PaginatedRequestParams
    return (
        Passage("tools/list", types.ListToolsRequest, page, types.ListToolsResult, "tools"),
        Passage("tools/call", types.CallToolRequest, types.CallToolRequestParams, types.CallToolResult, "tools"),
        Passage(
            "resources/list",
            types.ListResourcesRequest,
            page,
            types.ListResourcesResult,
            "resources",
            {"resources": []},
        ),
        Passage(
            "resources/templates/list",
            types.ListResourceTemplatesRequest,
            page,
            types.ListResourceTemplatesResult,
            "resources",
            {"resourceTemplates": []},
        ),
        Passage(
            "resources/read",
            types.ReadResourceRequest,
            types.ReadResourceRequestParams,
            types.ReadResourceResult,
            "resources",
        ),
        Passage("prompts/list", types.ListPromptsRequest, page, types.ListPromptsResult, "prompts", {"prompts": []}),
        Passage("prompts/get", types.GetPromptRequest, types.GetPromptRequestParams, types.GetPromptResult, "prompts"),
        Passage(
            "completion/complete",
            types.CompleteRequest,
            types.CompleteRequestParams,
            types.CompleteResult,
            "completions",
        ),
    )
