"""A shop on FastMCP with its in-memory OAuth provider: it registers clients, approves at once, rotates and revokes."""

from __future__ import annotations

import asyncio
import json
import socket

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_access_token
from shop_tools import add_shop_tools

SCOPES = ["shop:read", "shop:buy"]


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        provider = InMemoryOAuthProvider(
            base_url=base,
            client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES),
            revocation_options=RevocationOptions(enabled=True),
            required_scopes=SCOPES,
        )
        server = FastMCP("A shop on FastMCP", auth=provider)

        def who() -> str | None:
            token = get_access_token()
            return token.client_id if token is not None else None

        add_shop_tools(server, who)
        print(json.dumps({"ready": f"{base}/mcp"}), flush=True)
        await uvicorn.Server(uvicorn.Config(server.http_app(), log_level="warning")).serve(sockets=[bound])


asyncio.run(main())
