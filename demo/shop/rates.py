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

from demo.evidence import LimitUse
from demo.shop.database import Database


class LedgerStorage(Storage, MovingWindowSupport):
    """A `limits` storage on SQLite: when each call was made that still counts."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `limits` may wrap; nothing is wrapped here."""
        return sqlite3.Error

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, if that is still within the limit. What is not counts for nothing: a caller that goes on trying
        is let in as soon as one that waits."""
        now = self._clock()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM shop_calls WHERE at <= ?", (now - expiry,))
            used = connection.execute("SELECT count(*) FROM shop_calls WHERE key = ?", (key,)).fetchone()[0]
            if used + amount > limit:
                return False
            connection.executemany("INSERT INTO shop_calls (key, at) VALUES (?, ?)", [(key, now)] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest call was made that still counts, now where there is none; and how many there are."""
        now = self._clock()
        with self._database.reading() as connection:
            oldest, used = connection.execute(
                "SELECT min(at), count(*) FROM shop_calls WHERE key = ? AND at > ?", (key, now - expiry)
            ).fetchone()
        return now if oldest is None else float(oldest), int(used)

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
        with self._database.reading() as connection:
            return connection.execute("SELECT 1").fetchone() is not None

    def reset(self) -> int | None:
        """Forget every counter; how many calls there were."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM shop_calls").rowcount

    def clear(self, key: str) -> None:
        """Forget one counter."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM shop_calls WHERE key = ?", (key,))


class Rates:
    """A rate limit of the shop: so many calls in so many seconds for each caller; all have the same seconds."""

    def __init__(self, database: Database, *, calls: int, seconds: int, clock: Callable[[], float]) -> None:
        self._limiter = MovingWindowRateLimiter(LedgerStorage(database, clock))
        self._item = RateLimitItemPerSecond(calls, seconds)

    def hit(self, caller: str) -> bool:
        """Count a call, if it is still within the limit; whether it is."""
        return self._limiter.hit(self._item, caller)

    def use(self, caller: str) -> LimitUse:
        """How much of the limit is used, without counting; `resets_at` is when the oldest call counts no more."""
        reset_time, remaining = self._limiter.get_window_stats(self._item, caller)
        used = self._item.amount - remaining
        seconds = float(self._item.get_expiry())
        return LimitUse("rate", used, self._item.amount, "calls", seconds, reset_time if used else None)
