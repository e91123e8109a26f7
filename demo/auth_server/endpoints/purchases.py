"""Where a resource server asks for the approval of one purchase, for a client that can send no authorization details.

It names the token that the purchase was tried with, so that nobody is asked about a grant that does not stand. The
answer is a page for the human to open; what they approve, introspection tells (RFC 9396 section 9.2).
"""

from __future__ import annotations

import json
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..clients.client import find_client
from ..context import Context
from ..grants.purchases import SHOP_PURCHASE, purchase_detail
from ..grants.tokens import actors, read_access_token
from ..requests import NO_STORE, FormUnreadable, read_body
from ..state.approvals import ask, find_asked
from .streams import is_resource_server

PATH: Final = "/oauth2/purchases"
LONGEST_BODY: Final = 32_768
"""Bytes."""


def purchase_routes(context: Context) -> list[Route]:
    """The route."""

    def answer(given: Any) -> Response:
        token, detail, scope, named = (given.get(name) for name in ("token", "detail", "scope", "purchase"))
        if not isinstance(token, str) or not isinstance(detail, dict) or not isinstance(scope, str):
            return _error(400, "invalid_request", "the body has token, scope and detail")
        claims = read_access_token(context, token)
        client = None if claims is None else find_client(context, str(claims["client_id"]))
        if claims is None or client is None or context.now() >= claims["exp"]:
            return _error(400, "invalid_request", "the token is none that holds")
        whose = (claims["sid"], next(iter(actors(claims)), None))
        if detail.get("type") != SHOP_PURCHASE or (detail.get("session"), detail.get("agent")) != whose:
            return _error(400, "invalid_request", f"detail is a {SHOP_PURCHASE} of the token's session and agent")
        try:
            checked = purchase_detail(context, client, detail, tuple(scope.split()))
        except OAuth2Error as error:
            return _error(400, error.error, error.description)
        with context.store.transaction() as connection:
            # A shop may pass on what its client sent: half a character is no text to SQLite.
            known = find_asked(connection, named) if isinstance(named, str) and named.isascii() else None
            if known is None or (known.session_id, known.detail) != (claims["sid"], checked):
                scopes, now = tuple(scope.split()), context.now()
                known = ask(connection, session_id=claims["sid"], scope=scopes, detail=checked, now=now)
        asked = known
        url = f"{context.issuer}/device/consent?purchase={asked.id}"
        left = max(0, int(asked.expires_at - context.now()))
        return JSONResponse(
            {"purchase": asked.id, "url": url, "expires_in": left, "decision": asked.decision}, headers=NO_STORE
        )

    async def endpoint(request: Request) -> Response:
        if not is_resource_server(context, request):
            headers = {"WWW-Authenticate": 'Basic realm="purchases", charset="UTF-8"'}
            return _error(401, "invalid_client", "authenticate as the resource server", headers)
        try:
            given = json.loads(await read_body(request, LONGEST_BODY))
        except (FormUnreadable, ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            return _error(400, "invalid_request", "the body is no JSON object")
        return await run_in_threadpool(answer, given)

    return [Route(PATH, endpoint, methods=["POST"])]


def _error(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status, {**NO_STORE, **(headers or {})})
