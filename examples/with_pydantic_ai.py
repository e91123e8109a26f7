"""An agent of pydantic-ai buys a shirt, within the limit that its human set: `python with_pydantic_ai.py URL`."""

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models import Model

from deputize import DeviceFlow, Money

ASKED = "Buy me a shirt in size M. I am with Acme, 1 Main St."


async def main(url: str, model: str | Model = "openai:gpt-5") -> str:
    flow = DeviceFlow(url, name="Pydantic Shopper", spending=Money(5000))  # 50.00 USD
    await flow.login()  # connecting has a time limit, and a human takes longer
    agent = Agent(model, toolsets=[MCPToolset(url, auth=flow)])
    async with agent:
        return (await agent.run(ASKED)).output


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
