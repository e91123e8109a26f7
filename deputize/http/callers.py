"""Who calls: a program with an event loop, or one without; each may give functions of either kind."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from anyio.lowlevel import EventLoopToken

T = TypeVar("T")

_loop: ContextVar[EventLoopToken | None] = ContextVar("_loop", default=None)
"""The caller's event loop, for work in a thread beside it."""


async def beside(work: Callable[[threading.Event], T]) -> T:
    """Do work that blocks in a thread, while the caller's event loop goes on.

    Args:
        work: takes an event that is set when nobody waits for it any more; it is to end then, and need not at once.
    """
    from anyio import to_thread
    from anyio.lowlevel import current_token

    given_up = threading.Event()
    before = _loop.set(current_token())
    try:
        return await to_thread.run_sync(work, given_up, abandon_on_cancel=True)
    except BaseException:
        given_up.set()
        raise
    finally:
        _loop.reset(before)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run asynchronous work to its end in an event loop of its own: in this thread, or, where a loop runs in it, in
    another one that is waited for."""
    if not _in_a_loop():
        return _run(work)
    found: list[T] = []
    failed: list[BaseException] = []

    def main() -> None:
        try:
            found.append(_run(work))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=main, daemon=True, name="deputize")
    thread.start()
    while thread.is_alive():
        thread.join(0.1)  # so that Ctrl-C is heard
    if failed:
        raise failed[0]
    return found[0]


def settled(given: Any) -> Any:
    """What a function of the caller's returned, awaited where it is to be: in the caller's own event loop, where it has
    one."""
    if not inspect.isawaitable(given):
        return given
    from anyio import from_thread

    async def wait() -> Any:
        return await given

    token = _loop.get()
    if token is not None:
        return from_thread.run(wait, token=token)
    return run(wait)


def _run(work: Callable[[], Awaitable[T]]) -> T:
    import anyio

    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return anyio.run(work)
    # `asyncio.to_thread` hands its context on, and in it the mark that an event loop runs here, which is not so.
    mark = sniffio.current_async_library_cvar.set(None)
    try:
        return anyio.run(work)
    finally:
        sniffio.current_async_library_cvar.reset(mark)


def _in_a_loop() -> bool:
    """Whether an event loop runs in this thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        return bool(trio and trio.lowlevel.in_trio_run())
    return True
