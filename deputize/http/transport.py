"""The HTTP transport that records: each exchange as it left and arrived, failures too, and never without bound."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import httpx2

from deputize.errors import EnvironmentNotReady, ExplainedError
from deputize.http.environment import NotSent, Proxy, certificates, explained, proxy_for, unusable_proxy
from deputize.http.exchange import HttpExchange
from deputize.http.origins import Origin, origin
from deputize.http.recorder import BODY_IN_MEMORY, Recorder
from deputize.net import is_loopback

_KNOWN_CODINGS = ("gzip", "x-gzip", "deflate")
"""Content codings (RFC 9110 section 8.4.1) that are undone although none is asked for."""


class AnswerTooLong(httpx2.TransportError):
    """The answer is longer than anything this protocol has a use for."""


SILENT_SECONDS = 60.0
"""After so long without an exchange, a server that has to prove itself is asked again."""


@dataclass
class _Proof:
    proves: Callable[[], bool]
    at: float


_PROOFS: dict[Origin, _Proof] = {}


def must_prove(url: str, proves: Callable[[], bool]) -> None:
    """Have what listens at this origin prove itself, in this process, before it is sent anything after a silence: a
    server that ended meanwhile may have left its port to another user's program.

    Args:
        url: of a server that has proved itself just now.
        proves: asks it; false where something else listens there. Must be bounded.
    """
    where = origin(url)
    if where is not None:
        _PROOFS[where] = _Proof(proves, time.monotonic())


async def _prove(url: httpx2.URL) -> None:
    known = _PROOFS.get(origin(str(url)) or ("", "", 0)) if _PROOFS else None
    if known is None:
        return
    if time.monotonic() - known.at > SILENT_SECONDS and not await asyncio.to_thread(known.proves):
        raise NotSent(
            EnvironmentNotReady(
                f"what listens at port {url.port} is not the local server any more",
                why="it does not prove itself, so nothing was sent to it",
                do="give the command again: it finds the local server, or starts it",
            )
        )
    known.at = time.monotonic()


_ELSEWHERE: dict[Origin, httpx2.URL] = {}


def reach(url: str, at: str) -> None:
    """Have what this process sends to the origin of `url` go to the origin `at`, under its own name, as `curl
    --connect-to` does: for a server of this process whose public address is a tunnel's.

    Raises:
        ValueError: it is no http or https URL.
    """
    where = origin(url)
    if where is None:
        raise ValueError(f"not a server's URL: {url}")
    _ELSEWHERE[where] = httpx2.URL(at)


def _readdressed(request: httpx2.Request) -> httpx2.Request:
    """The request as it is sent; its `Host` header stays that of the server that it is meant for."""
    at = _ELSEWHERE.get(origin(str(request.url)) or ("", "", 0)) if _ELSEWHERE else None
    if at is None:
        return request
    url = request.url.copy_with(scheme=at.scheme, host=at.host, port=at.port)
    return httpx2.Request(
        request.method, url, headers=request.headers.raw, stream=request.stream, extensions=request.extensions
    )


Tracer = Callable[[httpx2.Request], Callable[[HttpExchange], None] | None]
"""Called with a request that is about to be sent, to whose headers it may add; gives what is called at its end."""
_tracer: Tracer | None = None


def trace_requests(tracer: Tracer | None) -> None:
    """Have every request of this process seen by `tracer`, which may add to its headers (W3C Trace Context)."""
    global _tracer
    _tracer = tracer


class RecordingTransport(httpx2.AsyncBaseTransport):
    """Sends through an ordinary transport (a proxy where the environment names one) and records.

    Args:
        recorder: has each exchange while it is under way, and when it has ended, failed or been given up. A response
            names its own as `extensions["exchange"]`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ways: dict[tuple[bool, Proxy | None], httpx2.AsyncHTTPTransport] = {}
        self._resolved: set[str] = set()
        self._exchanges: list[HttpExchange] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the answer's body is recorded while the caller reads it."""
        traced = None if _tracer is None else _tracer(request)
        exchange = HttpExchange(
            request.method, str(request.url), tuple(request.headers.multi_items()), await request.aread() or None
        )
        exchange.traced = traced
        self._recorder.begin(exchange)
        self._exchanges = [*(one for one in self._exchanges if not one.ended), exchange]
        proxy: Proxy | None = None
        try:
            await _prove(request.url)
            request = _readdressed(request)
            proxy = proxy_for(request.url)
            if proxy is None and not is_loopback(request.url.host):
                await self._resolve(request.url.host)
            response = await self._way(request.url.scheme == "https", proxy).handle_async_request(request)
        except asyncio.CancelledError:
            self._end(exchange, "given up before an answer came", late=True)
            raise
        except Exception as error:
            failure = explained(error, proxy)
            fault = failure.fault if isinstance(failure, NotSent) else None
            late = isinstance(failure, httpx2.TimeoutException)
            self._end(exchange, str(failure) or type(failure).__name__, late=late, fault=fault)
            raise failure from None
        except BaseException:
            self._end(exchange, "interrupted")
            raise
        exchange.status, exchange.response_headers = response.status_code, tuple(response.headers.multi_items())
        if "date" in response.headers:
            self._recorder.heard(exchange.url, response.headers["date"], response.headers.get("age", ""))
        if response.status_code == 407 and proxy is not None:  # RFC 9110 section 15.5.8: it is the proxy's own
            fault = unusable_proxy(proxy, "it asks for authentication (HTTP 407)")
            self._end(exchange, fault.why, fault=fault)
            await response.aclose()
            raise NotSent(fault)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        encoding = response.headers.get("content-encoding", "").strip().lower()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=_Body(response.stream, exchange, encoding, partial(self._end, exchange)),
            extensions={**response.extensions, "exchange": exchange},
        )

    async def aclose(self) -> None:
        """Close every connection, and the record of whatever was left open."""
        for way in self._ways.values():
            await way.aclose()
        for exchange in self._exchanges:
            self._end(exchange)

    def _end(
        self,
        exchange: HttpExchange,
        error: str | None = None,
        *,
        late: bool = False,
        fault: ExplainedError | None = None,
    ) -> None:
        """Record it, once."""
        if not exchange.ended:
            exchange.end(error, late=late, fault=fault)
            self._recorder.add(exchange)
            if exchange.traced is not None:
                exchange.traced(exchange)

    def _way(self, tls: bool, proxy: Proxy | None) -> httpx2.AsyncHTTPTransport:
        # Reading the machine's certificates takes tens of milliseconds: only where there is TLS.
        key = (tls, proxy)
        if key not in self._ways:
            verify = certificates() if tls or (proxy is not None and proxy.url.startswith("https:")) else False
            try:
                self._ways[key] = httpx2.AsyncHTTPTransport(verify=verify, proxy=proxy.url if proxy else None)
            except ImportError:
                raise NotSent(unusable_proxy(proxy, "SOCKS is not spoken here: that takes an HTTP proxy")) from None
            except (ValueError, httpx2.InvalidURL) as error:  # a scheme that is not known, or no URL at all
                raise NotSent(unusable_proxy(proxy, str(error))) from None
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


class _Body(httpx2.AsyncByteStream):
    """An answer's body on its way to the reader: decompressed, counted, kept for the record."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, exchange: HttpExchange, encoding: str, end: Callable[..., None]
    ) -> None:
        self._stream = stream
        self._received = exchange.response_body
        self._end = end
        # We ask for no compression; a server that compresses all the same is decoded here, where it is counted
        # (a small answer may unpack to gigabytes). wbits 47: zlib or gzip, by its header.
        self._unpack = zlib.decompressobj(47) if encoding in _KNOWN_CODINGS else None
        self._unknown = "" if encoding in ("", "identity", *_KNOWN_CODINGS) else encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            if self._unknown:
                raise httpx2.DecodingError(f"it is compressed as {self._unknown!r}, which was not asked for")
            async for chunk in self._stream:
                room = BODY_IN_MEMORY - len(self._received)
                if self._unpack is not None:
                    try:
                        chunk = self._unpack.decompress(chunk, room + 1)
                    except zlib.error as error:
                        raise httpx2.DecodingError(f"the answer's compression is broken ({error})") from None
                self._received += chunk[:room]
                if len(chunk) > room:
                    raise AnswerTooLong(f"the answer is longer than {BODY_IN_MEMORY // (1024 * 1024)} MiB")
                yield chunk
        except httpx2.RequestError as error:
            self._end(str(error) or type(error).__name__, late=isinstance(error, httpx2.TimeoutException))
            raise
        except GeneratorExit:
            self._end()  # the reader has what it wanted, e.g. the last event of a stream
            raise
        except asyncio.CancelledError:
            self._end("given up before the answer was complete", late=True)
            raise
        except BaseException as error:
            self._end(str(error) or type(error).__name__)
            raise
        self._end()

    async def aclose(self) -> None:
        """The reader is done, whether or not it read to the end."""
        try:
            await self._stream.aclose()
        finally:
            self._end()
