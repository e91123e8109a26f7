"""The JSON-RPC message in a request's body: read once, bounded, and passed on exactly as it was understood."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from demo.shop.catalog import LIMITS, say
from demo.shop.correlation import Known

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
REFUSED: Final = -32003
TOO_MANY: Final = -32029

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Unacceptable(Exception):
    """A body that is no single JSON-RPC message, with the HTTP status and the JSON-RPC error to answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Gone(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True)
class Call:
    """A JSON-RPC message as the gates see it. All None for a request without one (GET, DELETE)."""

    id: str | int | None = None
    method: str | None = None
    tool: str | None = None
    """The tool's name, from the body; a header that says otherwise is not believed."""
    arguments: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    """The message written again: what comes after the gates can read nothing in it that the gates did not."""

    meta: dict[str, Any] = field(default_factory=dict)
    """`_meta` of its parameters."""
    known: Known | None = None
    """What the request is called in the records of others; None where it is no request of a client's."""

    @property
    def is_tool_call(self) -> bool:
        """Whether this asks for a tool to be run."""
        return self.method == "tools/call"

    @property
    def idempotency_key(self) -> str | None:
        """The purchase's key, or None where there is none that could have been used."""
        key = self.arguments.get("idempotencyKey")
        # JSON may hold half a surrogate pair, which is no text: no database takes it.
        return key if isinstance(key, str) and not any("\ud800" <= character <= "\udfff" for character in key) else None

    @property
    def digest(self) -> str | None:
        """A digest of the arguments for the audit log; they themselves may hold a postal address."""
        return digest(self.arguments) if self.is_tool_call else None


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return f"sha256:{hashlib.sha256(canonical).hexdigest()[:16]}"


async def read_body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    """The whole body of an ASGI request, up to `LIMITS.message_bytes` and `LIMITS.message_seconds`.

    Raises:
        Unacceptable: too long (413) or too slow (408).
        Gone: the client disconnected.
    """
    declared = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
    too_long = Unacceptable(413, INVALID_REQUEST, say("message_too_long", bytes=LIMITS.message_bytes))
    if declared.isdigit() and int(declared) > LIMITS.message_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(LIMITS.message_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > LIMITS.message_bytes:
                    raise too_long
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        too_slow = say("message_too_slow", seconds=LIMITS.message_seconds)
        raise Unacceptable(408, INVALID_REQUEST, too_slow) from None


def parse(body: bytes) -> Call:
    """The JSON-RPC message in a POST's body.

    Raises:
        Unacceptable: it is not JSON, or not one JSON object (batches are gone from MCP since 2025-06-18).
    """
    try:
        message = json.loads(body.decode(), parse_constant=_no_constant)
        again = json.dumps(message, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise Unacceptable(400, PARSE_ERROR, say("not_json")) from None
    if isinstance(message, list):
        raise Unacceptable(400, INVALID_REQUEST, say("batch"))
    if not isinstance(message, dict):
        raise Unacceptable(400, INVALID_REQUEST, say("not_a_message"))
    given_id, method = message.get("id"), message.get("method")
    call_id = given_id if isinstance(given_id, str | int) and not isinstance(given_id, bool) else None
    if not isinstance(method, str):
        return Call(id=call_id, body=again)
    params = message.get("params")
    if not isinstance(params, dict):
        return Call(id=call_id, method=method, body=again)
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    if method != "tools/call":
        return Call(id=call_id, method=method, body=again, meta=meta)
    name, arguments = params.get("name"), params.get("arguments")
    return Call(
        id=call_id,
        method=method,
        tool=name if isinstance(name, str) else None,
        arguments=arguments if isinstance(arguments, dict) else {},
        body=again,
        meta=meta,
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first and whatever comes after it (a disconnect) then."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def error(call_id: str | int | None, code: int, message: str, data: Any = None) -> bytes:
    """A JSON-RPC error response as it goes on the wire."""
    fault: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        fault["data"] = data
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": fault}).encode()
