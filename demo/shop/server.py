"""The MCP server behind both doors: the SDK's, which adds to each tool's result what was decided about the call."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, TextContent
from pydantic import ValidationError

from demo import __version__
from demo.shop.gate import ADMISSION, Admission

logger = logging.getLogger(__name__)

INSTRUCTIONS = (
    "A shop that sells one conference T-shirt. List the inventory before buying. Buying spends money of the human "
    "who deputized you, within the limit they consented to. When a call is refused, the answer says which gate "
    "refused it, why, and what would make it pass; ask the human, do not try to get around it."
)


class ShopServer(MCPServer[Any]):
    """An MCP server whose tool results carry `demo/decision` and `demo/limits` in their `_meta`."""

    def __init__(self) -> None:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        super().__init__(
            name="machine-identity-demo-shop",
            title="Conference T-shirt shop",
            version=__version__,
            instructions=INSTRUCTIONS,
            log_level="ERROR",
            subscriptions=False,
        )
        # The SDK's constructor has every log of the process printed to stderr; that is the application's to decide.
        root.handlers[:] = handlers
        root.setLevel(level)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool. What it raises becomes an `isError` result that a model can act on."""
        try:
            result = await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            logger.exception("tool %r failed", name)
            result = _error("The shop has failed at this. Check your orders before you try again.")
        except ToolError as refused:
            result = _error(_explain(refused, name))
        request = context.request_context.request if context is not None else None
        admission = request.scope.get(ADMISSION) if request is not None else None
        if isinstance(admission, Admission) and isinstance(result, CallToolResult):
            result.meta = {
                **(result.meta or {}),
                "demo/decision": admission.decision.to_dict(),
                "demo/limits": [asdict(limit) for limit in await admission.limits()],
            }
        return result

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """There is no prompt here, and whoever asks for one asked for a name that does not exist (MCP 2026-07-28,
        prompts, error handling). The SDK would answer with an internal error, as if the shop had failed.

        Raises:
            MCPError: invalid params, always.
        """
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _explain(refused: ToolError, name: str) -> str:
    """A tool's own words; for arguments that do not fit, which ones and why, without the values themselves."""
    if isinstance(refused.__cause__, ValidationError):
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in refused.__cause__.errors(include_url=False, include_input=False)
        ]
        return f"Nothing was done. The arguments do not fit: {'; '.join(faults)}."
    return str(refused).removeprefix(f"Error executing tool {name}: ")
