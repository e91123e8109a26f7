"""The HTTP clients under the MCP SDK's two transports: they read what the SDK would leave unread, or wait for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2

from demo.client.mcp.reply import response_in
from deputize.http.connection import connect
from deputize.http.errors import NotMcp, not_mcp
from deputize.http.exchange import parse_object
from deputize.http.fetch import joined
from deputize.http.origins import origin
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text

_FIRST_EVENT = 8 * 1024
"""Bytes in which the first event must be complete; it holds one URL."""


READING = 2.0
"""Seconds for the body of a refusal, which says why and is short."""

_JSON = "application/json"
_UNUSABLE = "application/octet-stream"


class McpHttp(httpx2.AsyncClient):
    """Sends what the SDK gives it. What was on the wire stands in the record as it was; the SDK is given this of it:

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


class EventChannel:
    """One connection of the HTTP+SSE transport of MCP 2024-11-05: one stream of events for every answer, and requests
    beside it. The MCP SDK makes it over the HTTP client that records.

    Args:
        url: where the stream is.
        recorder: has what is on the wire.
        seconds: the bound on one request.

    The SDK waits for an answer on the stream also where none will come. What is known here sooner is passed on: `over`
    is called when a request was refused, and the stream's first event is judged before the SDK acts on it.
    """

    def __init__(self, url: str, recorder: Recorder, seconds: float) -> None:
        self._url = url
        self._recorder = recorder
        self._seconds = seconds
        self.over: Callable[[], None] = lambda: None
        """Called when the answer that is waited for will not come."""
        self.begun = False
        """Whether there is such a stream: its first event has named where requests go."""
        self.problem: NotMcp | None = None
        """Why what it names cannot be used."""

    def transport(self, seconds: float, auth: httpx2.Auth) -> AbstractAsyncContextManager[Any]:
        """The SDK's transport: two streams of messages. Without an event for `seconds`, the stream is given up.

        Args:
            auth: what presents a token on each request.
        """
        from mcp.client.sse import sse_client

        return sse_client(
            self._url,
            timeout=self._seconds,
            sse_read_timeout=seconds,
            httpx_client_factory=self._client,
            auth=auth,
        )

    def _client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        client = connect(self._recorder, seconds=self._seconds, kind=_Attentive)
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
        said = {name: value.removeprefix(" ") for name, _, value in fields}
        endpoint = joined(self._url, said.get("data", ""))
        if said.get("event") != "endpoint" or not said.get("data"):
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
        received: bytes | None = b""
        async for chunk in self._stream:
            if received is None:
                yield chunk
                continue
            received += chunk
            first = _first_event(received) if self._is_events else ""
            if first is None and len(received) > _FIRST_EVENT:
                first = ""
            if first is not None:
                self._judge(first)
                yield received
                received = None
        if received is not None:
            self._judge("")

    async def aclose(self) -> None:
        await self._stream.aclose()


def _first_event(received: bytes) -> str | None:
    """The first event that says anything (a comment says nothing), None where it is not complete."""
    text = received.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    complete = text.split("\n\n")[:-1]
    return next((event for event in complete if re.search("^(event|data)", event, re.MULTILINE)), None)
