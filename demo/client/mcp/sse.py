"""The HTTP+SSE transport of MCP 2024-11-05: one stream of events for every answer, and requests beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import httpx2

from demo.client.http.connection import Connection, connect
from demo.client.http.errors import not_mcp
from demo.client.http.fetch import joined
from demo.client.http.origins import origin
from demo.client.http.sanitizing import safe_text
from demo.errors import ServerUnreachable

_FIRST_EVENT = 8 * 1024
"""Bytes in which the first event must be complete; it holds one URL."""


class EventChannel:
    """One connection of this transport, made by the MCP SDK over the HTTP client that records.

    Args:
        connection: the way to the server.
        url: where the stream is.
        auth: what puts authority on each request, None for none.

    The SDK waits for an answer on the stream also where none will come. What is known here sooner is told: `over` is
    called when a request was refused, and the stream's first event is judged before the SDK acts on it.
    """

    def __init__(self, connection: Connection, url: str, auth: httpx2.Auth | None) -> None:
        self._connection = connection
        self._url = url
        self._auth = auth
        self.over: Callable[[], None] = lambda: None
        """Called when the answer that is waited for will not come."""
        self.begun = False
        """Whether there is such a stream: its first event has named where requests go."""
        self.problem: ServerUnreachable | None = None
        """Why what it names cannot be used."""

    def transport(self, seconds: float) -> AbstractAsyncContextManager[Any]:
        """The SDK's transport: two streams of messages. Without an event for `seconds`, the stream is given up."""
        from mcp.client.sse import sse_client

        return sse_client(
            self._url,
            timeout=self._connection.timeout,
            sse_read_timeout=seconds,
            httpx_client_factory=self._client,
            auth=self._auth,
        )

    def _client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        client = connect(self._connection.recorder, seconds=self._connection.timeout, kind=_Attentive)
        assert isinstance(client, _Attentive)
        client.channel = self
        if timeout is not None:
            client.timeout = timeout
        if auth is not None:
            client.auth = auth
        return client

    def judge(self, event: str) -> None:
        """Look at the stream's first event, which must name where requests go: on the stream's own origin.

        Raises:
            httpx2.SSEError: it does not.
        """
        fields = [line.partition(":") for line in event.splitlines()]
        told = {name: value.removeprefix(" ") for name, _, value in fields}
        endpoint = joined(self._url, told.get("data", ""))
        if told.get("event") != "endpoint" or not told.get("data"):
            raise httpx2.SSEError("the first event names no endpoint")
        self.begun = True
        if origin(endpoint) != origin(self._url) or urlsplit(endpoint).netloc != urlsplit(self._url).netloc:
            shown = safe_text(endpoint, one_line=True)
            self.problem = not_mcp(self._url, f"its stream sends requests on to {shown}, which is another origin")
            raise httpx2.SSEError("the endpoint is at another origin")


class _Attentive(httpx2.AsyncClient):
    """An HTTP client that looks at each answer, after any login on the way, before the SDK's transport does."""

    channel: EventChannel

    async def send(self, request: httpx2.Request, **given: Any) -> httpx2.Response:
        """Send a request (see the base class)."""
        try:
            response = await super().send(request, **given)
            if request.method == "POST" and response.status_code >= 300 and not _followed(response):
                await response.aread()
                self.channel.over()
        except Exception:
            self.channel.over()
            raise
        if request.method == "GET" and response.status_code == 200:
            response.stream = _Judged(response, self.channel.judge)
        return response


def _followed(response: httpx2.Response) -> bool:
    """Whether the SDK goes where this redirect points."""
    onward = joined(str(response.url), response.headers.get("location", ""))
    return response.status_code in (307, 308) and origin(onward) == origin(str(response.url))


class _Judged(httpx2.AsyncByteStream):
    """A stream of events of which the first is judged before anybody acts on it."""

    def __init__(self, response: httpx2.Response, judge: Callable[[str], None]) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._stream = response.stream
        self._is_events = "text/event-stream" in response.headers.get("content-type", "").lower()
        self._judge = judge

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held: bytes | None = b""
        async for chunk in self._stream:
            if held is None:
                yield chunk
                continue
            held += chunk
            first = _first_event(held) if self._is_events else ""
            if first is None and len(held) > _FIRST_EVENT:
                first = ""
            if first is not None:
                self._judge(first)
                yield held
                held = None
        if held is not None:
            self._judge("")

    async def aclose(self) -> None:
        await self._stream.aclose()


def _first_event(held: bytes) -> str | None:
    """The first event that says anything (a comment says nothing), None where it is not complete."""
    text = held.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    complete = text.split("\n\n")[:-1]
    return next((event for event in complete if re.search("^(event|data)", event, re.MULTILINE)), None)
