"""How often an agent calls: `limits`' fixed window over a storage in the shop's own file.

The counters of `limits`' own storages live in memory or in a server beside; these survive a restart and read
the time from the shop's clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from demo.evidence import LimitUse
from demo.shop.database import Database


class LedgerStorage(Storage):
    """A `limits` storage on SQLite; a window begins with its first call and ends `expiry` seconds later."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `limits` may wrap; nothing is wrapped here."""
        return sqlite3.Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and say how many there are now in the window."""
        now = self._clock()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM shop_rates WHERE expires_at <= ?", (now,))
            row = connection.execute(
                "INSERT INTO shop_rates (key, used, expires_at) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET used = used + excluded.used RETURNING used",
                (key, amount, now + expiry),
            ).fetchone()
        return int(row["used"])

    def get(self, key: str) -> int:
        """How many there are in the window; 0 when it is over."""
        row = self._row(key)
        return int(row["used"]) if row else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in POSIX seconds; now when there is none."""
        row = self._row(key)
        return float(row["expires_at"]) if row else self._clock()

    def check(self) -> bool:
        """Whether the file answers."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1").fetchone() is not None

    def reset(self) -> int | None:
        """Forget every counter; how many there were."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM shop_rates").rowcount

    def clear(self, key: str) -> None:
        """Forget one counter."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM shop_rates WHERE key = ?", (key,))

    def _row(self, key: str) -> sqlite3.Row | None:
        with self._database.reading() as connection:
            row: sqlite3.Row | None = connection.execute(
                "SELECT used, expires_at FROM shop_rates WHERE key = ? AND expires_at > ?", (key, self._clock())
            ).fetchone()
        return row


class Rates:
    """The shop's one rate limit: so many calls in so many seconds for each caller."""

    def __init__(self, database: Database, *, calls: int, seconds: int, clock: Callable[[], float]) -> None:
        self._limiter = FixedWindowRateLimiter(LedgerStorage(database, clock))
        self._item = RateLimitItemPerSecond(calls, seconds)

    def hit(self, caller: str) -> bool:
        """Count a call; whether it is still within the limit."""
        return self._limiter.hit(self._item, caller)

    def use(self, caller: str) -> LimitUse:
        """How much of the limit is used, without counting. Calls that were refused for it do not show."""
        reset_time, remaining = self._limiter.get_window_stats(self._item, caller)
        used = self._item.amount - remaining
        seconds = float(self._item.get_expiry())
        return LimitUse("rate", used, self._item.amount, "calls", seconds, reset_time if used else None)
