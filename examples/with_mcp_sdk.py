"""The MCP SDK's client buys a shirt, within the limit that its human set: `python with_mcp_sdk.py URL`."""

import asyncio
import sys

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from deputize import DeviceFlow, Money

SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


async def main(url: str) -> str:
    flow = DeviceFlow(url, name="SDK Shopper", spending=Money(5000))  # 50.00 USD
    async with (
        httpx2.AsyncClient(auth=flow) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        return str((await client.call_tool("buyMcpShopItem", SHIRT)).structured_content)


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
