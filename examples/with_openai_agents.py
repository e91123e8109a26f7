"""An agent of openai-agents buys a shirt, within the limit that its human set: `python with_openai_agents.py URL`."""

import asyncio
import sys

from agents import Agent, Model, Runner
from agents.mcp import MCPServerStreamableHttp

from deputize import DeviceFlow, Money

ASKED = "Buy me a shirt in size M. I am with Acme, 1 Main St."


async def main(url: str, model: str | Model | None = None) -> str:
    flow = DeviceFlow(url, name="OpenAI Shopper", spending=Money(5000))  # 50.00 USD
    await flow.login()  # a request has 5 s here, and a human takes longer
    async with MCPServerStreamableHttp({"url": url, "auth": flow}) as server:
        agent = Agent(name="Shopper", mcp_servers=[server], model=model)
        return str((await Runner.run(agent, ASKED)).final_output)


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
