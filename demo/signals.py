"""Signals that ask the command to end: heard while it works, and not again while it tidies up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def heed(handler: Callable[[int, Any], Any], *names: str) -> None:
    """Handle these signals, except those that were ignored when the command was started: `nohup`, or a script that
    started it in the background, means that (POSIX, Shell Command Language 2.11)."""
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
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
