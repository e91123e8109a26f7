"""Run the bridge on this process's stdin and stdout, until the host closes stdin."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from demo.bridge.server import Bridge, LoginCommand
from demo.bridge.upstream import LOCAL, SECONDS, Upstream
from deputize.http.bounded import unwrap
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from anyio import CancelScope

    from demo.client.agent import Agent

LONGEST = 8 * 1024 * 1024
"""Bytes of a line that are read; a longer one is passed over, for it is no message that the server would take."""

_CHUNK = 65536

INTRODUCING = 0.5
"""Seconds that the host's greeting waits for the server's own; afterwards everything is offered."""

PARTING = 5.0
"""Seconds that requests may still take after stdin has ended, and that parting may take after a signal."""


def serve(
    find: Callable[[], Agent],
    *,
    login: LoginCommand,
    name: str = LOCAL,
    quiet: bool = False,
    seconds: float = SECONDS,
) -> None:
    """Serve one host. stdout carries the protocol and nothing else; what a person should know goes to stderr.

    Args:
        find: gives the agent whose stored token is used; nobody is asked for another. The host is greeted meanwhile.
        login: makes the command by which a person gives it some, of the option for the flow (None: not known).
        name: what a person knows its server by, until it is found.
        quiet: nothing on stderr.
        seconds: the bound on one request.

    Returns when stdin has ended, or when the host reads no more.

    Raises:
        KeyboardInterrupt: SIGINT came.
        SystemExit: SIGTERM or SIGHUP came, with 128 and the signal's number.
    """
    import anyio

    def log(line: str) -> None:
        if not quiet:
            sys.stderr.write(f"demo: {safe_text(' '.join(line.split()))}\n")
            sys.stderr.flush()

    # What the SDK has to say of a host's or a server's mistakes comes with tracebacks, and so does what asyncio says of
    # tasks that a signal has cut short: not for a host's log.
    for library in ("mcp", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
        logging.getLogger(library).propagate = False
    heard: list[int] = []

    async def until_a_signal() -> None:
        # Heard by the event loop, as one event among others. A handler that raises does so inside whichever task runs:
        # the task group around it is then left in an order that it does not stand, or not at all.
        async with anyio.create_task_group() as around:
            if _ending():
                around.start_soon(_listen, heard, around.cancel_scope)
            await _serve(Upstream(find, name=name, seconds=seconds), login, log)
            around.cancel_scope.cancel()

    try:
        anyio.run(until_a_signal)
    except BaseExceptionGroup as group:
        error = unwrap(group)
        if not isinstance(error, BrokenPipeError) and not heard:
            raise error from None
    if heard:
        raise KeyboardInterrupt if heard[0] == signal.SIGINT else SystemExit(128 + heard[0])


def _ending() -> list[signal.Signals]:
    """The signals to end by; those that were ignored when the process began stay so. None on Windows, where an event
    loop hears of none: there the process's own handlers do as they did."""
    if sys.platform == "win32":
        return []
    named = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [one for one in named if signal.getsignal(one) is not signal.SIG_IGN]


async def _listen(heard: list[int], scope: CancelScope) -> None:
    """Wait for a signal to end by; then take down what runs in `scope`, at most `PARTING` seconds long."""
    import anyio

    with anyio.open_signal_receiver(*_ending()) as signals:
        async for number in signals:
            heard.append(number)
            # A write to a host that has stopped to read cannot be called off.
            late = threading.Timer(PARTING, os._exit, (128 + number,))
            late.daemon = True
            late.start()
            scope.cancel()
            return


async def _serve(upstream: Upstream, login: LoginCommand, log: Any) -> None:
    async with upstream.connected():
        await _serve_host(upstream, login, log)


async def _serve_host(upstream: Upstream, login: LoginCommand, log: Any) -> None:
    import anyio
    from mcp.server import NotificationOptions
    from mcp.server.stdio import stdio_server

    bridge = Bridge(upstream, login=login, log=log)
    log(f"bridging stdin and stdout to {upstream.name}")
    lines = Lines(
        0,
        over=lambda: bridge.settle(PARTING),
        too_long=lambda: log(f"a message longer than {LONGEST // (1024 * 1024)} MiB was passed over"),
    )
    async with (
        stdio_server(stdin=cast(Any, lines)) as (incoming, outgoing),
        anyio.create_task_group() as beside,
    ):
        beside.start_soon(bridge.reach)
        beside.start_soon(bridge.watch)
        with anyio.move_on_after(INTRODUCING):
            await bridge.reached.wait()
        server = bridge.server()
        options = server.create_initialization_options(NotificationOptions(tools_changed=True))
        await server.run(incoming, outgoing, options)
        beside.cancel_scope.cancel()


class Lines:
    """The lines of a file descriptor, as the SDK's stdio transport wants its stdin.

    A thread that reads stdin cannot be interrupted. The SDK's own is one that the interpreter waits for at its end, so
    that Ctrl-C or SIGTERM would hang until the host closes the pipe; this one is left behind.

    Args:
        descriptor: to read from.
        over: awaited at the end of the file, before that is passed on: what came last may still be under way.
        too_long: called for each line that was passed over.
    """

    def __init__(
        self, descriptor: int, *, over: Callable[[], Awaitable[None]], too_long: Callable[[], None] = lambda: None
    ) -> None:
        self._descriptor = descriptor
        self._over = over
        self._too_long = too_long

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[str | None] = asyncio.Queue(1)

        def put(line: str | None) -> None:
            # The host waits at its end of the pipe while we have not taken what it sent: nothing piles up here.
            asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

        def read() -> None:
            with contextlib.suppress(RuntimeError, asyncio.CancelledError):  # the loop has ended before stdin did
                for line in self._read():
                    put(line)
                put(None)

        threading.Thread(target=read, daemon=True, name="stdin").start()
        while (line := await lines.get()) is not None:
            yield line
        await self._over()

    def _read(self) -> Iterator[str]:
        held = bytearray()
        passing = False
        while True:
            try:
                # Not sys.stdin: a thread left behind with its lock held would break the interpreter's end.
                chunk = os.read(self._descriptor, _CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                break
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                held += part
                if not passing and held.strip():
                    yield held.decode("utf-8", errors="replace")
                passing = False
                held.clear()
            held += rest
            if len(held) > LONGEST:
                held.clear()
                if not passing:
                    self._too_long()
                passing = True
        if held.strip() and not passing:
            yield held.decode("utf-8", errors="replace")
