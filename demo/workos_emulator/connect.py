"""What AuthKit's clients and resource servers are set up with: MCP resource indicators (RFC 8707), and the key set.

As with AuthKit, a token names a server in `aud` only when that server was registered. The keys are ES256, as all of
this authorization server's; WorkOS's are RS256, which the SDK's model of a key set takes for granted. Who wants to
verify reads the set as JSON (RFC 7517).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.auth_server.administration import (
    RegisteredResource,
    register_resource,
    registered_resources,
    resource_objection,
)

from .api import Api, Call, not_found, unprocessable
from .shapes import CLIENT_ID, derived_id, page, stamp

RESOURCES = "/user_management/authkit_oauth_resources"
KEYS = "/sso/jwks/{client_id}"


def connect_routes(api: Api) -> list[Route]:
    """List and create resource indicators; the key set, for everybody: public keys need no API key."""
    context = api.context

    def listed(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            made = registered_resources(connection)
        known = {one.uri for one in made}
        # What the server serves by itself was registered by nobody: POSIX time 0 says so.
        own = [
            RegisteredResource(derived_id("authkit_oauth_resource", uri), uri, False, 0.0)
            for uri in context.resources
            if uri not in known
        ]
        return page([_shown(one) for one in (*own, *made)], call.query)

    def create(call: Call) -> dict[str, Any]:
        uri, default = call.body.get("uri"), call.body.get("default") or False
        if not isinstance(uri, str):
            raise unprocessable("uri", "uri is a URL")
        if (why := resource_objection(uri)) is not None:
            raise unprocessable("uri", f"uri cannot be a resource: {why}")
        if not isinstance(default, bool):
            raise unprocessable("default", "default is true or false")
        made = register_resource(context, uri, is_default=default)
        if made is None:
            raise unprocessable("uri", f"AuthKit OAuth resource '{uri}' already exists.")
        return _shown(made)

    async def keys(request: Request) -> JSONResponse:
        if request.path_params["client_id"] != CLIENT_ID:
            refused = not_found("Client", request.path_params["client_id"])
            return JSONResponse(refused.body(), refused.status)
        return JSONResponse(context.keys.jwks())

    return [
        api.route("GET", RESOURCES, listed),
        api.route("POST", RESOURCES, create, status=201),
        Route(KEYS, keys, methods=["GET"]),
    ]


def _shown(one: RegisteredResource) -> dict[str, Any]:
    return {
        "object": "authkit_oauth_resource",
        "id": one.id,
        "uri": one.uri,
        "default": one.is_default,
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
    }
