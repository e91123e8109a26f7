"""The servers that `bench.gates` compares, each a process: `python -m bench.gates_servers ROLE PORT STATE`.

`ours` is the local server as `demo serve` runs it, its shop and its authorization server in one process, nothing
switched off and, at the protected door, no limit raised. `bare` is the MCP SDK's server with the same tool and no
authorization. `floor` answers a fixed text: what the load itself can do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import sys
from pathlib import Path
from typing import Any

TOOL = "listMcpShopInventory"


def ours(port: int, state: Path) -> None:
    """The local server."""
    import uvicorn

    import demo.shop.app
    from demo.local_server.app import create_app
    from deputize import net

    create_shop = demo.shop.app.create_shop

    def unlimited(config: Any) -> Any:
        # One machine has one address where it has not all of 127.0.0.0/8; an address has 30 calls in 10 s.
        return create_shop(dataclasses.replace(config, open_rate_calls=10**9))

    demo.shop.app.create_shop = unlimited
    app = create_app(f"http://127.0.0.1:{port}", state / "server.sqlite3")
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    gc.freeze()  # as `demo.local_server.server.main` does
    gc.set_threshold(20_000, 20, 50)
    with net.listening("127.0.0.1", port) as bound:
        uvicorn.Server(config).run(sockets=[bound])


def bare(port: int, state: Path) -> None:
    """The MCP SDK's server, with the tool's answer in memory."""
    import uvicorn
    from mcp.server import MCPServer

    from demo.shop import catalog

    server: MCPServer[Any] = MCPServer("Bare", log_level="ERROR")
    answer = inventory()

    @server.tool(name=TOOL, description=catalog.TOOLS[TOOL].description)
    def listed() -> dict[str, Any]:
        return answer

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def floor(port: int, state: Path) -> None:
    """As little as a server can do: read a request, write 1 KiB."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"isError": False, "text": "x" * 1000}}).encode()
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)  # the load sends a request in one piece

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def inventory() -> dict[str, Any]:
    """What the shop's tool answers."""
    from demo.shop import catalog

    item = {"id": catalog.ITEM_ID, "name": catalog.ITEM_NAME, "sizes": list(catalog.SIZES)}
    return {"items": [{**item, "price": {"amount": 2500, "currency": "USD"}, "stock": 100}]}


if __name__ == "__main__":
    role, given_port, given_state = sys.argv[1:]
    {"ours": ours, "bare": bare, "floor": floor}[role](int(given_port), Path(given_state))
