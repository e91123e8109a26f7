"""From synchronous callers into bounded asynchronous work."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deputize import signals
from deputize.errors import ExplainedError
from deputize.http import callers

T = TypeVar("T")

OnWait = Callable[[float, str], None]
"""Called during a wait, at least four times a second: the seconds left at most, and a word for what it waits for."""

TICK = 0.2
"""Seconds between two calls of an `OnWait`."""


def unwrap(error: BaseException) -> BaseException:
    """The exception inside (nested) exception groups: the one that explains itself, else the first."""
    while isinstance(error, BaseExceptionGroup):
        ours = [inner for inner in map(unwrap, error.exceptions) if isinstance(inner, ExplainedError)]
        error = ours[0] if ours else error.exceptions[0]
    return error


def run(work: Callable[[], Awaitable[T]], seconds: float | None, late: Callable[[], Exception]) -> T:
    """Run `work` to its end in an event loop of its own, and give up after `seconds`.

    Args:
        work: takes nothing; its awaited result is returned.
        seconds: the bound, None where the work has its own.
        late: makes the exception to raise when the time is over.

    Raises:
        whatever `work` raises, taken out of the exception groups around it; KeyboardInterrupt as itself.
        KeyboardInterrupt: this is the main thread, and a signal asked the process to end.
    """
    import anyio

    async def main() -> T:
        with anyio.move_on_after(seconds) as scope:
            try:
                return await work()
            except Exception as error:
                # What breaks while work is being cut short is no cause of its own.
                if scope.cancel_called and not isinstance(unwrap(error), ExplainedError):
                    raise late() from None
                raise
        raise late()

    try:
        result = callers.run(main)
    except BaseExceptionGroup as group:
        raise unwrap(group) from None
    if signals.received() is not None and threading.current_thread() is threading.main_thread():
        # The main task was cancelled for it, and a task group that was just closing took that for its own. Only the
        # main thread is struck by signals: in any other, nobody would catch this.
        raise KeyboardInterrupt
    return result
