"""How often one address may do what costs us something: `limits`' fixed window, in memory."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


class Rate:
    """So many a minute for each address; forgotten by a restart, which is no way around it for a caller."""

    def __init__(self, name: str, a_minute: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerMinute(a_minute)
        self._name = name

    def hit(self, address: str) -> int | None:
        """Count one; None while within the rate, else the whole seconds until the next is admitted."""
        if self._limiter.hit(self._item, self._name, address):
            return None
        ends = self._limiter.get_window_stats(self._item, self._name, address).reset_time
        return max(1, math.ceil(ends - time.time()))
