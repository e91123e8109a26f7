"""The network between the agent and its servers, which misbehaves on command.

Every TCP connection of this process is opened through `Wire`: to the local server straight, or while the network
misbehaves by way of a proxy on loopback. The proxy stands in for what a network does to an HTTP request on its way (a
captive portal, a gateway's 502, a slow link), so that URLs, issuer and audience stay as they are, and what the agent
reads has been bytes on a socket. What would leave this machine is refused by `fence/sitecustomize.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deputize.net import LOOPBACK, is_loopback

HEAD_SECONDS = 10.0
"""How long a request may take to arrive."""


@dataclass(frozen=True)
class Request:
    """What a request asks for."""

    method: str
    path: str


@dataclass(frozen=True)
class Interference:
    """What becomes of one request.

    `after` are seconds that pass before anything is answered; `answer` is sent in the server's place, None for its own.
    """

    after: float = 0.0
    answer: bytes | None = None


CLEAR = Interference()
Behaviour = Callable[[Request], Interference]


def response(status: str, body: str, *headers: str, kind: str = "text/html; charset=utf-8") -> bytes:
    """An HTTP answer as bytes."""
    content = body.encode()
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + content


class Wire:
    """The network of this process while the `with` block lasts. One at a time.

    Args:
        port: where the local server listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.behaviour: Behaviour | None = None
        """How requests to the local server fare; None: the network is as it should be."""
        self.no_names = False
        """Whether no name is resolved, not even this machine's own."""
        self.spoilt = 0
        """Requests that did not fare as they should."""
        self._proxy = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._before: tuple[Any, Any, Any] | None = None

    def __enter__(self) -> Wire:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="wire")
        self._thread.start()
        if not ready.wait(HEAD_SECONDS):
            raise RuntimeError("the proxy on loopback did not start")
        self._before = (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo)
        connect, _, getaddrinfo = self._before

        def connecting(sock: socket.socket, address: Any) -> None:
            connect(sock, self._way(sock, address))

        def connecting_ex(sock: socket.socket, address: Any) -> int:
            try:
                connect(sock, self._way(sock, address))
            except OSError as error:
                return error.errno or errno.EIO
            return 0

        def resolving(host: Any, *rest: Any, **named: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if self.no_names and name is not None and not _is_address(name):
                self.spoilt += 1
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return getaddrinfo(host, *rest, **named)

        # The socket itself is the seam: asyncio, http.client and whatever a library brings end there.
        patched: Any = socket
        patched.socket.connect, patched.socket.connect_ex, patched.getaddrinfo = connecting, connecting_ex, resolving
        return self

    def __exit__(self, *_: object) -> None:
        patched: Any = socket
        if self._before is not None:
            patched.socket.connect, patched.socket.connect_ex, patched.getaddrinfo = self._before
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(HEAD_SECONDS)

    @contextlib.contextmanager
    def misbehaving(self, behaviour: Behaviour) -> Iterator[None]:
        """Have requests to the local server fare so while the block lasts."""
        self.behaviour = behaviour
        try:
            yield
        finally:
            self.behaviour = None

    def _way(self, sock: socket.socket, address: Any) -> Any:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or threading.current_thread() is self._thread:
            return address
        here = address[1] == self.port and is_loopback(str(address[0]))
        return (LOOPBACK, self._proxy) if here and self.behaviour is not None else address

    def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, LOOPBACK, 0))
        self._proxy = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection: answered as the network's state has it, or passed on."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head[:-4].decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ", 2)
                headers = [line for line in lines[1:] if not line.lower().startswith("connection:")]
                length = next((int(one[15:]) for one in headers if one.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
            interference = self.behaviour(Request(method, path)) if self.behaviour is not None else CLEAR
            self.spoilt += interference != CLEAR
            await asyncio.sleep(interference.after)
            if interference.answer is not None:
                writer.write(interference.answer)
            else:
                # One request to a connection, so that each is looked at.
                await self._pass_on("\r\n".join([lines[0], *headers, "Connection: close", "", ""]), body, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            pass  # the client, or the server, has gone: the other one notices
        finally:
            writer.close()

    async def _pass_on(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        answer, question = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            question.write(head.encode("latin-1") + body)
            while chunk := await answer.read(65536):
                writer.write(chunk)
                await writer.drain()
        finally:
            question.close()


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, name.partition("%")[0])
            return True
    return False
