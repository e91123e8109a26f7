"""The registration endpoint (RFC 7591): a client that nobody knows yet makes itself known."""

from __future__ import annotations

import json
import secrets
from typing import Any

from authlib.oauth2 import OAuth2Error
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..clients.client import save_client
from ..clients.metadata import InvalidClientMetadata, read_metadata
from ..grants.server import OAuthServer
from ..requests import NO_STORE, FormUnreadable, Rate, read_body, visitor
from ..state.store import digest, new_id

LONGEST_BODY = 16 * 1024
"""Bytes."""
REGISTRATIONS_A_MINUTE = 30
"""For one address."""


def registration_routes(server: OAuthServer) -> list[Route]:
    """`POST /oauth2/register`, open to everybody: what a client may do is decided by a human, who sees that it is
    unverified."""
    rate = Rate("registration", REGISTRATIONS_A_MINUTE)

    async def register(request: Request) -> Response:
        if (wait := rate.hit(visitor(request))) is not None:
            response = _error("temporarily_unavailable", f"too many registrations; wait {wait} seconds", 429)
            response.headers["Retry-After"] = str(wait)
            return response
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _error("invalid_client_metadata", "the body must be application/json")
        try:
            body = await read_body(request, LONGEST_BODY)
        except FormUnreadable as error:
            return _error("invalid_client_metadata", str(error), 413)
        return await run_in_threadpool(answer, body)

    def answer(body: bytes) -> Response:
        try:
            registered = register_client(server, body)
        except OAuth2Error as error:
            return _error(error.error, error.description, error.status_code)
        return JSONResponse(registered, 201, NO_STORE)

    return [Route("/oauth2/register", register, methods=["POST"])]


def register_client(server: OAuthServer, body: bytes) -> dict[str, Any]:
    """Register the client that a JSON body describes; the answer of section 3.2.1, with its secret where it has one.

    Raises:
        InvalidClientMetadata, InvalidRedirectUri: it cannot be registered as it is.
        OAuth2Error: `temporarily_unavailable`, every place is taken by a client in use.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidClientMetadata("the body is not JSON") from error
    if not isinstance(given, dict):
        raise InvalidClientMetadata("the body is a JSON object")
    metadata = read_metadata(given, supported=server.grant_types, default_auth_method="client_secret_basic")
    context = server.context
    now, client_id = context.now(), new_id("client")
    registered: dict[str, Any] = {"client_id": client_id, "client_id_issued_at": int(now), **metadata.to_dict()}
    secret_digest = None
    if metadata.auth_method != "none":
        secret = secrets.token_urlsafe(32)
        secret_digest = digest(secret)
        registered |= {"client_secret": secret, "client_secret_expires_at": 0}
    with context.store.transaction() as connection:
        kept = save_client(connection, client_id, metadata, source="registered", secret_digest=secret_digest, now=now)
    if not kept:
        raise OAuth2Error("every place is taken", error="temporarily_unavailable", status_code=503)
    return registered


def _error(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status, NO_STORE)
