"""Which limit is full first: each limit of the shop as it is built, and how much of it so many agents use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.scale import published as said
from bench.scale.demand import COSTS, DAY, SIZES, YEAR, Assumed, Demand, demand

FRONT_PER_SECOND: Final = 2000 / 10
"""`FRONT` of `worker/wrangler.jsonc`: for each address, in each location."""
AGENT_PER_SECOND: Final = 10 / 10
"""`RATE_CALLS` in `RATE_SECONDS` of the same file."""
LEDGERS_READ: Final = 40
"""`MOST_LEDGERS` of `worker/src/routes/audit.ts`."""
ALLOWED: Final = len("user_01K0A1B2C3D4E5F6G7H8J9KMNP,")
"""Characters of one entry of `ALLOWLIST`: one of WorkOS's user ids, and a comma."""
STOCK_CALLS: Final = "the stock room, calls"


@dataclass(frozen=True)
class Limit:
    """A limit, and how much of it is used: 1 is full. `used` is None where the limit is not known."""

    name: str
    used: float | None
    mend: str
    """What one would change, in a few words."""
    when: str = ""
    """Whom it strikes, where it does not strike the shop as a whole: such a limit is nobody's first."""


def limits(asked: Demand, assumed: Assumed) -> list[Limit]:
    """The limits of the shop on Workers Paid, as it is built."""
    busiest = assumed.peak / DAY
    per_object = said.OBJECT_SIMPLE.amount or 0
    written = said.OBJECT_WRITES.amount or 0
    size = said.OBJECT_SIZE.amount or 0
    kept = asked.purchases * YEAR * COSTS["bytes"]["taken"] + asked.humans * COSTS["bytes"]["ledger"]
    own = asked.stored * YEAR / asked.humans + COSTS["bytes"]["empty"]
    asking = asked.peak / (said.WORKOS_REQUESTS.amount or 0) if assumed.introspected else 0.0
    return [
        Limit(
            "ledgers, of the 40 that an admin's reading of the trail goes to",
            asked.humans / LEDGERS_READ,
            "the trail told to a queue, and read from a warehouse",
        ),
        Limit(
            "the allowlist, one variable",
            asked.humans * ALLOWED / (said.VARIABLE_SIZE.amount or 0),
            "an organization or a role of the authority's, not a list",
        ),
        Limit("the authority, asked about each call", asking, "revocations pushed to the ledgers"),
        Limit(
            STOCK_CALLS,
            asked.stock_reads * busiest / per_object + asked.purchases * busiest / written,
            "stock in shards, its level read from a cache",
        ),
        Limit(
            "the stock room, storage after a year",
            kept / size,
            "order ids forgotten once settled; ledgers listed elsewhere",
        ),
        Limit(
            "nobody's object, refusals without a name",
            asked.calls * assumed.no_token * busiest / written,
            "refusals counted, not kept",
        ),
        Limit("one human's object, calls", assumed.agents_per_human * AGENT_PER_SECOND / written, "none needed"),
        Limit("one human's object, storage after a year", own / size, "none needed"),
        Limit("the authority's token endpoint", None, "ask for it in the contract"),
        Limit("the authority's keys and metadata", None, "ask for it in the contract"),
        Limit(
            "the flood guard, calls",
            asked.peak / FRONT_PER_SECOND,
            "count by client, not by address",
            "if all come from one address, to one location",
        ),
        Limit(
            "nobody's object, if five addresses knock as hard as the guard lets them",
            5 * FRONT_PER_SECOND / written,
            "refusals counted, not kept",
            "at any size",
        ),
    ]


def free_limits(asked: Demand) -> list[Limit]:
    """The limits of the Workers Free plan."""
    pairs = (
        (said.FREE_REQUESTS, asked.calls),
        (said.FREE_OBJECT_REQUESTS, asked.object_requests),
        (said.FREE_DURATION, asked.duration),
        (said.FREE_ROWS_READ, asked.rows_read),
        (said.FREE_ROWS_WRITTEN, asked.rows_written),
        (said.FREE_STORED, asked.stored * YEAR + asked.humans * COSTS["bytes"]["empty"]),
        (said.FREE_LOGS, asked.logs),
    )
    return [
        Limit(
            figure.name + (", after a year" if figure is said.FREE_STORED else ""),
            used / (figure.amount or 0),
            "Workers Paid",
        )
        for figure, used in pairs
    ]


def first(found: list[Limit]) -> Limit | None:
    """The one of these limits that is fullest, if it is more than full."""
    full = [limit for limit in found if limit.used is not None and limit.used > 1 and not limit.when]
    return max(full, key=lambda limit: limit.used or 0, default=None)


@dataclass(frozen=True)
class Bottleneck:
    """The first limit to be full at one size, once what was full at the sizes before was mended; and the others."""

    agents: int
    first: Limit | None
    others: tuple[Limit, ...]
    mended: tuple[str, ...]


def bottlenecks(assumed: Assumed, sizes: tuple[int, ...] = SIZES) -> list[Bottleneck]:
    """The first bottleneck of each size. Who grows has mended what stopped them before."""
    found: list[Bottleneck] = []
    mended: tuple[str, ...] = ()
    for agents in sizes:
        left = [limit for limit in limits(demand(agents, assumed), assumed) if limit.name not in mended]
        here = first(left)
        full = tuple(limit for limit in left if not limit.when and (limit.used or 0) > 1)
        found.append(Bottleneck(agents, here, tuple(limit for limit in full if limit is not here), mended))
        mended += tuple(limit.name for limit in full)
    return found
