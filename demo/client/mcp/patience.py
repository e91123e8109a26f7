"""Waiting where a server asks for it (429, 503), within a bound, with the seconds left told all the while."""

from __future__ import annotations

import time
from collections.abc import Callable

from demo.client.http.bounded import TICK, OnWait
from demo.client.mcp.outcome import CallOutcome

TRIES = 3
"""Times that one call is sent at most."""

FIRST_WAIT = 1.0
"""Seconds of the first wait where the server names none; each further one is twice as long."""

WAITS = {429: "rate_limited", 503: "unavailable"}
"""The answers that are worth a wait: both say that the request was not carried out (RFC 6585 section 4, RFC 9110
section 15.6.4)."""


class Patience:
    """The patience of one call.

    Args:
        seconds: how long may be waited, all waits together; 0 for no wait at all.
        on_wait: told the seconds left of this wait, and the state (`WAITS`), at least four times a second and once at
            its end.

    A wait that the server names (`Retry-After`, RFC 9110 section 10.2.3) and that does not fit in is not begun: the
    refusal is the outcome. A shorter one than asked for would only be refused again.
    """

    def __init__(self, seconds: float, on_wait: OnWait | None) -> None:
        self._left = seconds
        self._on_wait = on_wait
        self._tries = 0

    def __call__(self, call: Callable[[], CallOutcome]) -> CallOutcome:
        """Call, and again after each wait; the last outcome."""
        while True:
            outcome = call()
            self._tries += 1
            wait = FIRST_WAIT * 2 ** (self._tries - 1) if outcome.retry_after is None else outcome.retry_after
            wait = max(wait, TICK)  # "now" must not become a flood
            if outcome.status not in WAITS or self._tries >= TRIES or wait > self._left:
                return outcome
            self._left -= wait
            self._wait(wait, WAITS[outcome.status])

    def _wait(self, seconds: float, state: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._on_wait is not None:
                self._on_wait(left, state)
            time.sleep(min(TICK, left))
        if self._on_wait is not None:
            self._on_wait(0.0, state)
