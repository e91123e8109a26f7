"""The local server as the suite's server scenarios need it: `shop_under_test.py --state DIR --port N`.

It is the whole local server, with two things added from outside, before it starts; production code has neither:

- five diagnostic tools at both doors, by the names that the suite calls. Some of what it checks can be provoked by a
  tool only (a capability that the client did not declare, a parameter that is mirrored into a header), and what it
  provokes goes through the shop's own doors and results.
- a way into the protected door for a client that cannot send a header of its own, as the suite's cannot: what is asked
  of `/with-token/TOKEN/mcp` is asked of `/mcp` with that bearer token. All gates are asked, as ever.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Final

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, Tool
from pydantic import Field

import demo.local_server.app
import demo.local_server.server
import demo.shop.config
from demo.shop.server import ShopServer

WITH_TOKEN: Final = "/with-token/"

SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""The schema that the scenario `json-schema-2020-12` wants listed; it is never called."""


def add_diagnostic_tools() -> None:
    """Have every shop made from now on offer them beside its own."""
    honest_make, honest_list = ShopServer.__init__, ShopServer.list_tools

    def make(server: ShopServer, *given: Any) -> None:
        honest_make(server, *given)

        @server.tool(name="test_simple_text", description="Give one line of text.", structured_output=False)
        def simple_text() -> str:
            return "This is a simple text response for testing."

        @server.tool(name="test_error_handling", description="Fail, always.", structured_output=False)
        def error_handling() -> str:
            raise ToolError("This tool intentionally returns an error for testing")

        @server.tool(
            name="test_missing_capability",
            description="Refuse a client that did not declare sampling.",
            structured_output=False,
        )
        def missing_capability(ctx: Context[Any, Any]) -> str:
            declared = ctx.request_context.session.client_capabilities
            if declared is None or declared.sampling is None:
                data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
                raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling.", data)
            return "The client declared sampling."

        @server.tool(
            name="test_custom_header",
            description="Take a parameter that is mirrored into a header.",
            structured_output=False,
        )
        def custom_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
            return f"Asked for {region}."

    async def list_tools(self: ShopServer) -> list[Tool]:
        listed_only = Tool(name="json_schema_2020_12_tool", description="Be listed.", input_schema=SCHEMA)
        return [*await honest_list(self), listed_only]

    ShopServer.__init__ = make  # type: ignore[method-assign]
    ShopServer.list_tools = list_tools  # type: ignore[method-assign, assignment]  # of this class, not of its base


def let_tokens_in_by_path() -> None:
    """See the module's docstring."""
    honest = demo.local_server.app.Guard.__call__

    async def guard(self: demo.local_server.app.Guard, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith(WITH_TOKEN):
            token, _, rest = path.removeprefix(WITH_TOKEN).partition("/")
            headers = [*scope["headers"], (b"authorization", f"Bearer {token}".encode())]
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "headers": headers}
        await honest(self, scope, receive, send)

    demo.local_server.app.Guard.__call__ = guard  # type: ignore[method-assign]


if __name__ == "__main__":
    add_diagnostic_tools()
    let_tokens_in_by_path()
    # One agent asks for everything here within seconds; the rate limit has tests of its own.
    demo.shop.config.ShopConfig = functools.partial(demo.shop.config.ShopConfig, rate_calls=1000)  # type: ignore[misc, assignment]
    demo.local_server.server.main()
