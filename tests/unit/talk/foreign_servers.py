"""MCP servers that nobody here wrote the shop for: one that asks nobody for anything, and some behind OAuth.

The tools are the MCP SDK's; the authorization server does the least that one must, hand-made, in the same process.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

App = Callable[[Any, Any, Any], Awaitable[None]]


def corner_shop(names: bool = False) -> MCPServer:
    """Three tools of its own; with `names` two of them are called what the talk's shop calls them."""
    server = MCPServer("corner shop", log_level="ERROR")
    sold: list[dict[str, str]] = []

    @server.tool(name="listMcpShopInventory" if names else "list_items")
    def items() -> dict[str, Any]:
        """What there is."""
        return {"items": [{"id": "shirt"}]}

    @server.tool(name="buyMcpShopItem" if names else "buy")
    def buy(size: str, address: str) -> str:
        """Buy a shirt."""
        if size not in ("S", "M", "L", "XL", "XXL"):
            raise ToolError("no such size")
        sold.append({"size": size, "address": address})
        return f"sold number {len(sold)}"

    @server.tool()
    def history() -> dict[str, Any]:
        """What was sold."""
        return {"orders": list(sold)}

    return server


@dataclass
class AuthServer:
    """Another authorization server: what it offers is set by the test.

    With `devices_refused` the device flow is offered and given to no client.

    Tokens are opaque. A human approves at `/approve?code=USER_CODE`; the code flow approves at once.
    """

    device: bool = True
    devices_refused: bool = False
    code: bool = False
    revocation: bool = False
    obeys_revocation: bool = True
    issuer: str = ""
    tokens: set[str] = field(default_factory=set)
    registered: list[dict[str, Any]] = field(default_factory=list)
    asked_scopes: list[str] = field(default_factory=list)
    _pending: dict[str, Any] = field(default_factory=dict)
    _codes: dict[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """RFC 8414."""
        told: dict[str, Any] = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "grant_types_supported": ["refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["items", "purchase"],
        }
        if self.device:
            told["device_authorization_endpoint"] = f"{self.issuer}/device_authorization"
            told["grant_types_supported"].append("urn:ietf:params:oauth:grant-type:device_code")
        if self.code:
            told["authorization_endpoint"] = f"{self.issuer}/authorize"
            told["code_challenge_methods_supported"] = ["S256"]
            told["grant_types_supported"].append("authorization_code")
        if self.revocation:
            told["revocation_endpoint"] = f"{self.issuer}/revoke"
        return told

    def routes(self) -> list[Route]:
        """What it answers to."""

        async def metadata(_: Request) -> Response:
            return JSONResponse(self.metadata())

        async def resource(_: Request) -> Response:
            told = {"resource": f"{self.issuer}/mcp", "authorization_servers": [self.issuer]}
            return JSONResponse(told | {"scopes_supported": ["items", "purchase"]})

        async def register(request: Request) -> Response:
            given = await request.json()
            self.registered.append(given)
            return JSONResponse(given | {"client_id": f"client-{len(self.registered)}"}, 201)

        async def begin(request: Request) -> Response:
            form = await request.form()
            if self.devices_refused:
                return JSONResponse({"error": "unauthorized_client"}, 400)
            self.asked_scopes.append(str(form.get("scope", "")))
            if set(str(form.get("scope", "")).split()) - {"items", "purchase"}:
                return JSONResponse({"error": "invalid_scope"}, 400)
            device, user = secrets.token_urlsafe(16), secrets.token_hex(4).upper()
            self._pending[device] = {"user": user, "ok": False, "scope": str(form.get("scope", ""))}
            told = {"device_code": device, "user_code": user, "verification_uri": f"{self.issuer}/approve"}
            return JSONResponse(told | {"expires_in": 60, "interval": 0.05})

        async def approve(request: Request) -> Response:
            for pending in self._pending.values():
                if pending["user"] == request.query_params.get("code"):
                    pending["ok"] = True
            return JSONResponse({})

        async def authorize(request: Request) -> Response:
            given = request.query_params
            code = secrets.token_urlsafe(16)
            self.asked_scopes.append(given.get("scope", ""))
            self._codes[code] = given["code_challenge"]
            return RedirectResponse(
                f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}", 302
            )

        async def token(request: Request) -> Response:
            form = {name: str(value) for name, value in (await request.form()).items()}
            if form.get("grant_type") == "authorization_code":
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                if self._codes.pop(form["code"], "") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
                    return JSONResponse({"error": "invalid_grant"}, 400)
            else:
                pending = self._pending.get(form.get("device_code", ""))
                if pending is None or not pending["ok"]:
                    return JSONResponse({"error": "authorization_pending"}, 400)
            return JSONResponse(self.issue())

        async def revoke(request: Request) -> Response:
            form = await request.form()
            if self.obeys_revocation:
                self.tokens.discard(str(form.get("token", "")))
            return Response()

        return [
            Route("/.well-known/oauth-protected-resource/mcp", resource),
            Route("/.well-known/oauth-authorization-server", metadata),
            Route("/register", register, methods=["POST"]),
            Route("/device_authorization", begin, methods=["POST"]),
            Route("/approve", approve),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/revoke", revoke, methods=["POST"]),
        ]

    def issue(self) -> dict[str, Any]:
        """A token response."""
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": "items purchase"}

    def guard(self, inner: App) -> App:
        """`inner`, whose `/mcp` nobody enters without a token."""

        async def guarded(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/mcp":
                held = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
                if held not in self.tokens:
                    where = f"{self.issuer}/.well-known/oauth-protected-resource/mcp"
                    error = ', error="invalid_token"' if held else ""
                    challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{where}"{error}'}
                    await JSONResponse({"error": "no"}, 401, challenge)(scope, receive, send)
                    return
            await inner(scope, receive, send)

        return guarded


@contextlib.contextmanager
def listening(shop: MCPServer, auth_server: AuthServer | None = None) -> Iterator[str]:
    """The server on a free port of this machine. Yields its MCP URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        base = f"http://127.0.0.1:{sock.getsockname()[1]}"
        inner = shop.streamable_http_app(streamable_http_path="/mcp", stateless_http=True, json_response=True)
        app: Any = inner
        if auth_server is not None:
            auth_server.issuer = base
            inner.router.routes.extend(auth_server.routes())
            app = auth_server.guard(inner)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started, "the server did not start"
        try:
            yield f"{base}/mcp"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
