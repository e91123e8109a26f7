"""Putting the shop together: one ledger, one gatehouse, two MCP servers, each behind its door."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute, Route

from demo.shop import audit_routes, events, ledger, policy_routes, routes
from demo.shop.catalog import LIMITS
from demo.shop.checkpoints import Checkpoints, own_key
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.dispatch import Dispatch
from demo.shop.doors import App, Door
from demo.shop.gatehouse import Gatehouse
from demo.shop.server import ShopServer
from demo.shop.stream import EventStream
from deputize.net import LOOPBACK_NAMES


@dataclass(frozen=True)
class Shop:
    """A shop that is ready to be routed to: `routes` for the application, `lifespan()` around its serving."""

    config: ShopConfig
    routes: list[BaseRoute]
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    """Opens the MCP session managers and the connections to the authorization server; to be entered once."""
    policy: Callable[[], Awaitable[dict[str, Any]]]
    """What anybody may know of the policy in force: which one it is, not what it says."""
    dispatch: Dispatch | None = None
    """What tells the warehouse of orders, where there is one."""


def create_shop(config: ShopConfig) -> Shop:
    """Make a shop from its settings, creating or reading its ledger.

    Raises:
        sqlite3.Error: the ledger cannot be opened or is not one.
        PolicyWrong: the policy file cannot be read, and there never was a good one.
    """
    database = Database(config.database)
    auth_server = AuthServer(config.issuer, timeout=config.answer_timeout, clock=config.clock, at=config.auth_server_at)
    gatehouse = Gatehouse(config, database, auth_server)
    try:
        with database.transaction() as connection:
            ledger.restock(connection, config.stock, config.open_stock)
            key = own_key(connection, config.clock())
            gatehouse.policy.begin(connection)
    except BaseException:
        database.close()
        raise
    stream = EventStream(config, database, auth_server)
    auth_server.before_asking = stream.ready
    dispatch = None
    if config.warehouse is not None:
        dispatch = gatehouse.dispatch = Dispatch(
            config.warehouse,
            config.introspection,
            database,
            auth_server,
            timeout=config.answer_timeout,
            clock=config.clock,
        )
    checkpoints = Checkpoints(config, database, key)
    _leave_logging_to_the_application()
    behind_protected, behind_open = ShopServer(gatehouse.policy.current), ShopServer(gatehouse.policy.current)
    protected = Door(gatehouse, _mcp_app(behind_protected, "/mcp", config), "protected")
    opened = Door(gatehouse, _mcp_app(behind_open, "/open/mcp", config), "open")

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(database.close)
            await stack.enter_async_context(auth_server)
            if dispatch is not None:
                await stack.enter_async_context(dispatch.running())
            await stack.enter_async_context(checkpoints.kept())
            stack.push_async_callback(stream.close)
            for server in (behind_protected, behind_open):
                await stack.enter_async_context(server.session_manager.run())
            yield

    served = [
        Route("/mcp", endpoint=protected),
        Route("/open/mcp", endpoint=opened),
        *routes.routes(gatehouse),
        *audit_routes.routes(gatehouse, checkpoints),
        *policy_routes.routes(gatehouse),
        *events.routes(config, database, auth_server, stream.verified),
    ]

    async def about_policy() -> dict[str, Any]:
        await gatehouse.policy.refresh(database)
        return gatehouse.policy.about()

    return Shop(config, served, lifespan, about_policy, dispatch)


def _leave_logging_to_the_application() -> None:
    """Nothing of ours or the SDK's is printed unless the application says where: without a handler, Python itself
    would write warnings to stderr, in the middle of what is on screen."""
    for name in ("mcp", "demo.shop"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _mcp_app(server: ShopServer, path: str, config: ShopConfig) -> App:
    host = urlsplit(config.base_url).netloc
    names = [*(f"{name}:*" for name in LOOPBACK_NAMES), *LOOPBACK_NAMES, host]
    origins = [*(f"http://{name}" for name in names[:-1]), config.base_url]
    return server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        json_response=True,
        # A body may grow when it is written again (non-ASCII characters become escapes).
        max_request_body_size=6 * LIMITS.message_bytes,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=names, allowed_origins=origins
        ),
    )
