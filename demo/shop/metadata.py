"""Protected resource metadata (RFC 9728): how an agent that was refused finds the authority."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from demo.shop.catalog import MANAGE_SCOPE, SCOPES, SERVER_TITLE, SPENDING_TYPE
from demo.shop.config import ShopConfig

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def document(config: ShopConfig, host: str) -> dict[str, Any]:
    """The metadata document of the protected door (RFC 9728 section 2), for who came by this `Host`."""
    return {
        "resource": f"{config.origin(host)}/mcp",
        "authorization_servers": [config.issuer],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [SPENDING_TYPE],
        "resource_name": SERVER_TITLE,
    }


def account_document(config: ShopConfig, host: str) -> dict[str, Any]:
    """The metadata document of the human's own routes, for who came by this `Host`."""
    return {
        "resource": f"{config.origin(host)}/account",
        "authorization_servers": [config.issuer],
        "scopes_supported": [MANAGE_SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": f"{SERVER_TITLE}: the human in control",
    }


def routes(config: ShopConfig) -> list[BaseRoute]:
    """The documents with the resource's path in their own (RFC 9728 section 3.1), and the door's without, for agents
    that look at the root only."""

    async def metadata(request: Request) -> JSONResponse:
        told = document(config, request.headers.get("host", ""))
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def account(request: Request) -> JSONResponse:
        told = account_document(config, request.headers.get("host", ""))
        return JSONResponse(told, headers={"cache-control": "no-store"})

    doors = [Route(path, metadata, methods=["GET"]) for path in (f"{WELL_KNOWN}/mcp", WELL_KNOWN)]
    return [*doors, Route(f"{WELL_KNOWN}/account", account, methods=["GET"])]
