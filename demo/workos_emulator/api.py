"""How a request to WorkOS's API is authenticated and answered: the key, the JSON body, the status, the refusal."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.auth_server.administration import Context, FormUnreadable, read_body

LONGEST_BODY = 64 * 1024
"""Bytes."""


class Refused(Exception):
    """A request that is not followed.

    Args:
        status: 400 malformed, 401 no or a wrong API key, 403 not allowed, 404 unknown, 409 a conflict, 413 too
            long, 422 understood and still not possible.
        code: for programs.
        message: for people.
        errors: `{"field", "code"}` each, where there are any.
    """

    def __init__(self, status: int, code: str, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        content: dict[str, Any] = {"message": self.message, "code": self.code}
        return content if self.errors is None else content | {"errors": self.errors}


def not_found(what: str, id: str) -> Refused:
    """There is no such thing."""
    return Refused(404, "entity_not_found", f"{what} not found: '{id}'.")


def malformed(field: str, why: str) -> Refused:
    """The request's own form is wrong, as the Agents API and session revocation say it."""
    return Refused(400, "invalid_request", why, [{"field": field, "code": "invalid"}])


def unprocessable(field: str, why: str) -> Refused:
    """A value cannot be what it is."""
    return Refused(422, "unprocessable_entity", why, [{"field": field, "code": "invalid"}])


@dataclass(frozen=True)
class Call:
    """A request whose key was right: the ids in its path, its query, its JSON object."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    idempotency_key: str | None


Answer = Callable[[Call], dict[str, Any] | None]
"""Takes a call and gives the JSON of the answer, None for one without content. Raises `Refused`."""


class Api:
    """The API of one authorization server, opened by one key."""

    def __init__(self, context: Context, key: str) -> None:
        self.context = context
        self.key = key.encode()

    def route(self, method: str, path: str, answer: Answer, *, status: int = 200) -> Route:
        """A route that only the API key opens."""

        async def endpoint(request: Request) -> Response:
            request_id = f"req_{secrets.token_hex(8)}"
            try:
                self._check_key(request)
                call = await _read(request)
                content = await run_in_threadpool(answer, call)
            except Refused as refused:
                return _respond(refused.body(), refused.status, request_id)
            return _respond(content, status if content is not None else 204, request_id)

        return Route(path, endpoint, methods=[method])

    def _check_key(self, request: Request) -> None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.key)
        if kind.lower() != "bearer" or not right:
            raise Refused(401, "unauthorized", "Unauthorized")


async def _read(request: Request) -> Call:
    try:
        body = await read_body(request, LONGEST_BODY)
    except FormUnreadable as error:
        raise Refused(413, "request_too_large", str(error)) from error
    try:
        parsed = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request_body", "Problems parsing JSON") from error
    if not isinstance(parsed, dict):
        raise Refused(400, "invalid_request_body", "The body is a JSON object")
    return Call(request.path_params, request.query_params, parsed, request.headers.get("idempotency-key"))


def _respond(content: dict[str, Any] | None, status: int, request_id: str) -> Response:
    headers = {"X-Request-ID": request_id, "Cache-Control": "no-store"}
    return Response(status_code=status, headers=headers) if content is None else JSONResponse(content, status, headers)
