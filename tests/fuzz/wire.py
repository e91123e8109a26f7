"""A request as bytes on a socket, and what must hold of every answer of ours, whatever was asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_from_bytes, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.given import TEXTS, damaged

SECONDS: Final = 10.0
"""For one answer."""
LONGEST: Final = 400_000
"""Bytes of an answer beyond what was asked with: the last thousand entries of an audit log."""
FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str = "POST"
    path: bytes = b"/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = field(default=b"", repr=True)


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, asked: Asked) -> Answered:
    """Send one request, and read its answer to the end.

    Raises:
        AssertionError: there is none, or not in time.
    """
    head = (
        asked.method.encode() + b" " + asked.path + b" HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\n" % port
    )
    head += b"content-length: %d\r\n" % len(asked.body)
    head += b"".join(name + b": " + value + b"\r\n" for name, value in asked.headers)
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        got = bytearray()
        try:
            connection.sendall(head + b"\r\n" + asked.body)
            while more := connection.recv(1 << 18):
                got += more
        except ConnectionError:
            pass  # refused before all of it was sent
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    assert first.startswith("HTTP/1.1 "), f"no answer: {bytes(got[:200])!r}"
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answered(int(first.split(" ")[1]), named, body)


def holds(port: int) -> Callable[[Asked], None]:
    """Of every answer: it is none of an error that nobody foresaw, it is bounded, and JSON where it says so."""

    def of(asked: Asked) -> None:
        answer = ask(port, asked)
        assert answer.status < 500 or answer.status == 503, f"{answer.status}: {answer.body[:300]!r}"
        assert len(answer.body) < LONGEST + 10 * len(asked.body)
        if answer.headers.get("content-type", "").startswith("application/json") and answer.body:
            said = json.loads(answer.body)
            # What the MCP server says of an exception of ours (JSON-RPC 2.0 section 5.1).
            error = said.get("error") if isinstance(said, dict) else None
            assert not isinstance(error, dict) or error.get("code") != -32603, said

    return of


def line(data: bytes) -> bytes:
    """Bytes that may stand in a header line (RFC 9110 section 5.5)."""
    return bytes(one for one in data if one == 9 or (one >= 0x20 and one != 0x7F)).strip()


def text_lines(good: bytes) -> SearchStrategy[bytes]:
    """Header values near a good one."""
    return st.one_of(damaged(good), TEXTS.map(lambda one: one.encode("utf-8", "replace")), st.just(good)).map(line)


@st.composite
def forms(draw: Callable[[SearchStrategy[Any]], Any], good: dict[str, str]) -> bytes:
    """Forms and queries near a good one: fields left out, doubled, with other values, or broken."""
    fields = [(name, draw(st.one_of(st.just(value), st.just(value), TEXTS))) for name, value in good.items()]
    fields = [one for one in fields if draw(st.integers(0, 5))]
    if fields and not draw(st.integers(0, 5)):
        fields.append(draw(st.sampled_from(fields)))
    fields += [(draw(TEXTS), draw(TEXTS)) for _ in range(draw(st.integers(0, 1)))]
    written = urlencode([(name.encode("utf-8", "replace"), value.encode("utf-8", "replace")) for name, value in fields])
    return draw(st.one_of(st.just(written.encode()), st.just(written.encode()), damaged(written.encode())))


def target(data: bytes) -> bytes:
    """Bytes as they may stand in a request's target."""
    return quote_from_bytes(data, safe="/?&=%+.:~-_;,@![]").encode()
