"""The HTTP transport that records: each exchange as it left and arrived, failures too, and never without bound."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from urllib.request import getproxies, proxy_bypass

import httpx2

from demo.client.http.exchange import HttpExchange
from demo.client.http.origins import Origin, origin
from demo.client.http.recorder import BODY_IN_MEMORY, Recorder
from demo.client.http.redaction import mask_text, mask_url
from demo.client.http.sanitizing import safe_text
from demo.errors import DemoError, EnvironmentNotReady
from demo.net import is_loopback

_KNOWN_CODINGS = ("gzip", "x-gzip", "deflate")
"""Content codings (RFC 9110 section 8.4.1) that are undone although none is asked for."""


class AnswerTooLong(httpx2.TransportError):
    """The answer is longer than anything this protocol has a use for."""


_CREDENTIALS = re.compile(r"//[^@]*@")


class NotSent(httpx2.TransportError):
    """Something on this machine keeps the request from leaving it; `fault` says what."""

    def __init__(self, fault: DemoError) -> None:
        super().__init__(f"{fault.what}: {fault.why}")
        self.fault = fault


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable or setting that names it."""

    url: str
    named_by: str

    def __str__(self) -> str:
        # A value that is no URL may hold a password all the same.
        shown = _CREDENTIALS.sub("//[masked]@", mask_url(self.url))
        return f"the proxy {safe_text(shown, one_line=True)} of {self.named_by}"


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
        exchange = HttpExchange(
            request.method, str(request.url), tuple(request.headers.multi_items()), await request.aread() or None
        )
        self._recorder.begin(exchange)
        self._exchanges = [*(one for one in self._exchanges if not one.ended), exchange]
        proxy: Proxy | None = None
        try:
            await _prove(request.url)
            proxy = _proxy_for(request.url)
            if proxy is None and not is_loopback(request.url.host):
                await self._resolve(request.url.host)
            response = await self._way(request.url.scheme == "https", proxy).handle_async_request(request)
        except asyncio.CancelledError:
            self._end(exchange, "given up before an answer came", late=True)
            raise
        except Exception as error:
            failure = _explained(error, proxy)
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
            fault = _unusable(proxy, "it asks for authentication (HTTP 407)")
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
        self, exchange: HttpExchange, error: str | None = None, *, late: bool = False, fault: DemoError | None = None
    ) -> None:
        """Record it, once."""
        if not exchange.ended:
            exchange.end(error, late=late, fault=fault)
            self._recorder.add(exchange)

    def _way(self, tls: bool, proxy: Proxy | None) -> httpx2.AsyncHTTPTransport:
        # Reading the machine's certificates takes tens of milliseconds: only where there is TLS.
        key = (tls, proxy)
        if key not in self._ways:
            verify = _certificates() if tls or (proxy is not None and proxy.url.startswith("https:")) else False
            try:
                self._ways[key] = httpx2.AsyncHTTPTransport(verify=verify, proxy=proxy.url if proxy else None)
            except ImportError:
                raise NotSent(_unusable(proxy, "SOCKS is not spoken here: that takes an HTTP proxy")) from None
            except (ValueError, httpx2.InvalidURL) as error:  # a scheme that is not known, or no URL at all
                raise NotSent(_unusable(proxy, str(error))) from None
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


def _proxy_for(url: httpx2.URL) -> Proxy | None:
    """The proxy that the environment or the system names for `url`; never one for this machine itself."""
    # With the port: NO_PROXY may name one (`example.com:8443`).
    port = url.port or (443 if url.scheme == "https" else 80)
    if is_loopback(url.host) or proxy_bypass(url.host) or proxy_bypass(f"{url.host}:{port}"):
        return None
    proxies = getproxies()
    scheme = url.scheme if proxies.get(url.scheme) else "all"
    if not (told := proxies.get(scheme)):
        return None
    variables = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    named = next((name for name in variables if os.environ.get(name)), "this system's settings")
    # Without a scheme it means an HTTP proxy, as curl and browsers read it.
    return Proxy(told if "://" in told else f"http://{told}", named)


def _explained(error: Exception, proxy: Proxy | None) -> httpx2.TransportError:
    """What kept a request from being answered, as one kind of error that says where the fault is."""
    if isinstance(error, NotSent):
        return error
    if proxy is not None and isinstance(error, httpx2.ProxyError | httpx2.ConnectError | httpx2.ConnectTimeout):
        why = str(error) or ("no answer" if isinstance(error, httpx2.TimeoutException) else type(error).__name__)
        if "CERTIFICATE_VERIFY_FAILED" not in why:
            return NotSent(_unusable(proxy, why))
    if "CERTIFICATE_VERIFY_FAILED" in str(error) and (variable := _own_certificates()) is not None:
        return NotSent(
            EnvironmentNotReady(
                "the server's certificate cannot be verified",
                why=f"{error}; this machine's own certificates are replaced by {variable} ({os.environ[variable]})",
                do=f"unset {variable}, or name certificates there that this server's was signed by",
            )
        )
    if isinstance(error, httpx2.LocalProtocolError):
        # What h11 says repeats the value, which may be a secret.
        return NotSent(
            EnvironmentNotReady(
                "the request cannot be sent",
                why=mask_text(str(error)).partition(" b'")[0] + ": a header's value has characters that HTTP forbids",
                do="look at the token and at the values of arguments that the tool wants in headers (demo tools)",
            )
        )
    if isinstance(error, httpx2.TransportError):
        return error
    return NotSent(
        EnvironmentNotReady(
            "the request cannot be sent", why=f"{type(error).__name__}: {mask_text(str(error))}", do="demo doctor"
        )
    )


def _unusable(proxy: Proxy | None, why: str) -> EnvironmentNotReady:
    named = proxy.named_by if proxy is not None else "the proxy's variable"
    return EnvironmentNotReady(
        f"{proxy} cannot be used",
        why=safe_text(mask_text(why), one_line=True),
        do=f"correct or unset {named}, or add the server's host to NO_PROXY",
    )


def _own_certificates() -> str | None:
    """The variable by which this environment names its own certificates (OpenSSL, `SSL_CTX_load_verify_locations`)."""
    return next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)


def _certificates() -> ssl.SSLContext:
    """The certificates that servers are held against: this machine's, or those that a variable names.

    Raises:
        NotSent: the variable names what is not there, or what is none.
    """
    variable = _own_certificates()
    told = os.environ[variable] if variable else ""
    try:
        if variable == "SSL_CERT_DIR" and not any(map(os.path.isdir, told.split(os.pathsep))):
            raise NotADirectoryError(f"there is no folder {told}")
        return httpx2.create_ssl_context()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = str(error) if variable is None else f"{variable} is {told}: {getattr(error, 'strerror', None) or error}"
        do = "see to this machine's certificates" if variable is None else f"unset {variable}, or correct it"
        raise NotSent(
            EnvironmentNotReady("this machine's certificates cannot be read", why=safe_text(why, one_line=True), do=do)
        ) from None
