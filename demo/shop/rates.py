"""How often an agent, or an address at the open door, calls: `limits`' moving window over a storage in the shop's own
file, so that no stretch of its length holds more calls than the limit. A fixed window lets twice as many through around
the moment at which the next one begins.

The counters of `limits`' own storages live in memory or in a server beside; these survive a restart and read
the time from the shop's clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from demo.evidence.shop import LimitUse


class LedgerStorage(Storage, MovingWindowSupport):
    """A `limits` storage on SQLite: when each call was made that still counts. It works in the transaction that is
    named in `at`, by the time that is named there."""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._connection: sqlite3.Connection | None = None
        self._now = 0.0

    def at(self, connection: sqlite3.Connection, now: float) -> None:
        """What follows happens in this transaction, at this time in POSIX seconds."""
        self._connection, self._now = connection, now

    @property
    def connection(self) -> sqlite3.Connection:
        """The transaction at hand."""
        assert self._connection is not None, "a limit is asked inside a transaction only"
        return self._connection

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `limits` may wrap; nothing is wrapped here."""
        return sqlite3.Error

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, if that is still within the limit. What is not counts for nothing: a caller that goes on trying
        is let in as soon as one that waits."""
        now = self._now
        self.connection.execute("DELETE FROM shop_calls WHERE at <= ?", (now - expiry,))
        used = self.connection.execute("SELECT count(*) FROM shop_calls WHERE key = ?", (key,)).fetchone()[0]
        if used + amount > limit:
            return False
        self.connection.executemany("INSERT INTO shop_calls (key, at) VALUES (?, ?)", [(key, now)] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest call was made that still counts, now where there is none; and how many there are."""
        oldest, used = self.connection.execute(
            "SELECT min(at), count(*) FROM shop_calls WHERE key = ? AND at > ?", (key, self._now - expiry)
        ).fetchone()
        return self._now if oldest is None else float(oldest), int(used)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """A fixed window's; there is none here."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """A fixed window's; there is none here."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """A fixed window's; there is none here."""
        raise NotImplementedError

    def check(self) -> bool:
        """Whether the file answers."""
        return self.connection.execute("SELECT 1").fetchone() is not None

    def reset(self) -> int | None:
        """Forget every counter; how many calls there were."""
        return self.connection.execute("DELETE FROM shop_calls").rowcount

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self.connection.execute("DELETE FROM shop_calls WHERE key = ?", (key,))


class Rates:
    """A rate limit of the shop: so many calls in so many seconds for each caller; all have the same seconds.

    Args:
        limit: how many calls in how many seconds, asked each time: it is policy, which may change.
        clock: POSIX seconds.
    """

    def __init__(self, limit: Callable[[], tuple[int, int]], *, clock: Callable[[], float]) -> None:
        self._storage = LedgerStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._limit = limit
        self._known: tuple[int, int] | None = None
        self._clock = clock

    @property
    def _item(self) -> RateLimitItemPerSecond:
        if (now := self._limit()) != self._known:
            self._known, self._made = now, RateLimitItemPerSecond(*now)
        return self._made

    def hit(self, connection: sqlite3.Connection, caller: str) -> bool:
        """Count a call, if it is still within the limit; whether it is."""
        self._storage.at(connection, self._clock())
        return self._limiter.hit(self._item, caller)

    def use(self, connection: sqlite3.Connection, caller: str) -> LimitUse:
        """How much of the limit is used, without counting; `resets_at` is when the oldest call counts no more."""
        self._storage.at(connection, self._clock())
        item = self._item
        reset_time, remaining = self._limiter.get_window_stats(item, caller)
        used = item.amount - remaining
        return LimitUse("rate", used, item.amount, "calls", float(item.get_expiry()), reset_time if used else None)
