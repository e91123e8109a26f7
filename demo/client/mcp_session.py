"""Speaking MCP: which revision a server knows, and one session in which requests go out and are recorded."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from demo.client.bounded import unwrap
from demo.client.outcome import Reply, final
from demo.client.wire import Raw, Recorder, connect
from demo.errors import ServerUnreachable

if TYPE_CHECKING:
    from mcp.client import Client

MODERN = "2026-07-28"
"""Tried first: stateless, so that one call is one POST."""

OLDER = "auto"
"""The SDK's own negotiation: `server/discover`, then the `initialize` handshake of earlier revisions."""

UNSUPPORTED_PROTOCOL_VERSION = -32022
_REFUSES_REVISION = (400, 404, 405, 406, 415)


@asynccontextmanager
async def session(recorder: Recorder, url: str, bearer: str | None, *, mode: str, seconds: float) -> AsyncIterator[Any]:
    """An MCP client at `url`, each exchange recorded. Yields None where the handshake was refused; the record says how."""
    _silence()
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.types import Implementation

    from demo import __version__

    async with connect(recorder, seconds=seconds) as http:
        if bearer is not None:
            http.headers["authorization"] = f"Bearer {bearer}"
        client = Client(
            streamable_http_client(url, http_client=http),
            mode=mode,
            client_info=Implementation(name="machine-identity-demo", version=__version__),
            cache=None,
            read_timeout_seconds=seconds,
        )
        entered = False
        try:
            async with client:
                entered = True
                yield client
        except Exception:
            # The SDK folds a refused handshake into one vague error; what it was stands in the record.
            if entered:
                raise
        if not entered:
            yield None


async def ask(
    client: Client | None, recorder: Recorder, url: str, request: Any, result: Any, seconds: float
) -> tuple[Reply, list[Raw]]:
    """Send one request and read the reply from the wire.

    Args:
        client: as `session` gave it.
        request, result: an SDK request and the type of its result.

    Raises:
        ServerUnreachable: nothing answered, or no MCP server.
    """
    with recorder.collect() as raws:
        if client is not None:
            try:
                await client.session.send_request(request, result)
            except Exception as error:
                # HTTP 401, 403 and 429 arrive here as one error, and so does an answer the SDK cannot read.
                if isinstance(unwrap(error), ServerUnreachable):
                    raise
    return final(raws, url, seconds), raws


def refuses_revision(reply: Reply) -> bool:
    """Whether this reply says that the server does not speak the revision it was asked in."""
    return reply.error_code == UNSUPPORTED_PROTOCOL_VERSION or (
        reply.raw.status in _REFUSES_REVISION and reply.result is None
    )


def _silence() -> None:
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
