"""The MCP SDK's own client, which nobody here wrote: it registers itself, logs in by browser, and calls the shop."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from demo.client import ConsentPage, SampleHuman


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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_mcp_sdks_own_client_registers_is_approved_and_lists_the_tools(base_url):
    memory, seen, came = Memory(), list[ConsentPage](), list[str]()

    async def open_browser(url: str) -> None:
        page, back = await asyncio.to_thread(SampleHuman("alice@example.com").authorize, url, True)
        seen.append(page)
        came.append(back)

    async def callback() -> AuthorizationCodeResult:
        told = {name: values[0] for name, values in parse_qs(urlsplit(came[0]).query).items()}
        return AuthorizationCodeResult(code=told["code"], state=told["state"], iss=told["iss"])

    async def main() -> list[str]:
        auth = OAuthClientProvider(
            f"{base_url}/mcp",
            OAuthClientMetadata(client_name="SDK agent", redirect_uris=["http://127.0.0.1:49152/callback"]),
            memory,
            open_browser,
            callback,
        )
        async with (
            asyncio.timeout(20),
            httpx2.AsyncClient(auth=auth, verify=False, timeout=10) as http,
            streamable_http_client(f"{base_url}/mcp", http_client=http) as (reading, writing, *_),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return [tool.name for tool in (await session.list_tools()).tools]

    assert "buyMcpShopItem" in asyncio.run(main())
    assert memory.client is not None and memory.client.client_id.startswith("client_")
    assert memory.tokens is not None and memory.tokens.refresh_token
    assert [page.client_name for page in seen] == ["SDK agent"]
