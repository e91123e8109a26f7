"""Lines from stdin, without a thread that keeps the program from ending."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

LONGEST = 8 * 1024 * 1024
"""Bytes of a line that are read; a longer one is passed over, for it is no message that the server would take."""

_CHUNK = 65536


class Lines:
    """The lines of a file descriptor, as the SDK's stdio transport wants its stdin.

    A thread that reads stdin cannot be interrupted. The SDK's own is one that the interpreter waits for at its end, so
    that Ctrl-C or SIGTERM would hang until the host closes the pipe; this one is left behind.

    Args:
        descriptor: to read from.
        over: awaited at the end of the file, before that is told: what came last may still be under way.
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
