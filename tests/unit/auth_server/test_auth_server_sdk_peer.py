"""The MCP SDK's own client, which nobody here wrote: it registers itself, logs in by browser, and calls the shop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import CallToolResult

from demo.client import ConsentPage, SampleHuman
from tests.conftest import HANGS

T = TypeVar("T")


class Memory:
    """Where the SDK keeps what it got."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def log_in_and(what: Callable[[ClientSession], Awaitable[T]], server: str) -> tuple[T, Memory, list[ConsentPage]]:
    """Do something at a server with the SDK's own client, whose human leaves every field of the page as it is."""
    memory, seen, came = Memory(), list[ConsentPage](), list[str]()

    async def open_browser(url: str) -> None:
        page, back = await asyncio.to_thread(SampleHuman("alice@example.com").authorize, url, True)
        seen.append(page)
        came.append(back)

    async def callback() -> AuthorizationCodeResult:
        told = {name: values[0] for name, values in parse_qs(urlsplit(came[-1]).query).items()}
        return AuthorizationCodeResult(code=told["code"], state=told["state"], iss=told["iss"])

    async def main() -> T:
        auth = OAuthClientProvider(
            server,
            OAuthClientMetadata(client_name="SDK agent", redirect_uris=["http://127.0.0.1:49152/callback"]),
            memory,
            open_browser,
            callback,
        )
        async with (
            asyncio.timeout(60),
            httpx2.AsyncClient(auth=auth, verify=False, timeout=HANGS) as http,
            streamable_http_client(server, http_client=http) as (reading, writing, *_),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await what(session)

    return asyncio.run(main()), memory, seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_mcp_sdks_own_client_registers_logs_in_and_buys_with_the_page_left_as_it_is(base_url, host, read_claims):
    async def buy(session: ClientSession) -> tuple[list[str], CallToolResult]:
        tools = [tool.name for tool in (await session.list_tools()).tools]
        arguments = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}
        return tools, await session.call_tool("buyMcpShopItem", arguments)

    server = f"{base_url.replace('127.0.0.1', host)}/mcp"
    (tools, bought), memory, seen = log_in_and(buy, server)
    assert "buyMcpShopItem" in tools
    assert memory.client is not None and memory.client.client_id.startswith("client_")
    assert memory.tokens is not None and memory.tokens.refresh_token
    # One login, and no step-up: the first challenge asked for all that a shopper needs.
    assert [(page.client_name, page.limit) for page in seen] == [("SDK agent", "50.00 USD")]
    assert bought.is_error is not True, bought
    order = bought.structured_content["order"]
    assert (order["spendingLimit"], order["balance"]) == (
        {"amount": 5000, "currency": "USD"},
        {"amount": 2500, "currency": "USD"},
    )
    assert order["consent"] == read_claims(memory.tokens.access_token)["consent_id"]
