"""The tables of `docs/scale.md`, each a function that gives its lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bench.scale import published as said
from bench.scale.bill import bill, mended, total
from bench.scale.bottlenecks import Limit, bottlenecks, free_limits, limits
from bench.scale.demand import COSTS, SIZES, YEAR, Assumed, demand
from bench.scale.numerals import money, number, price, share, size, table

ASSUMED: Final = Assumed()
POWERS: Final = {size: f"10^{round(math.log10(size))}" for size in SIZES}
HEADS: Final = tuple(POWERS[size] for size in SIZES)


def assumptions() -> list[str]:
    """The agent that is assumed."""
    one = ASSUMED
    rows = [
        ("calls of an agent in a day, in bursts of so many", f"{number(one.calls_a_day)}, {number(one.burst)}"),
        (
            "of these: ask for the stock; buy; are no tool call",
            f"{share(one.inventory)}; {share(one.purchases)}; {share(one.not_tools)}",
        ),
        ("requests beside them that no user can be named for", share(one.no_token)),
        ("the busiest second, to the average one", f"{number(one.peak)} times"),
        ("agents of one human", number(one.agents_per_human)),
        ("the authority is asked about each call", "yes" if one.introspected else "no"),
        ("CPU at the edge, for one call", f"{number(one.worker_ms)} ms"),
        (
            "an object's wall clock, for one call; and while it asks the authority",
            f"{number(one.object_ms)} ms; {number(one.asking_ms)} ms",
        ),
        ("the stock room's wall clock, for one question", f"{number(one.stock_ms)} ms"),
        (
            "an invocation's entry in Workers Logs; how many of them are kept",
            f"{number(one.log_bytes)} B; {share(one.logged)}",
        ),
    ]
    return table(("assumed", ""), rows)


def figures() -> list[str]:
    """What is published, with the number of its page."""
    pages = _pages()
    rows = []
    for figure in said.FIGURES:
        amount = (
            "unknown"
            if figure.amount is None
            else size(figure.amount)
            if figure.unit.startswith("bytes")
            else number(figure.amount)
        )
        unit = (
            "" if figure.amount is None or figure.unit == "(unlimited)" else figure.unit.removeprefix("bytes").strip()
        )
        rows.append((figure.name, f"{amount} {unit}".strip(), str(pages.index(figure.page) + 1)))
    return table(("published", "", "page"), rows)


def prices() -> list[str]:
    """What is billed by use, on Workers Paid and at WorkOS."""
    pages = _pages()
    rows = [
        (
            meter.name,
            f"{number(meter.included)} {meter.unit}",
            f"{price(meter)} for {'each' if meter.per == 1 else number(meter.per)}",
            str(pages.index(meter.page) + 1),
        )
        for meter in said.METERS
    ]
    return table(("meter", "included in a month", "beyond", "page"), rows)


def sources() -> list[str]:
    """The pages, numbered."""
    return [f"{index}. *{page.title}* ({page.address})" for index, page in enumerate(_pages(), 1)]


def _pages() -> list[said.Page]:
    return list(dict.fromkeys([one.page for one in (*said.FIGURES, *said.METERS)]))


def a_call() -> list[str]:
    """What one call costs the ledgers."""
    names = {
        "message": "a list, or another message",
        "tool": "a tool that asks nobody else",
        "inventory": "an inventory",
        "purchase": "a purchase with a key",
    }
    rows = [
        (names[kind], *(f"{places[place]['read']} / {places[place]['written']}" for place in ("ledger", "stock")))
        for kind, places in COSTS["rows"].items()
    ]
    rows.append(("the first call of a rate's window, beside that", f"written: {COSTS['window']['written']}", ""))
    return table(("rows read / written by", "the human's ledger", "the stock room"), rows)


def bytes_kept() -> list[str]:
    """What stays."""
    names = {
        "empty": "a ledger with nothing in it",
        "entry": "an entry of the trail",
        "order": "an order with its key",
        "taken": "an order's id in the stock room",
        "ledger": "a ledger's name in the stock room",
    }
    return table(("kept", ""), [(name, size(COSTS["bytes"][key])) for key, name in names.items()])


def demands() -> list[str]:
    """What each size asks for."""
    asked = [demand(agents, ASSUMED) for agents in SIZES]
    rows = [
        ("objects: one for each human, and two", *(number(one.humans + 2) for one in asked)),
        ("calls in a day", *(number(one.calls) for one in asked)),
        ("calls in the busiest second", *(number(one.peak) for one in asked)),
        ("purchases in a day", *(number(one.purchases) for one in asked)),
        ("requests to objects in a day", *(number(one.object_requests) for one in asked)),
        ("rows written in a day", *(number(one.rows_written) for one in asked)),
        ("new tokens in a day", *(number(one.token_requests) for one in asked)),
        ("kept in objects, new in a day", *(size(one.stored) for one in asked)),
        (
            "kept in objects after a year",
            *(size(one.stored * YEAR + one.humans * COSTS["bytes"]["empty"]) for one in asked),
        ),
    ]
    return table(("asked for by", *HEADS), rows)


def fullness() -> list[str]:
    """How full each limit is."""
    found = [limits(demand(agents, ASSUMED), ASSUMED) for agents in SIZES]
    rows = [
        (limit.name + (f" ({limit.when})" if limit.when else ""), *(share(of_size[index].used) for of_size in found))
        for index, limit in enumerate(found[0])
    ]
    return table(("limit, used by", *HEADS), rows)


def free_plan() -> list[str]:
    """How full the free plan is; at 10^9 there is nothing to say."""
    found = [free_limits(demand(agents, ASSUMED)) for agents in SIZES[:2]]
    rows = [
        (limit.name.removeprefix("Free: "), *(share(of_size[index].used) for of_size in found))
        for index, limit in enumerate(found[0])
    ]
    return table(("Workers Free, used by", *HEADS[:2]), rows)


def verdicts() -> list[str]:
    """The first bottleneck of each size, in words."""
    lines = []
    for found in bottlenecks(ASSUMED):
        names = "nothing" if found.first is None else _fault(found.first)
        others = (
            f" Then: {'; '.join(_fault(limit) for limit in sorted(found.others, key=lambda one: -(one.used or 0)))}."
            if found.others
            else ""
        )
        lines.append(f"- **{POWERS[found.agents]}**: {names}.{others}")
    return lines


def _fault(limit: Limit) -> str:
    return f"{limit.name} ({number(limit.used or 0)} times full; {limit.mend})"


def bills() -> list[str]:
    """What each size costs in a month, one year in."""
    used = [bill(demand(agents, ASSUMED), ASSUMED) for agents in SIZES]
    rows = [
        (
            meter.name,
            *(f"{number(of_size[index][1])} {meter.unit}: {money(meter.cost(of_size[index][1]))}" for of_size in used),
        )
        for index, (meter, _) in enumerate(used[0])
    ]
    totals = [total(agents, ASSUMED) for agents in SIZES]
    rows.append((said.PAID_PLAN.name, *[money(said.PAID_PLAN.amount or 0)] * len(SIZES)))
    rows.append(("**in all, a month**", *(f"**{money(one)}**" for one in totals)))
    rows.append(("a year of such months", *(money(12 * one) for one in totals)))
    rows.append(("an agent, a year", *(f"${12 * one / agents:.3f}" for one, agents in zip(totals, SIZES, strict=True))))
    return table(("a month, one year in", *HEADS), rows)


def mends() -> list[str]:
    """What the mends come to."""
    found = [mended(agents, ASSUMED) for agents in SIZES]
    rows = [
        ("stock rooms, none more than half full", *(number(one.stock_shards) for one in found)),
        (f"queues for the trail, of {number(said.QUEUES.amount or 0)}", *(number(one.queues) for one in found)),
        ("those queues, a month", *(money(one.queue_cost) for one in found)),
        ("rows written, a month: as it is", *(money(one.rows_cost) for one in found)),
        ("rows written, a month: no trail in the ledgers", *(money(one.rows_without) for one in found)),
        ("a year's trail kept in the ledgers, a month", *(money(one.ledger_cost) for one in found)),
        ("a year's trail kept in R2, a month", *(money(one.warehouse_cost) for one in found)),
    ]
    return table(("mended, at", *HEADS), rows)


def otherwise() -> list[str]:
    """The bill, and the first bottleneck, where one assumption is another."""
    cases = {
        "as assumed": ASSUMED,
        "ten agents of each human": replace(ASSUMED, agents_per_human=10.0),
        "ten times the calls": replace(ASSUMED, calls_a_day=10 * ASSUMED.calls_a_day),
        "ten times the purchases": replace(ASSUMED, purchases=10 * ASSUMED.purchases),
        "the authority is not asked": replace(ASSUMED, introspected=False),
        "objects twice as slow": replace(ASSUMED, object_ms=2 * ASSUMED.object_ms, asking_ms=2 * ASSUMED.asking_ms),
        "one invocation in a hundred logged": replace(ASSUMED, logged=0.01),
    }
    rows = []
    for name, assumed in cases.items():
        named = [found.first.name.partition(":")[0] if found.first else "none" for found in bottlenecks(assumed)[1:]]
        costs = (money(total(agents, assumed)) for agents in SIZES[1:])
        rows.append((name, *(f"{cost}; {first}" for cost, first in zip(costs, named, strict=True))))
    return table(("a month, and the first bottleneck, at", *HEADS[1:]), rows)


TABLES: Final[dict[str, Callable[[], list[str]]]] = {
    one.__name__: one
    for one in (assumptions, a_call, bytes_kept, demands, verdicts, fullness, free_plan, bills, mends, otherwise)
} | {one.__name__: one for one in (figures, prices, sources)}
