"""The keys that tokens of this environment are verified with, under the name that WorkOS's SDK looks for them.

They are ES256, as all of this authority's; WorkOS's are RS256, which the SDK's model of a key set takes for granted.
Who wants to verify reads the set as JSON (RFC 7517).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.auth_server.context import Authority

from .refused import not_found
from .shapes import CLIENT_ID

PATH = "/sso/jwks/{client_id}"


def key_routes(authority: Authority) -> list[Route]:
    """The set, for everybody: public keys are no secret, and need no API key."""

    async def endpoint(request: Request) -> JSONResponse:
        if request.path_params["client_id"] != CLIENT_ID:
            refused = not_found("Client", request.path_params["client_id"])
            return JSONResponse(refused.body(), refused.status)
        return JSONResponse(authority.keys.jwks())

    return [Route(PATH, endpoint, methods=["GET"])]
