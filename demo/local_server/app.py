"""The local server as one ASGI app: the shop's two doors, the authorization server, and what stands beside them.

The only module that knows both the shop and the authorization server. It hands each the other's public address, never
the other's objects.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from demo import __version__, tracing
from demo.local_server import WAREHOUSE, proving, world
from deputize import net

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

NAME = "machine-identity-demo"


class Guard:
    """ASGI wrapper: refuses a foreign `Host` (421) or `Origin` (403) on every path (DNS rebinding, MCP 2026-07-28
    transports, security), and remembers when somebody last called."""

    def __init__(self, app: ASGIApp, origins: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.origins = origins
        self.hosts = frozenset(urlsplit(origin).netloc for origin in origins)
        self.clock = clock
        self.last_call = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.last_call = self.clock()
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if host not in self.hosts:
            await _refuse(scope, receive, send, 421, f"this server is not {host or 'nameless'}")
        elif origin is not None and origin not in self.origins:
            await _refuse(scope, receive, send, 403, f"requests from pages of {origin} are not served")
        else:
            await self.app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    from starlette.responses import JSONResponse

    await JSONResponse({"error": "invalid_request", "error_description": why}, status)(scope, receive, send)


def origins_of(base_url: str) -> frozenset[str]:
    """The origins under which a server at `base_url` may be called: its own, and on loopback the other spellings."""
    parts = urlsplit(base_url)
    if parts.netloc.removesuffix(f":{parts.port}") not in net.LOOPBACK_NAMES:
        return frozenset({base_url})
    return frozenset(f"http://{name}:{parts.port}" for name in net.LOOPBACK_NAMES)


def create_app(
    base_url: str,
    database: Path,
    *,
    instance: str = "",
    secret: str = "",
    clock: Callable[[], float] = time.time,
    more_resources: Callable[[], tuple[str, ...]] = tuple,
    policy_folder: Path | None = None,
) -> Guard:
    """The whole local server as one ASGI app.

    Args:
        base_url: its origin without a trailing slash; also the authorization server's issuer.
        database: the SQLite file for everything it remembers; made when missing.
        instance: a name of this process for `/health`.
        secret: with which it proves itself to anyone who sends a challenge there; empty where it proves nothing.
        clock: POSIX seconds; tests move it.
        policy_folder: where the shop's policy may lie as a file; None: the one that ships is in force.
        more_resources: what the authorization server issues tokens for beside this server's own, asked at each request.
    """
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from demo.auth_server.context import AuthorizationServerConfig
    from demo.auth_server.routes import create_authorization_server
    from demo.shop.app import create_shop
    from demo.shop.config import ShopConfig, WarehouseConfig
    from demo.warehouse.app import routes as warehouse_routes
    from demo.warehouse.transaction_token import Trust
    from demo.workos_emulator.routes import workos_routes

    name, introspection_secret = world.settle(database)
    console_key = world.settle_console(database, base_url)
    introspection = (world.RESOURCE_SERVER, introspection_secret)
    aliases = tuple(sorted(origins_of(base_url) - {base_url}))
    server = create_authorization_server(
        AuthorizationServerConfig(
            issuer=base_url,
            database=database,
            resources=(f"{base_url}/mcp", f"{base_url}/account"),
            resource_server=introspection,
            clock=clock,
            more_resources=more_resources,
            aliases=aliases,
            console_key=console_key,
        )
    )
    try:
        # What WorkOS's API changes may revoke something, too.
        workos = [
            one if "GET" in (one.methods or ()) else server.events.before_answering(one)
            for one in workos_routes(server.context)
        ]
        warehouse = warehouse_routes(Trust(base_url, f"{base_url}/internal"), database, clock)
        shop = create_shop(
            ShopConfig(
                base_url=base_url,
                database=database,
                issuer=base_url,
                introspection=introspection,
                clock=clock,
                aliases=aliases,
                policy_folder=policy_folder,
                warehouse=WarehouseConfig(base_url + WAREHOUSE, f"{base_url}/internal"),
            )
        )
    except BaseException:  # such as a schema of a newer version
        server.context.store.close()
        raise

    async def health(request: Request) -> JSONResponse:
        about = {"name": NAME, "version": __version__, "instance": instance, "world": name, "pid": os.getpid()}
        told: dict[str, object] = {**about, "policy": await shop.policy()}
        if shop.dispatch is not None:
            told["warehouse"] = {"trouble": shop.dispatch.trouble}
        challenge = request.query_params.get(proving.CHALLENGE, "")
        if secret and 0 < len(challenge) <= proving.LONGEST_CHALLENGE:
            told["proof"] = proving.proof(secret, base_url, instance, challenge)
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    async def client_metadata(_: Request) -> JSONResponse:
        return JSONResponse(client_document(base_url), headers={"Cache-Control": "max-age=300"})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with shop.lifespan():
            yield

    ours = [Route("/health", health), Route("/client.json", client_metadata)]
    # Routes are tried in this order: what agents call all the time comes first.
    app: ASGIApp = Starlette(routes=[*shop.routes, *ours, *server.routes, *workos, *warehouse], lifespan=lifespan)
    if tracing.on():
        from demo.tracing.serving import Served

        whose = {tracing.AUTHORIZATION_SERVER: server.routes, tracing.SHOP: [*shop.routes, *ours]}
        paths = {one.path: service for service, routes in whose.items() for one in routes if isinstance(one, Route)}
        app = Served(app, paths, tracing.AUTHORIZATION_SERVER)
    return Guard(app, origins_of(base_url))


def client_document(base_url: str) -> dict[str, object]:
    """The bundled agent's client ID metadata document (MCP 2026-07-28) under this server's name: the shipped
    `demo/client_metadata.json`, which anybody may host elsewhere, with its own URL as `client_id`."""
    shipped: dict[str, object] = json.loads((Path(__file__).parent.parent / "client_metadata.json").read_text("utf-8"))
    return shipped | {"client_id": f"{base_url}/client.json"}
