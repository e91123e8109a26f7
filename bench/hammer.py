"""A lean closed loop of HTTP/1.1 requests: so many connections, one request in flight on each, one thread for all.

`bench.load` is meant for a Worker that takes milliseconds, this one for servers that take less than one: requests are
bytes that were made before, and an answer is read no further than its status and its length.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.load import Refused, Round, Sample

PATIENCE: Final = 20.0
"""Seconds for one answer."""
_ADDRESSES: Final = itertools.count(2)


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    got: bytearray = field(default_factory=bytearray)
    length: int | None = None


def request(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as bytes, ready to be sent."""
    named = {"host": host, "content-length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def block(port: int, requests: Iterator[bytes], *, clients: int, calls: int) -> Round:
    """Send so many calls over so many new connections, each of which has one call before that is not timed.

    Raises:
        Refused: an answer that is none of 200, or none at all.
    """
    connections = [_Connection(_connected(port)) for _ in range(clients)]
    try:
        _drive(connections, requests, clients)
        started = time.perf_counter()
        samples = _drive(connections, requests, calls)
        return Round(tuple(samples), 0, time.perf_counter() - started)
    finally:
        for one in connections:
            one.socket.close()


def once(port: int, sent: bytes) -> bytes:
    """One request's answer, head and body.

    Raises:
        Refused: as `block`.
    """
    connection = _Connection(_connected(port))
    with contextlib.closing(connection.socket):
        _drive([connection], iter([sent]), 1)
        return bytes(connection.got)


def _connected(port: int) -> socket.socket:
    """A connection from an address that had none before: who counts by address, as an open door does, sees many."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.settimeout(PATIENCE)
    number = next(_ADDRESSES)
    with contextlib.suppress(OSError):  # Not every system has all of 127.0.0.0/8.
        made.bind((f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}", 0))
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


def _drive(connections: list[_Connection], requests: Iterator[bytes], calls: int) -> list[Sample]:
    samples: list[Sample] = []
    left = calls
    with selectors.DefaultSelector() as selector:

        def send(one: _Connection) -> None:
            nonlocal left
            left -= 1
            one.got.clear()
            one.length = None
            one.sent_at = time.perf_counter()
            one.socket.sendall(next(requests))  # a few hundred bytes into an empty buffer

        for one in connections[:calls]:
            selector.register(one.socket, selectors.EVENT_READ, one)
            send(one)
        while len(samples) < calls:
            ready = selector.select(PATIENCE)
            if not ready:
                raise Refused(f"no answer in {PATIENCE:.0f} s")
            for key, _ in ready:
                one = key.data
                more = one.socket.recv(1 << 18)
                if not more:
                    raise Refused(f"the connection ended: {bytes(one.got[:300])!r}")
                one.got += more
                if one.length is None:
                    one.length = _whole(one.got)
                if one.length is None or len(one.got) < one.length:
                    continue
                samples.append(Sample("", time.perf_counter() - one.sent_at))
                if not one.got.startswith(b"HTTP/1.1 200"):
                    raise Refused(one.got[:600].decode(errors="replace"))
                if left > 0:
                    send(one)
                else:
                    selector.unregister(one.socket)
    return samples


def _whole(got: bytearray) -> int | None:
    """How long the whole answer is; None while its head is not there."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(got[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise Refused(f"an answer without a length: {head[:300]!r}")
    return end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
