"""FastMCP with its JWT verifier and the shop's tool, for `bench.gates`: `gates_fastmcp.py PORT ISSUER AUDIENCE ANSWER`.

It runs in the environment of the peers (`requirements/peers.txt`), and so imports nothing of this project. It reads the
keys of the issuer that signs for our own shop, and takes the same tokens.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier

port, issuer, audience, answer = sys.argv[1:]
inventory = json.loads(answer)
verifier = JWTVerifier(
    jwks_uri=f"{issuer}/oauth2/jwks",
    issuer=issuer,
    audience=audience,
    algorithm="ES256",
    required_scopes=["shop:read"],
)
server = FastMCP("A shop on FastMCP", auth=verifier)


@server.tool(name="listMcpShopInventory", description="See what the shop has.")
def listed() -> dict[str, Any]:
    return inventory  # type: ignore[no-any-return]  # of JSON, and the same that the others answer


app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
