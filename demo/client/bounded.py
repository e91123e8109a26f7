"""From synchronous callers into bounded asynchronous work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def unwrap(error: BaseException) -> BaseException:
    """The one exception inside (nested) groups of one, which task groups make of every failure."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def run(work: Callable[[], Awaitable[T]], seconds: float | None, late: Callable[[], Exception]) -> T:
    """Run `work` to its end in an event loop of its own, and give up after `seconds`.

    Args:
        work: takes nothing; its awaited result is returned.
        seconds: the bound, None where the work has its own.
        late: makes the exception to raise when the time is over.

    Raises:
        whatever `work` raises, taken out of the exception groups around it; KeyboardInterrupt as itself.
    """
    import anyio

    async def main() -> T:
        with anyio.move_on_after(seconds):
            return await work()
        raise late()

    try:
        return anyio.run(main)
    except BaseExceptionGroup as group:
        single = unwrap(group)
        if single is group:
            single = group.exceptions[0]
        raise single from None
