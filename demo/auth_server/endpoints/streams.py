"""The management of event streams, by the resource servers that receive them (OpenID Shared Signals Framework 1.0,
sections 7 and 8.1): metadata, configuration, status, verification.

Who may manage streams is who may introspect: the resource server, by its own credentials. Where events are pushed is
not free: to the origin of a resource that this authorization server issues tokens for, so that nobody can have it send
requests elsewhere.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..clients.uris import resource_objection
from ..context import Context
from ..grants.resources import served_resources
from ..requests import NO_STORE, FormUnreadable, read_body
from ..state.streams import (
    INACTIVE_SECONDS,
    Stream,
    close_stream,
    find_stream,
    open_stream,
    origin_of,
    streams_of,
)
from .security_events import SESSION_REVOKED, SecurityEvents

PUSH: Final = "urn:ietf:rfc:8935"
LONGEST_BODY: Final = 4096
"""Bytes."""
LONGEST_STATE: Final = 256
"""Characters."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a character: JSON may have it, no text in UTF-8 may."""
STREAMS, STATUS, VERIFY = "/ssf/streams", "/ssf/status", "/ssf/verify"


class StreamRefused(Exception):
    """A request that cannot be followed; the message says why."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


def stream_routes(context: Context, events: SecurityEvents) -> list[Route]:
    """The routes."""

    client = context.config.resource_server[0]

    def metadata(_: Request) -> Response:
        return JSONResponse(transmitter(context.issuer))

    def read(request: Request, _: dict[str, Any]) -> Response:
        if "stream_id" in request.query_params:
            return JSONResponse(described(context, _named(context, request)), headers=NO_STORE)
        with context.store.transaction(write=False) as connection:
            found = streams_of(connection, client)
        return JSONResponse([described(context, one) for one in found], headers=NO_STORE)

    def create(_: Request, given: dict[str, Any]) -> Response:
        resource, endpoint_url, requested = _wanted(context, given)
        with context.store.transaction() as connection:
            made = open_stream(
                connection,
                client_id=client,
                resource=resource,
                endpoint_url=endpoint_url,
                events_requested=requested,
                now=context.now(),
            )
        if made is None:
            raise StreamRefused(409, "there is a stream for this resource server already, or no place for another")
        return JSONResponse(described(context, made), 201, NO_STORE)

    def delete(request: Request, _: dict[str, Any]) -> Response:
        stream = _named(context, request)
        with context.store.transaction() as connection:
            close_stream(connection, stream)
        return Response(status_code=204)

    def status(request: Request, _: dict[str, Any]) -> Response:
        return JSONResponse({"stream_id": _named(context, request).id, "status": "enabled"}, headers=NO_STORE)

    def to_verify(request: Request, given: dict[str, Any]) -> tuple[Stream, str | None]:
        state = given.get("state")
        if state is not None and (not isinstance(state, str) or len(state) > LONGEST_STATE or _SURROGATE.search(state)):
            raise StreamRefused(400, f"state is a text of at most {LONGEST_STATE} characters")
        return _named(context, request, given.get("stream_id", "")), state

    def route(path: str, **methods: Callable[[Request, dict[str, Any]], Response | tuple[Stream, str | None]]) -> Route:
        def answer(request: Request, body: bytes | None) -> Response | tuple[Stream, str | None]:
            if not is_resource_server(context, request):
                challenge = {"WWW-Authenticate": 'Basic realm="streams", charset="UTF-8"'}
                return _error(401, "authentication_failed", "authenticate as the resource server", challenge)
            try:
                given = _object(body) if request.method == "POST" else {}
                return methods[request.method.lower()](request, given)
            except StreamRefused as refused:
                return _error(refused.status, "invalid_request", str(refused))

        async def endpoint(request: Request) -> Response:
            try:
                body: bytes | None = await read_body(request, LONGEST_BODY)
            except FormUnreadable:
                body = None
            found = await run_in_threadpool(answer, request, body)
            if isinstance(found, Response):
                return found
            await events.verify(*found)
            return Response(status_code=204)

        return Route(path, endpoint, methods=[name.upper() for name in methods])

    return [
        Route("/.well-known/ssf-configuration", metadata, methods=["GET"]),
        route(STREAMS, get=read, post=create, delete=delete),
        route(STATUS, get=status),
        route(VERIFY, post=to_verify),
    ]


def transmitter(issuer: str) -> dict[str, Any]:
    """The transmitter configuration metadata (section 7.1)."""
    return {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": f"{issuer}/oauth2/jwks",
        "delivery_methods_supported": [PUSH],
        "configuration_endpoint": issuer + STREAMS,
        "status_endpoint": issuer + STATUS,
        "verification_endpoint": issuer + VERIFY,
        "critical_subject_members": ["session", "application", "user"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:7617"}],
        "default_subjects": "ALL",
    }


def described(context: Context, stream: Stream) -> dict[str, Any]:
    """A stream's configuration (section 8.1.1). `lease_seconds` is ours: what is acknowledged or not, no revocation is
    answered while the receiver may rely on a stream that it asked to have verified less than so many seconds ago."""
    delivered = [one for one in (SESSION_REVOKED,) if one in stream.events_requested]
    return {
        "stream_id": stream.id,
        "iss": context.issuer,
        "aud": stream.resource,
        "delivery": {"method": PUSH, "endpoint_url": stream.endpoint_url},
        "events_supported": [SESSION_REVOKED],
        "events_requested": list(stream.events_requested),
        "events_delivered": delivered,
        "inactivity_timeout": INACTIVE_SECONDS,
        # Shorter than this server waits, by as much as its clock and the receiver's may go at a different pace.
        "lease_seconds": round(context.config.lease_seconds * 5 / 6, 3),
    }


def _wanted(context: Context, given: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """The resource, the endpoint and the events of a stream that is asked for."""
    delivery, requested = given.get("delivery"), given.get("events_requested")
    if not isinstance(delivery, dict) or delivery.get("method") != PUSH:
        raise StreamRefused(400, f"delivery.method is {PUSH}")
    if not isinstance(requested, list) or SESSION_REVOKED not in requested:
        # It is waited for all the same, so that a stream without it would be a promise of nothing.
        raise StreamRefused(400, f"events_requested has {SESSION_REVOKED}")
    endpoint_url = delivery.get("endpoint_url")
    if not isinstance(endpoint_url, str) or resource_objection(endpoint_url) is not None:
        raise StreamRefused(400, "delivery.endpoint_url is https, or http on loopback")
    origin = origin_of(endpoint_url)
    for resource in served_resources(context):
        at = context.config.reached_at.get(resource) or origin_of(resource)
        if at == origin and urlsplit(endpoint_url).path == "/events":
            return resource, endpoint_url, (SESSION_REVOKED,)
    raise StreamRefused(403, "delivery.endpoint_url is /events at the origin of a resource that tokens are issued for")


def _named(context: Context, request: Request, id: Any = None) -> Stream:
    """The stream that a request names.

    Raises:
        StreamRefused: there is none of this name (404).
    """
    named = id if id is not None else request.query_params.get("stream_id")
    with context.store.transaction(write=False) as connection:
        client = context.config.resource_server[0]
        stream = find_stream(connection, named, client) if isinstance(named, str) else None
    if stream is None:
        raise StreamRefused(404, "there is no such stream")
    return stream


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        given = json.loads(body or b"")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise StreamRefused(400, f"the body is a JSON object of at most {LONGEST_BODY} bytes")
    return given


def _error(status: int, err: str, description: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"err": err, "description": description}, status, {**NO_STORE, **(headers or {})})


def is_resource_server(context: Context, request: Request) -> bool:
    """Whether the request bears the resource server's own credentials (RFC 7617; each part form-encoded first, RFC 6749
    section 2.3.1)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return False
    told = (unquote_plus(name), unquote_plus(secret))
    known = context.config.resource_server
    same = [hmac.compare_digest(one.encode(), other.encode()) for one, other in zip(told, known, strict=True)]
    return scheme.lower() == "basic" and all(same)
