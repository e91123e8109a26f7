"""FastMCP's client buys a shirt, within the limit that its human set: `python with_fastmcp.py URL`."""

import asyncio
import sys

from fastmcp import Client

from deputize import DeviceFlow, Money

SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


async def main(url: str) -> str:
    flow = DeviceFlow(url, name="FastMCP Shopper", spending=Money(5000))  # 50.00 USD
    await flow.login()  # connecting has a time limit, and a human takes longer
    async with Client(url, auth=flow) as client:
        return str((await client.call_tool("buyMcpShopItem", SHIRT)).structured_content)


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
