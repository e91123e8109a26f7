"""Signals that ask a command to end: received once while it works, and ignored while it tidies up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_received: list[int] = []


def end_in_order() -> None:
    """Have SIGTERM and SIGHUP end this process as Ctrl-C does, so that whatever must be tidied up is: a dry run's
    server, the terminal's mode. One that was ignored when the command was started stays so: `nohup`, or a script that
    started it in the background, means that (POSIX, Shell Command Language 2.11)."""
    _received.clear()
    for number in _ENDING:
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def received() -> int | None:
    """The signal other than Ctrl-C that asked this process to end, None so far."""
    return _received[0] if _received else None


def _end(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    interrupt: Any = signal.getsignal(signal.SIGINT)
    if callable(interrupt) and interrupt is not signal.default_int_handler:
        # An event loop runs here. An exception would strike one of its callbacks, whichever runs; asyncio's own answer
        # to Ctrl-C cancels the main task, and raises KeyboardInterrupt when all is tidied up (asyncio.Runner).
        interrupt(signal.SIGINT, frame)
        return
    raise SystemExit(128 + number)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore further signals to end for as long as the block, which must be bounded: a second Ctrl-C would leave behind
    half of what the first one has begun to take down. Only a main thread can, and only it is struck by them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in _ENDING]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Receive signals to end only after the block, which must be bounded: what it begins is written down then, and can
    be ended. A process that is started within it receives them as ever, unlike signals that are ignored or blocked
    (POSIX, exec). Only a main thread can, and only it is struck by them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = [(number, handler) for number in _ENDING if callable(handler := signal.getsignal(number))]
    for number, _ in before:
        signal.signal(number, lambda signalled, _: came.append(signalled))
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
