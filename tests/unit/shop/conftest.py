"""A shop on a real socket, beside a small authorization server of the tests' own that can be told to misbehave."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from demo.shop.app import create_shop
from demo.shop.config import ShopConfig
from deputize.net import free_port
from tests.conftest import HANGS

RESOURCE_SERVER = ("shop", "a secret: of the/shop")
MODERN = {"mcp-protocol-version": "2026-07-28", "accept": "application/json, text/event-stream"}
ALL_SCOPES = "openid shop:read orders:read shop:buy user:read demo:mode audit:read"


@contextmanager
def serving(app: Any, port: int) -> Iterator[None]:
    """Run an ASGI application on a real socket in a thread, until the block ends."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="on", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the test server did not start")
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@dataclass
class FakeAuthServer:
    """The wire contract's authorization server, as far as a resource server sees it, with every switch a test needs."""

    issuer: str
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "first", "use": "sig"}))
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: dict[str, str] = field(default_factory=dict)
    """jti to what was revoked."""
    answer: Callable[[], Awaitable[Response]] | None = None
    """What introspection answers instead of the truth."""
    metadata_changes: dict[str, Any] = field(default_factory=dict)
    jwks: list[dict[str, Any]] | None = None
    credentials: tuple[str, str] = RESOURCE_SERVER
    asked: list[str] = field(default_factory=list)
    streams: Callable[[Request], Awaitable[Response]] | None = None
    """What answers about event streams; without it there are none."""

    def token(self, **changes: Any) -> str:
        """A good access token of Alice's agent; `changes` replace claims, None removes one."""
        claims = {
            "iss": self.issuer,
            "sub": "user_alice",
            "aud": f"{self.issuer_base}/mcp",
            "client_id": "demo-agent",
            "act": {"sub": "agent_alice"},
            "sid": "session_1",
            "consent_id": "consent_1",
            "scope": ALL_SCOPES,
            "authorization_details": [spending(10000, f"{self.issuer_base}/mcp")],
            "jti": f"jti_{secrets.token_hex(4)}",
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
        }
        claims.update(changes)
        return self.sign({name: value for name, value in claims.items() if value is not None})

    issuer_base: str = ""
    """The shop's base URL, whose resource the tokens are for."""

    def sign(self, claims: Any, *, header: dict[str, Any] | None = None, key: Any = None, alg: str = "ES256") -> str:
        """Sign anything with any key and header."""
        protected = {"alg": alg, "typ": "at+jwt", "kid": self.key.kid, **(header or {})}
        return jws.serialize_compact(protected, json.dumps(claims).encode(), key or self.key, algorithms=[alg])

    def rotate(self) -> None:
        """A new key; the old one is gone."""
        self.key = ECKey.generate_key("P-256", {"kid": f"key-{secrets.token_hex(4)}", "use": "sig"})

    def app(self) -> Starlette:
        """The ASGI application."""

        async def metadata(_: Request) -> Response:
            self.asked.append("metadata")
            return JSONResponse(
                {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/keys",
                    "introspection_endpoint": f"{self.issuer}/ask",
                    **self.metadata_changes,
                }
            )

        async def keys(_: Request) -> Response:
            self.asked.append("keys")
            return JSONResponse({"keys": self.jwks if self.jwks is not None else [self.key.as_dict(private=False)]})

        async def about_streams(request: Request) -> Response:
            return await self.streams(request) if self.streams is not None else Response(status_code=404)

        async def introspect(request: Request) -> Response:
            self.asked.append("introspect")
            if self.answer is not None:
                return await self.answer()
            given = httpx2.BasicAuth(*[_form(part) for part in self.credentials])
            expected = next(given.auth_flow(httpx2.Request("POST", self.issuer))).headers["authorization"]
            if request.headers.get("authorization") != expected:
                return JSONResponse({"error": "invalid_client"}, status_code=401)
            token = str((await request.form())["token"])
            claims = json.loads(jws.extract_compact(token.encode()).payload or b"{}")
            if claims.get("jti") in self.revoked:
                return JSONResponse({"active": False, "revoked": self.revoked[claims["jti"]]})
            if claims["exp"] <= time.time():
                return JSONResponse({"active": False})
            return JSONResponse({"active": True, **claims, **self.users[claims["sub"]]})

        routes = [
            Route("/.well-known/oauth-authorization-server", metadata),
            Route("/keys", keys),
            Route("/ask", introspect, methods=["POST"]),
            Route("/.well-known/ssf-configuration", about_streams),
            Route("/ssf/{about}", about_streams, methods=["GET", "POST"]),
        ]
        return Starlette(routes=routes)


def _form(part: str) -> str:
    return quote(part, safe="")


def spending(amount: Any, resource: str, **changes: Any) -> dict[str, Any]:
    """One `shop_spending` authorization detail."""
    limit = {"amount": amount, "currency": "USD"}
    return {"type": "shop_spending", "actions": ["buy"], "locations": [resource], "limit": limit, **changes}


@dataclass
class World:
    """A shop, its authorization server, and hands to reach for both."""

    base: str
    auth_server: FakeAuthServer
    database: Path
    http: httpx2.Client
    restart: Callable[..., None]
    stop: Callable[[], None]
    clock: SimpleNamespace

    def token(self, **changes: Any) -> str:
        """A token of the authorization server's."""
        return self.auth_server.token(**changes)

    def post(
        self, method: str, params: dict[str, Any] | None = None, *, token: str | None, path: str = "/mcp", **extra: Any
    ) -> httpx2.Response:
        """One JSON-RPC request at MCP 2026-07-28, by hand."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**(params or {}), "_meta": meta}}
        headers = {**MODERN, "mcp-method": method, **extra.pop("headers", {})}
        if params and "name" in params:
            headers.setdefault("mcp-name", params["name"])
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        headers["content-type"] = "application/json"
        return self.http.post(self.base + path, content=json.dumps(body), headers=headers, **extra)

    def call(self, tool: str, arguments: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """One tool call, by hand."""
        return self.post("tools/call", {"name": tool, "arguments": arguments or {}}, **options)

    def buy(self, *, token: str | None, key: str | None = None, path: str = "/mcp", **changes: Any) -> httpx2.Response:
        """One purchase, by hand."""
        arguments = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M", **changes}
        if key is not None:
            arguments["idempotencyKey"] = key
        return self.call("buyMcpShopItem", arguments, token=token, path=path)

    def audit(self, token: str, **query: Any) -> list[dict[str, Any]]:
        """The audit log as this token may see it."""
        answer = self.http.get(
            f"{self.base}/audit", params=query, headers={"authorization": f"Bearer {token}"}
        ).raise_for_status()
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    def with_client(
        self, tool: str, arguments: dict[str, Any], *, token: str | None, mode: str, path: str = "/mcp"
    ) -> CallToolResult:
        """One tool call through the SDK's own client."""

        async def run() -> CallToolResult:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=HANGS, trust_env=False, verify=False) as http,
                Client(streamable_http_client(self.base + path, http_client=http), mode=mode) as client,
            ):
                result = await client.call_tool(tool, arguments)
                assert isinstance(result, CallToolResult)
                return result

        return asyncio.run(run())


def refusal(answer: httpx2.Response) -> dict[str, Any]:
    """The decision in a refusal's body, after what every refusal has was checked."""
    body = answer.json()
    assert body["jsonrpc"] == "2.0"
    decision: dict[str, Any] = body["error"]["data"]["decision"]
    assert decision["verdict"] == "deny"
    assert answer.headers["demo-audit-id"] == decision["audit_id"]
    assert body["error"]["code"] == (-32029 if answer.status_code == 429 else -32003)
    assert body["error"]["message"] == (
        f"Refused by the {decision['gate']} gate: {decision['reason']} {decision['remedy']}"
    )
    assert len(decision["reason"]) <= 76
    return decision


@pytest.fixture(scope="session")
def auth_server_running() -> Iterator[FakeAuthServer]:
    """One authorization server for all tests; each begins with a new state of it (see `open_world`)."""
    port = free_port()
    auth_server = FakeAuthServer(f"http://127.0.0.1:{port}")
    with serving(auth_server.app(), port):
        yield auth_server


@pytest.fixture
def open_world(tmp_path: Path, auth_server_running: FakeAuthServer) -> Iterator[Callable[..., World]]:
    """Opens worlds; settings of the shop as keyword arguments. All are closed when the test ends."""
    with ExitStack() as stack:

        def start(**settings: Any) -> World:
            shop_port = free_port()
            base = f"http://127.0.0.1:{shop_port}"
            auth_server = auth_server_running
            auth_server.__dict__.update(FakeAuthServer(auth_server.issuer, issuer_base=base).__dict__)
            auth_server.users = {
                "user_alice": {"username": "alice@example.com", "name": "Alice Ito", "roles": []},
                "user_grace": {"username": "grace@example.com", "name": "Grace Okoro", "roles": ["admin"]},
                "user_mallory": {"username": "mallory@example.org", "name": "Mallory Crane", "roles": []},
            }
            clock = SimpleNamespace(ahead=0.0)
            config = ShopConfig(
                base_url=base,
                database=tmp_path / f"shop-{shop_port}.sqlite3",
                issuer=auth_server.issuer,
                introspection=RESOURCE_SERVER,
                answer_timeout=HANGS / 3,
                clock=lambda: time.time() + clock.ahead,
            )
            running = stack.enter_context(_Restartable(replace(config, **settings)))
            http = stack.enter_context(httpx2.Client(timeout=HANGS, trust_env=False, verify=False))
            return World(base, auth_server, config.database, http, running.restart, running.stop, clock)

        yield start


class _Restartable:
    """A shop's server that can be stopped and started again on the same port and file."""

    def __init__(self, config: ShopConfig) -> None:
        self.config = config
        self._serving: AbstractContextManager[None] | None = None

    def __enter__(self) -> _Restartable:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.__exit__(None, None, None)
            self._serving = None

    def restart(self, **changes: Any) -> None:
        self.stop()
        self.config = replace(self.config, **changes)
        self._start()

    def _start(self) -> None:
        shop = create_shop(self.config)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> Any:
            async with shop.lifespan():
                yield

        port = int(self.config.base_url.rsplit(":", 1)[1])
        self._serving = serving(Starlette(routes=shop.routes, lifespan=lifespan), port)
        self._serving.__enter__()


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    """A shop with its default settings."""
    return open_world()


@pytest.fixture
def said() -> Callable[[httpx2.Response], dict[str, Any]]:
    """Reads a refusal: see `refusal`."""
    return refusal


@pytest.fixture
def limit_of() -> Callable[..., dict[str, Any]]:
    """Makes a `shop_spending` authorization detail: see `spending`."""
    return spending


@pytest.fixture
def html() -> Callable[[], Awaitable[Response]]:
    """An introspection endpoint behind a captive portal."""

    async def answer() -> Response:
        return HTMLResponse("<html>Welcome to the conference wifi</html>")

    return answer
