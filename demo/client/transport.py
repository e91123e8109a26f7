"""The HTTP transport that records: each exchange as it left and arrived, failures too, and never without bound."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.request import getproxies, proxy_bypass

import httpx2

from demo.client.masking import mask_url
from demo.client.origins import is_loopback
from demo.client.wire import BODY_IN_MEMORY, Raw, Recorder

_KNOWN_CODINGS = ("gzip", "x-gzip", "deflate")
"""Content codings (RFC 9110 section 8.4.1) that are undone although none is asked for."""


class AnswerTooLong(httpx2.TransportError):
    """The answer is longer than anything this protocol has a use for."""


class RecordingTransport(httpx2.AsyncBaseTransport):
    """Sends through an ordinary transport (a proxy where the environment names one) and records.

    Args:
        recorder: gets one `Raw` for each request, when its answer has ended, failed or been given up.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ways: dict[tuple[bool, str | None], httpx2.AsyncHTTPTransport] = {}
        self._resolved: set[str] = set()
        self._entries: list[_Entry] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the answer's body is recorded while the caller reads it."""
        entry = _Entry(self._recorder, request, await request.aread())
        self._entries = [*(one for one in self._entries if not one.ended), entry]
        try:
            proxy = _proxy_for(request.url)
            if proxy is None and not is_loopback(request.url.host):
                await self._resolve(request.url.host)
            response = await self._way(request.url.scheme == "https", proxy).handle_async_request(request)
        except httpx2.TransportError as error:
            entry.end(error=str(error) or type(error).__name__, late=isinstance(error, httpx2.TimeoutException))
            raise
        except BaseException:
            entry.end(error="given up before an answer came", late=True)
            raise
        entry.answered(response)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        encoding = response.headers.get("content-encoding", "").strip().lower()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=_Body(response.stream, entry, encoding),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection, and the record of whatever was left open."""
        for way in self._ways.values():
            await way.aclose()
        for entry in self._entries:
            entry.end()

    def _way(self, tls: bool, proxy: str | None) -> httpx2.AsyncHTTPTransport:
        # Reading the machine's certificates takes tens of milliseconds: only where there is TLS.
        key = (tls, proxy)
        if key not in self._ways:
            try:
                self._ways[key] = httpx2.AsyncHTTPTransport(verify=tls or proxy is not None, proxy=proxy)
            except (ImportError, ValueError) as error:  # a scheme that it does not know, or needs a package for
                raise httpx2.ProxyError(f"this environment's proxy {mask_url(str(proxy))}: {error}") from None
        return self._ways[key]

    async def _resolve(self, host: str) -> None:
        """Look `host` up in a thread that nobody waits for at exit: a dead resolver must not hold the program."""
        if host in self._resolved:
            return
        loop = asyncio.get_running_loop()
        found: asyncio.Future[OSError | None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            if not found.done():
                found.set_result(error)

        def look() -> None:
            error: OSError | None = None
            try:
                socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as failure:
                error = failure if isinstance(failure, OSError) else OSError(str(failure))
            with contextlib.suppress(RuntimeError):  # the loop is closed: the caller has given up
                loop.call_soon_threadsafe(settle, error)

        threading.Thread(target=look, daemon=True, name="resolve").start()
        if (error := await found) is not None:
            raise httpx2.ConnectError(f"the name {host} cannot be resolved ({error.strerror or error})")
        self._resolved.add(host)


class _Entry:
    """One exchange while it is under way."""

    def __init__(self, recorder: Recorder, request: httpx2.Request, body: bytes) -> None:
        self._recorder = recorder
        self._request = request
        self._sent = body or None
        self._status: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._at = time.time()
        self._from = time.perf_counter()
        self.ended = False
        self.received = bytearray()
        recorder.begin(self.so_far)

    def answered(self, response: httpx2.Response) -> None:
        """The status line and headers are here."""
        self._status = response.status_code
        self._headers = tuple(response.headers.multi_items())
        if "date" in response.headers:
            date, age = response.headers["date"], response.headers.get("age", "")
            self._recorder.heard(str(self._request.url), date, age)

    def end(self, error: str | None = None, *, late: bool = False) -> None:
        """Record it, once."""
        if self.ended:
            return
        self.ended = True
        self._recorder.end(self.so_far)
        self._recorder.add(replace(self.so_far(), error=error, late=late, under_way=False))

    def so_far(self) -> Raw:
        """The exchange as it stands now."""
        return Raw(
            method=self._request.method,
            url=str(self._request.url),
            request_headers=tuple(self._request.headers.multi_items()),
            request_body=self._sent,
            status=self._status,
            response_headers=self._headers,
            response_body=bytes(self.received) if self._status is not None else None,
            started_at=self._at,
            seconds=time.perf_counter() - self._from,
            under_way=True,
        )


class _Body(httpx2.AsyncByteStream):
    """An answer's body on its way to the reader: decompressed, counted, kept for the record."""

    def __init__(self, stream: httpx2.AsyncByteStream, entry: _Entry, encoding: str) -> None:
        self._stream = stream
        self._entry = entry
        # We ask for no compression; a server that compresses all the same is decoded here, where it is counted
        # (a small answer may unpack to gigabytes). wbits 47: zlib or gzip, by its header.
        self._unpack = zlib.decompressobj(47) if encoding in _KNOWN_CODINGS else None
        self._unknown = "" if encoding in ("", "identity", *_KNOWN_CODINGS) else encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            if self._unknown:
                raise httpx2.DecodingError(f"it is compressed as {self._unknown!r}, which was not asked for")
            async for chunk in self._stream:
                room = BODY_IN_MEMORY - len(self._entry.received)
                if self._unpack is not None:
                    try:
                        chunk = self._unpack.decompress(chunk, room + 1)
                    except zlib.error as error:
                        raise httpx2.DecodingError(f"the answer's compression is broken ({error})") from None
                self._entry.received += chunk[:room]
                if len(chunk) > room:
                    raise AnswerTooLong(f"the answer is longer than {BODY_IN_MEMORY // (1024 * 1024)} MiB")
                yield chunk
        except httpx2.RequestError as error:
            self._entry.end(error=str(error) or type(error).__name__, late=isinstance(error, httpx2.TimeoutException))
            raise
        except GeneratorExit:
            self._entry.end()  # the reader has what it wanted, e.g. the last event of a stream
            raise
        except BaseException:
            self._entry.end(error="given up before the answer was complete", late=True)
            raise
        self._entry.end()

    async def aclose(self) -> None:
        """The reader is done, whether or not it read to the end."""
        try:
            await self._stream.aclose()
        finally:
            self._entry.end()


def _proxy_for(url: httpx2.URL) -> str | None:
    """The proxy that the environment or the system names for `url`; never one for this machine itself."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
