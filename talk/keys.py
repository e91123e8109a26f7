"""Single keys from the presenter's terminal, without ever blocking: what was pressed, or nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


class Keys:
    """Reads keys from a terminal that `listening` has put into cbreak mode."""

    def pressed(self, seconds: float = 0.0, *, as_typed: bool = False) -> str | None:
        """The key pressed within `seconds`, `"\\n"` for Enter; None when there was none.

        Args:
            as_typed: in the case it was typed in; else in lower case.
        """
        if sys.platform == "win32":  # pragma: no cover  # the same contract by the platform's own call
            import msvcrt
            import time

            deadline = time.monotonic() + seconds
            while not msvcrt.kbhit():
                if time.monotonic() >= deadline:
                    return None
                time.sleep(0.02)
            key = msvcrt.getwch()
        else:
            import select

            if not select.select([sys.stdin], [], [], seconds)[0]:
                return None
            raw = os.read(sys.stdin.fileno(), 1)
            if raw == b"":  # end of file: the terminal has gone
                raise EOFError
            key = raw.decode("ascii", "replace")  # one byte of a longer sign is a key that means nothing
        if key == "\x03":
            raise KeyboardInterrupt
        if key in "\r\n":
            return "\n"
        return key if as_typed else key.lower()


@contextlib.contextmanager
def listening() -> Iterator[Keys]:
    """Put the terminal into cbreak mode (keys arrive at once and are not echoed; Ctrl-C still interrupts)."""
    if sys.platform == "win32":  # pragma: no cover
        yield Keys()
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        # A key struck before the question was on the screen is no answer to it.
        termios.tcflush(descriptor, termios.TCIFLUSH)
        yield Keys()
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def hushed(wanted: bool) -> Iterator[None]:
    """While it lasts, keys struck in between are not echoed into the picture (Ctrl-C still interrupts)."""
    if not wanted or sys.platform == "win32":
        yield
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def interactive() -> bool:
    """Whether a person can see the screen and press keys."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except ValueError:  # closed
        return False
