"""What so many agents ask of the shop: an assumed agent, times what one call of it costs.

What a call costs a ledger stands in `worker/test/costs.json`, which the Worker's own tests hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.scale import published as said

SIZES: Final = (10**3, 10**6, 10**9)
DAY: Final = 86_400.0
MONTH: Final = 30
"""Days that are billed together."""
YEAR: Final = 365
COSTS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent.parent / "worker" / "test" / "costs.json").read_text("utf-8")
)


@dataclass(frozen=True)
class Assumed:
    """An agent, as nobody has measured one: every number here is chosen, and all else follows from them."""

    calls_a_day: float = 20.0
    inventory: float = 0.30
    purchases: float = 0.005
    not_tools: float = 0.20
    """Shares of the calls: those that ask for the stock, that buy, and messages that are no tool call (lists)."""
    burst: float = 5.0
    """Calls that come together: within one life of a token, and of one window of the rate."""
    no_token: float = 0.01
    """Requests beside these, without a token that anybody can be named for."""
    peak: float = 5.0
    """The busiest second, as a multiple of the average one."""
    agents_per_human: float = 1.0
    introspected: bool = True
    """Whether the authority is asked about each call (RFC 7662)."""
    worker_ms: float = 3.0
    object_ms: float = 50.0
    asking_ms: float = 100.0
    stock_ms: float = 5.0
    """Milliseconds of a call: CPU at the edge; an object's wall clock, and as much more while it asks the authority;
    the stock room's."""
    log_bytes: float = 1000.0
    """Of one invocation's entry in Workers Logs; `observability` is on, and every invocation writes one."""
    logged: float = 1.0
    """The share of invocations that is logged (`head_sampling_rate`)."""


@dataclass(frozen=True)
class Demand:
    """What so many agents ask of the shop, by the day unless a name says otherwise."""

    agents: int
    humans: float
    calls: float
    peak: float
    """Calls in the busiest second."""
    purchases: float
    stock_reads: float
    object_requests: float
    duration: float
    """GB-s."""
    rows_read: float
    rows_written: float
    trail: float
    stored: float
    """Bytes: those of the trail, and all that stays in objects."""
    logs: float
    """Bytes."""
    token_requests: float


def demand(agents: int, assumed: Assumed) -> Demand:
    """What so many agents ask of the shop."""
    calls = agents * assumed.calls_a_day
    purchases, inventory = calls * assumed.purchases, calls * assumed.inventory
    shares = {
        "message": assumed.not_tools,
        "inventory": assumed.inventory,
        "purchase": assumed.purchases,
        "tool": 1 - assumed.not_tools - assumed.inventory - assumed.purchases,
    }
    rows = {
        what: sum(
            share * sum(COSTS["rows"][kind][place][what] for place in ("ledger", "stock"))
            for kind, share in shares.items()
        )
        for what in ("read", "written")
    }
    windows = calls / assumed.burst
    stock = purchases + inventory
    milliseconds = assumed.object_ms + (assumed.asking_ms if assumed.introspected else 0.0)
    nobody = calls * assumed.no_token
    object_requests = calls + stock + nobody
    # Nobody's trail keeps its newest entries only, so it takes no more room; each new one drives out one that is old.
    nobody_rows = nobody * (COSTS["rows"]["message"]["ledger"]["written"] + 1)
    trail = calls * COSTS["bytes"]["entry"]
    return Demand(
        agents=agents,
        humans=agents / assumed.agents_per_human,
        calls=calls,
        peak=calls / DAY * assumed.peak,
        purchases=purchases,
        stock_reads=inventory,
        object_requests=object_requests,
        duration=(calls * milliseconds + stock * assumed.stock_ms) / 1000 * (said.OBJECT_MEMORY.amount or 0) / 1e9,
        rows_read=calls * rows["read"],
        rows_written=calls * rows["written"] + windows * COSTS["window"]["written"] + nobody_rows,
        trail=trail,
        stored=trail + purchases * (COSTS["bytes"]["order"] + COSTS["bytes"]["taken"]),
        logs=(calls + nobody + object_requests) * assumed.log_bytes * assumed.logged,
        token_requests=windows,
    )
