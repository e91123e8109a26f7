"""What the platforms publish of their limits and prices: each figure with the page that says so.

A figure that was not found is None: unknown, never guessed. Prices are in US dollars, sizes in bytes (a GB is 10^9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

READ_ON: Final = "24 November 2026"
"""When all of these pages were read."""


@dataclass(frozen=True)
class Page:
    """A page of a platform's documentation."""

    title: str
    address: str


WORKERS_PRICES = Page("Workers: Pricing", "developers.cloudflare.com/workers/platform/pricing")
WORKERS_LIMITS = Page("Workers: Limits", "developers.cloudflare.com/workers/platform/limits")
OBJECT_PRICES = Page("Durable Objects: Pricing", "developers.cloudflare.com/durable-objects/platform/pricing")
OBJECT_LIMITS = Page("Durable Objects: Limits", "developers.cloudflare.com/durable-objects/platform/limits")
OBJECT_RULES = Page(
    "Rules of Durable Objects", "developers.cloudflare.com/durable-objects/best-practices/rules-of-durable-objects"
)
OBJECT_LIFE = Page(
    "Lifecycle of a Durable Object", "developers.cloudflare.com/durable-objects/concepts/durable-object-lifecycle"
)
ANALYTICS_LIMITS = Page(
    "Workers Analytics Engine: Limits", "developers.cloudflare.com/analytics/analytics-engine/limits"
)
LOG_PRICES = Page("Observability: Pricing (from 1 December 2026)", "developers.cloudflare.com/observability/pricing")
RATE_LIMIT = Page("Rate Limiting binding", "developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit")
QUEUE_LIMITS = Page("Queues: Limits", "developers.cloudflare.com/queues/platform/limits")
QUEUE_PRICES = Page("Queues: Pricing", "developers.cloudflare.com/queues/platform/pricing")
WORKOS_LIMITS = Page("WorkOS: Rate limits", "workos.com/docs/reference/rate-limits")
WORKOS_PRICES = Page(
    "WorkOS: Pricing, by a transcript of 22 May 2026; the page itself could not be read", "workos.com/pricing"
)
WORKOS_TOKENS = Page("WorkOS Connect: Token, in its example", "workos.com/docs/reference/workos-connect/token")


@dataclass(frozen=True)
class Figure:
    """One published figure; `amount` in `unit`, None where no page that was found says it."""

    name: str
    amount: float | None
    unit: str
    page: Page


@dataclass(frozen=True)
class Meter:
    """What is billed by use: so much is included in a month, then `price` for each `per`."""

    name: str
    unit: str
    included: float
    price: float
    per: float
    page: Page

    def cost(self, used: float) -> float:
        """Dollars for so much in a month."""
        return max(0.0, used - self.included) / self.per * self.price


PAID_PLAN = Figure("Workers Paid, the least for an account", 5.0, "dollars a month", WORKERS_PRICES)

REQUESTS = Meter("Worker requests", "requests", 10e6, 0.30, 1e6, WORKERS_PRICES)
CPU = Meter("Worker CPU", "ms", 30e6, 0.02, 1e6, WORKERS_PRICES)
OBJECT_REQUESTS = Meter("object requests", "requests", 1e6, 0.15, 1e6, OBJECT_PRICES)
DURATION = Meter("object duration", "GB-s", 400e3, 12.50, 1e6, OBJECT_PRICES)
ROWS_READ = Meter("rows read", "rows", 25e9, 0.001, 1e6, OBJECT_PRICES)
ROWS_WRITTEN = Meter("rows written", "rows", 50e6, 1.00, 1e6, OBJECT_PRICES)
STORED = Meter("stored in objects", "GB-months", 5.0, 0.20, 1.0, OBJECT_PRICES)
LOGS_IN = Meter("logs taken in", "GB", 50.0, 0.25, 1.0, LOG_PRICES)
LOGS_KEPT = Meter("logs kept (7 days)", "GB-months", 12.0, 0.10, 1.0, LOG_PRICES)
USERS = Meter("AuthKit monthly users", "users", 1e6, 2500.0, 1e6, WORKOS_PRICES)
QUEUE_OPERATIONS = Meter("queue operations", "operations", 1e6, 0.40, 1e6, QUEUE_PRICES)
R2_STORED = Meter("stored in R2", "GB-months", 10.0, 0.015, 1.0, WORKERS_PRICES)

OBJECT_MEMORY = Figure("memory that an object is billed for", 128e6, "bytes", OBJECT_PRICES)
OBJECT_SIZE = Figure("storage of one object", 10e9, "bytes", OBJECT_LIMITS)
OBJECT_COUNT = Figure("number of objects, storage of an account", float("inf"), "(unlimited)", OBJECT_LIMITS)
OBJECT_SIMPLE = Figure("one object, simple operations", 1000.0, "a second", OBJECT_RULES)
OBJECT_WRITES = Figure("one object, storage writes (200 to 500)", 200.0, "a second", OBJECT_RULES)
OBJECT_IDLE = Figure("an idle object is put away after", 10.0, "s", OBJECT_LIFE)
ANALYTICS_KEPT = Figure("Analytics Engine keeps a data point", 3.0, "months", ANALYTICS_LIMITS)
SUBREQUESTS = Figure("subrequests of one request, Paid (Free: 50)", 10_000.0, "", WORKERS_LIMITS)
CONNECTIONS = Figure("connections of one request that wait at a time", 6.0, "", WORKERS_LIMITS)
VARIABLE_SIZE = Figure("one environment variable", 5e3, "bytes", WORKERS_LIMITS)
FREE_REQUESTS = Figure("Free: Worker requests", 100e3, "a day", WORKERS_PRICES)
FREE_OBJECT_REQUESTS = Figure("Free: object requests", 100e3, "a day", OBJECT_PRICES)
FREE_DURATION = Figure("Free: object duration", 13e3, "GB-s a day", OBJECT_PRICES)
FREE_ROWS_READ = Figure("Free: rows read", 5e6, "a day", OBJECT_PRICES)
FREE_ROWS_WRITTEN = Figure("Free: rows written", 100e3, "a day", OBJECT_PRICES)
FREE_STORED = Figure("Free: stored in objects", 5e9, "bytes", OBJECT_PRICES)
FREE_LOGS = Figure("Free: logs taken in", 0.5e9, "bytes a day", LOG_PRICES)
COUNTED_LOCALLY = Figure("the rate limit binding counts in each location by itself; windows", 10.0, "s", RATE_LIMIT)
QUEUE_RATE = Figure("messages of one queue", 5000.0, "a second", QUEUE_LIMITS)
QUEUES = Figure("queues of an account", 10_000.0, "", QUEUE_LIMITS)
WORKOS_REQUESTS = Figure("requests with one API key (6 000 in 60 s)", 100.0, "a second", WORKOS_LIMITS)
WORKOS_TOKEN_REQUESTS = Figure("requests to AuthKit's token endpoint", None, "a second", WORKOS_LIMITS)
WORKOS_KEY_READS = Figure("readings of AuthKit's metadata and keys", None, "a second", WORKOS_LIMITS)
WORKOS_TOKEN_LIFE = Figure("life of an access token", 300.0, "s", WORKOS_TOKENS)

METERS: Final = (
    *(REQUESTS, CPU, OBJECT_REQUESTS, DURATION, ROWS_READ, ROWS_WRITTEN, STORED),
    *(LOGS_IN, LOGS_KEPT, USERS, QUEUE_OPERATIONS, R2_STORED),
)
FIGURES: Final = (
    *(
        PAID_PLAN,
        OBJECT_MEMORY,
        OBJECT_SIZE,
        OBJECT_COUNT,
        OBJECT_IDLE,
        OBJECT_SIMPLE,
        OBJECT_WRITES,
        SUBREQUESTS,
        CONNECTIONS,
    ),
    VARIABLE_SIZE,
    *(FREE_REQUESTS, FREE_OBJECT_REQUESTS, FREE_DURATION, FREE_ROWS_READ, FREE_ROWS_WRITTEN, FREE_STORED, FREE_LOGS),
    *(
        COUNTED_LOCALLY,
        QUEUE_RATE,
        QUEUES,
        ANALYTICS_KEPT,
        WORKOS_REQUESTS,
        WORKOS_TOKEN_REQUESTS,
        WORKOS_KEY_READS,
        WORKOS_TOKEN_LIFE,
    ),
)
