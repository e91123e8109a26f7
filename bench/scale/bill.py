"""What so many agents cost, on Workers Paid and at AuthKit's list price; and what it would come to once mended."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.scale import published as said
from bench.scale.bottlenecks import STOCK_CALLS, limits
from bench.scale.demand import COSTS, MONTH, YEAR, Assumed, Demand, demand


def bill(asked: Demand, assumed: Assumed) -> list[tuple[said.Meter, float]]:
    """What is used in a month, by meter: of storage, what is there after a year."""
    stored = asked.stored * YEAR + asked.humans * COSTS["bytes"]["empty"]
    return [
        (said.REQUESTS, asked.calls * (1 + assumed.no_token) * MONTH),
        (said.CPU, asked.calls * (1 + assumed.no_token) * MONTH * assumed.worker_ms),
        (said.OBJECT_REQUESTS, asked.object_requests * MONTH),
        (said.DURATION, asked.duration * MONTH),
        (said.ROWS_READ, asked.rows_read * MONTH),
        (said.ROWS_WRITTEN, asked.rows_written * MONTH),
        (said.STORED, stored / 1e9),
        (said.LOGS_IN, asked.logs * MONTH / 1e9),
        (said.LOGS_KEPT, asked.logs * 7 / 1e9),
        (said.USERS, asked.humans),
    ]


def total(agents: int, assumed: Assumed) -> float:
    """Dollars in a month, one year in, on Workers Paid."""
    used = bill(demand(agents, assumed), assumed)
    return (said.PAID_PLAN.amount or 0) + sum(meter.cost(amount) for meter, amount in used)


@dataclass(frozen=True)
class Mended:
    """What the mends come to at one size."""

    stock_shards: int
    """Stock rooms, so that none is more than half full in the busiest second."""
    queues: int
    queue_cost: float
    """Dollars in a month: a message for each entry of the trail, written, read and deleted."""
    ledger_cost: float
    warehouse_cost: float
    """Dollars in a month for a year's entries: in the ledgers, and in R2 as they are."""
    rows_cost: float
    rows_without: float
    """Dollars in a month for the rows written: as it is, and where the ledgers keep no trail."""


def mended(agents: int, assumed: Assumed) -> Mended:
    """What the mends come to."""
    asked = demand(agents, assumed)
    room = next(limit for limit in limits(asked, assumed) if limit.name == STOCK_CALLS)
    trail_rows = COSTS["rows"]["message"]["ledger"]["written"]  # A message that is no tool call writes nothing else.
    gigabytes = asked.trail * YEAR / 1e9
    return Mended(
        stock_shards=max(1, math.ceil((room.used or 0) / 0.5)),
        queues=max(1, math.ceil(asked.peak / (said.QUEUE_RATE.amount or 1))),
        queue_cost=said.QUEUE_OPERATIONS.cost(3 * asked.calls * MONTH),
        ledger_cost=said.STORED.cost(gigabytes),
        warehouse_cost=said.R2_STORED.cost(gigabytes),
        rows_cost=said.ROWS_WRITTEN.cost(asked.rows_written * MONTH),
        rows_without=said.ROWS_WRITTEN.cost((asked.rows_written - asked.calls * trail_rows) * MONTH),
    )
