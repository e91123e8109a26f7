"""A closed loop of MCP calls: so many are in flight at every moment, and each is timed from its first byte to its last.

Plain `http.client` on kept connections, a thread for each call in flight: what the load costs must stay small beside
what it measures, since both share one machine.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

REVISION: Final = "2026-07-28"
PREFIX: Final = "io.modelcontextprotocol/"
PATIENCE: Final = 20.0
"""Seconds for one call."""
PROXY_LOST: Final = b"Your worker restarted mid-request"
"""What the proxy of `wrangler dev` says, as text and with 503, of a connection that it lost on its way to workerd. On a
busy machine that happens now and then; it is nothing that the shop has said."""
MOST_LOST: Final = 0.02
"""Of all calls: where more are lost, what is left is no measurement."""
FRONT_LIMIT: Final = 1000
"""Calls under one address: half of what the shop's flood guard lets through in its window."""


class Refused(Exception):
    """A call was not answered as it must be: what would be timed is not the work."""


@dataclass(frozen=True)
class Call:
    """One tool call, ready to be sent: whose it is, and its headers and body."""

    user: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Sample:
    """One answered call: whose it was, and how long it took, in seconds."""

    user: str
    seconds: float


@dataclass(frozen=True)
class Round:
    """What a piece of load came to: its samples, how many calls were lost (by the proxy, or because `PATIENCE` was over
    before an answer came), and how long all took, in seconds."""

    samples: tuple[Sample, ...]
    lost: int
    seconds: float


def tool_call(user: str, token: str, tool: str, arguments: dict[str, Any] | None = None) -> Call:
    """One tool call of MCP 2026-07-28, which needs no handshake before it."""
    meta = {
        f"{PREFIX}protocolVersion": REVISION,
        f"{PREFIX}clientInfo": {"name": "bench", "version": "1"},
        f"{PREFIX}clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments or {}, "_meta": meta}
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": REVISION,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    return Call(user, headers, body)


class Loop:
    """A closed loop against one server, with `in_flight` calls at a time."""

    def __init__(self, host: str, port: int, in_flight: int) -> None:
        self.in_flight = in_flight
        self._kept = threading.local()
        self._connect: Callable[[], http.client.HTTPConnection] = lambda: http.client.HTTPConnection(
            host, port, timeout=PATIENCE
        )
        self._count = itertools.count()
        self._pool = ThreadPoolExecutor(in_flight)

    def run(self, calls: Sequence[Call]) -> Round:
        """Send these calls, in their order, as soon as there is room for each.

        Raises:
            Refused: a call was answered with anything but a tool's result, or there is no server.
        """
        started = time.perf_counter()
        answered = tuple(self._pool.map(self._send, calls))
        samples = tuple(sample for sample in answered if sample is not None)
        return Round(samples, len(answered) - len(samples), time.perf_counter() - started)

    def close(self) -> None:
        """Let the threads go, and with them their connections."""
        self._pool.shutdown(cancel_futures=True)

    def _send(self, call: Call) -> Sample | None:
        # The guard in front counts by address (`FRONT`), and all of this load has one: it hears of many.
        address = f"10.0.{next(self._count) // FRONT_LIMIT % 256}.1"
        headers = {**call.headers, "cf-connecting-ip": address}
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is not None:
            # A connection that nobody used for some seconds may have been closed on the other side just now.
            with contextlib.suppress(ConnectionError):
                return self._ask(kept, call, headers)
            kept.close()
        self._kept.connection = self._connect()
        try:
            return self._ask(self._kept.connection, call, headers)
        except ConnectionError as error:
            raise Refused(f"no answer: {error!r}") from error

    def _ask(self, connection: http.client.HTTPConnection, call: Call, headers: dict[str, str]) -> Sample | None:
        started = time.perf_counter()
        try:
            connection.request("POST", "/mcp", call.body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except TimeoutError:
            connection.close()
            return None
        except ConnectionError:  # Beside the system's own, the end of a connection before its answer.
            raise
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"no answer: {error!r}") from error
        seconds = time.perf_counter() - started
        if answer.status == 503 and text.startswith(PROXY_LOST):
            return None
        if answer.status != 200 or b'"isError":false' not in text:
            raise Refused(f"{answer.status}: {text[:300].decode(errors='replace')}")
        return Sample(call.user, seconds)
