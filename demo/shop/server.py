"""The MCP server behind both doors: the SDK's, which adds to each tool's result what was decided about the call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, TextContent, Tool
from pydantic import TypeAdapter

from demo import __version__
from demo.policy_file import Policy
from demo.shop import asking, catalog, tools
from demo.shop.admission import Admission, Outcome
from demo.shop.catalog import say
from demo.shop.doors import ADMISSION

_CONTENT: Final = TypeAdapter(dict[str, Any])
"""Writes indented JSON five times as fast as `json` does."""


class ShopServer(MCPServer[Any]):
    """An MCP server whose tool results carry `demo/decision` and `demo/limits` in their `_meta`.

    Args:
        policy: gives the policy in force, which says what scope each tool needs.
    """

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        super().__init__(
            name=catalog.SERVER_NAME,
            title=catalog.SERVER_TITLE,
            version=__version__,
            instructions=catalog.INSTRUCTIONS,
            log_level="ERROR",
            subscriptions=False,
        )
        # The SDK's constructor has every log of the process printed to stderr; that is the application's to decide.
        root.handlers[:] = handlers
        root.setLevel(level)

    async def list_tools(self) -> list[Tool]:
        """The seven tools of the catalog, and whatever was added to this server by the SDK's own means."""
        needed = {name: self._policy().scope_of(name) or "" for name in catalog.TOOLS}
        ours = [Tool.model_validate(tool.listed(needed[name])) for name, tool in catalog.TOOLS.items()]
        return ours + await super().list_tools()

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Decide the call and run its tool, in one transaction. What a tool could not do becomes an `isError` result
        that a model can act on; a refusal is answered by the door in place of what this gives."""
        result: CallToolResult | InputRequiredResult
        admission = _admission_of(context)
        if name == catalog.BUY:
            await asking.wait_for_the_human(admission, context.request_state if context is not None else None)
        outcome = await admission.act(partial(tools.run, name, arguments) if name in catalog.TOOLS else None)
        if outcome is not None and admission.instead is not None:
            question = await asking.ask_the_human(admission)
            if question is not None:
                await admission.keep()  # what was refused is on record before anybody is asked
                admission.instead = None
                return question.model_copy(update={"meta": _about(outcome)})
        if outcome is None or admission.instead is not None:
            return _error(say("failed"))
        if outcome.failure is not None:
            result = _error(outcome.failure)
        elif outcome.content is not None:
            text = _CONTENT.dump_json(outcome.content, indent=2).decode()
            result = CallToolResult(content=[TextContent(type="text", text=text)], structured_content=outcome.content)
        else:
            await admission.keep()  # what a tool of the SDK's does has no transaction to wait for
            if admission.instead is not None:
                return _error(say("failed"))
            try:
                result = await super().call_tool(name, arguments, context)
            except ToolError as error:
                result = _error(str(error).removeprefix(f"Error executing tool {name}: "))
        if isinstance(result, CallToolResult):
            result.meta = {**(result.meta or {}), **_about(outcome)}
        return result

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """There is no prompt here, and who asks for one asked for a name that does not exist (MCP 2026-07-28,
        prompts, error handling). The SDK would answer with an internal error, as if the shop had failed.

        Raises:
            MCPError: invalid params, always.
        """
        raise MCPError(INVALID_PARAMS, say("unknown_prompt", name=name))


def _about(outcome: Outcome) -> dict[str, Any]:
    """What was decided, as a result's `_meta` has it."""
    limits = [dict(vars(limit)) for limit in outcome.limits]
    return {"demo/decision": outcome.decision.to_dict(), "demo/limits": limits}


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _admission_of(context: Context[Any, Any] | None) -> Admission:
    """What the door in front decided about the request that a tool runs for."""
    request = context.request_context.request if context is not None else None
    admission = request.scope.get(ADMISSION) if request is not None else None
    if not isinstance(admission, Admission):
        raise RuntimeError("a tool was reached without passing a door")
    return admission
