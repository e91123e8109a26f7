"""`own_login.py HOST URL`: an MCP host in Python logs in by its own OAuth client, and buys a shirt.

HOST is `sdk`, `fastmcp`, `openai-agents` or `pydantic-ai`. The browser is the machine's, as `webbrowser` finds it. What
was bought is a line of JSON on stdout. Where a host needs a model, its one decision is written here; all else is the
host's own.
"""

from __future__ import annotations

import json
import sys
import threading
import webbrowser
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.to_thread

SECONDS = 60.0
TOOL = "buyMcpShopItem"
SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


class Memory:
    """What the SDK leaves to its user to remember: the tokens and the registered client."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


def sdk_login(url: str) -> Any:
    """The SDK's OAuth client with what its documentation has a user add: a listener, and the browser."""
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    came: Queue[dict[str, list[str]]] = Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.put(parse_qs(urlsplit(self.path).query))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()

    async def browse(link: str) -> None:
        webbrowser.open(link)

    async def returned() -> AuthorizationCodeResult:
        query = await anyio.to_thread.run_sync(lambda: came.get(timeout=SECONDS))
        return AuthorizationCodeResult(
            code=query["code"][0], state=query.get("state", [None])[0], iss=query.get("iss", [None])[0]
        )

    back = AnyUrl(f"http://127.0.0.1:{listener.server_port}/callback")
    about = OAuthClientMetadata(client_name="A host on the Python SDK", redirect_uris=[back])
    return OAuthClientProvider(url, about, Memory(), redirect_handler=browse, callback_handler=returned)


async def by_the_sdk(url: str) -> Any:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(auth=sdk_login(url), timeout=SECONDS) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        bought = await client.call_tool(TOOL, SHIRT)
        assert not bought.is_error, bought
        return bought.structured_content


async def by_fastmcp(url: str) -> Any:
    from fastmcp import Client

    async with Client(url, auth="oauth") as client:
        return (await client.call_tool(TOOL, SHIRT)).structured_content


async def by_openai_agents(url: str) -> Any:
    from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
    from agents.mcp import MCPServerStreamableHttp
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    set_tracing_disabled(True)

    class Decided(Model):
        """Calls the one tool, then says what it read."""

        async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
            read = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
            if not read:
                call = ResponseFunctionToolCall(
                    type="function_call", call_id="call_1", name=TOOL, arguments=json.dumps(SHIRT)
                )
                return ModelResponse(output=[call], usage=Usage(), response_id=None)
            said = ResponseOutputText(type="output_text", text=json.dumps(read[0]["output"]), annotations=[])
            message = ResponseOutputMessage(
                id="message_1", type="message", role="assistant", status="completed", content=[said]
            )
            return ModelResponse(output=[message], usage=Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError("nothing is streamed here")

    # A person at a browser needs longer than the 5 s that a server has to answer in.
    server = MCPServerStreamableHttp(
        {"url": url, "auth": sdk_login(url), "timeout": SECONDS},
        client_session_timeout_seconds=SECONDS,
        use_structured_content=True,
    )
    async with server:
        agent = Agent(name="Shopper", mcp_servers=[server], model=Decided())
        ran = await Runner.run(agent, "Buy me a shirt, size M.")
    return json.loads(_text(json.loads(ran.final_output)))


async def by_pydantic_ai(url: str) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    def decided(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        read = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        if not read:
            return ModelResponse(parts=[ToolCallPart(TOOL, SHIRT)])
        return ModelResponse(parts=[TextPart(json.dumps(read[0].content))])

    agent = Agent(FunctionModel(decided), toolsets=[MCPToolset(url, auth="oauth")])
    async with agent:
        ran = await agent.run("Buy me a shirt, size M.")
    return json.loads(ran.output)


def _text(output: Any) -> str:
    """The text of a tool's output, however the framework wraps it."""
    if isinstance(output, list):
        output = output[0]
    return str(output["text"]) if isinstance(output, dict) else str(output)


HOSTS: dict[str, Callable[[str], Awaitable[Any]]] = {
    "sdk": by_the_sdk,
    "fastmcp": by_fastmcp,
    "openai-agents": by_openai_agents,
    "pydantic-ai": by_pydantic_ai,
}


async def main(host: str, url: str) -> None:
    with anyio.fail_after(SECONDS):
        sys.stdout.write(f"{json.dumps(await HOSTS[host](url))}\n")


anyio.run(main, *sys.argv[1:])
