"""The HTTP client under the MCP SDK's streamable transport: it reads what the SDK would leave unread, or wait for."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2

from demo.client.http.exchange import parse_object
from demo.client.mcp.reply import response_in

READING = 2.0
"""Seconds for the body of a refusal, which says why and is short."""

_JSON = "application/json"
_UNUSABLE = "application/octet-stream"


class McpHttp(httpx2.AsyncClient):
    """Sends what the SDK gives it. What was on the wire stands in the record as it was; the SDK is told this of it:

    - A refusal's body has been read, so that the record has the words.
    - An answer in JSON is `application/json`, whatever its header says: some servers send it as `text/html`.
    - What answers another request, or is no JSON-RPC at all, is of no type that the SDK reads: it gives up at once,
      where it would wait for the answer until its time is over.
    - A request whose connection fails was refused. As an exception it would end the whole session, with every request
      that is under way beside it.
    """

    async def send(self, request: httpx2.Request, **given: Any) -> httpx2.Response:
        """Send a request (see the base class)."""
        sent = parse_object(await request.aread()) if request.method == "POST" else None
        wanted = (sent or {}).get("id")
        try:
            response = await super().send(request, **given)
            if request.method != "POST" or response.is_redirect or response.status_code == 202:
                return response
            if response.status_code >= 400:
                with anyio.move_on_after(READING):
                    await response.aread()
            elif wanted is not None and "text/event-stream" not in response.headers.get("content-type", "").lower():
                await response.aread()
                ours = response_in(response.extensions["exchange"], wanted) is not None
                response.headers["content-type"] = _JSON if ours else _UNUSABLE
        except httpx2.RequestError:
            if wanted is None:
                raise
            return httpx2.Response(httpx2.codes.BAD_GATEWAY, request=request)
        return response
