"""`docs/scale.md` says what the arithmetic says, and that says what the platforms and the shop's own files say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.scale import published as said
from bench.scale.bill import bill, mended, total
from bench.scale.bottlenecks import (
    AGENT_PER_SECOND,
    FRONT_PER_SECOND,
    LEDGERS_READ,
    Limit,
    bottlenecks,
    first,
    limits,
)
from bench.scale.demand import SIZES, Assumed, demand
from bench.scale.numerals import money, number, share, size
from bench.scale.page import renew
from bench.scale.tables import TABLES
from demo.deploy.jsonc import parse

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text("utf-8")
ASSUMED = Assumed()


def test_every_table_of_the_page_is_what_the_arithmetic_gives() -> None:
    assert renew(PAGE) == PAGE, "renew it: python -m bench.scale --page docs/scale.md"
    assert set(re.findall(r"<!-- scale: (\w+) -->", PAGE)) == set(TABLES)


def test_a_changed_number_on_the_page_would_be_seen() -> None:
    (lie,) = re.findall(r"\*\*(\$[\d.]+ million)\*\*", PAGE)
    changed = PAGE.replace(lie, "$1 million")
    assert renew(changed) != changed
    assert renew(changed) == PAGE


def test_a_table_that_there_is_not_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        renew("<!-- scale: dreams -->\n<!-- /scale -->")


def test_the_page_says_when_the_figures_were_read_and_which_are_unknown() -> None:
    assert said.READ_ON in PAGE
    assert [one.name for one in said.FIGURES if one.amount is None], "if all are known, say so on the page"
    assert "unknown" in PAGE


def test_the_meters_give_what_the_platforms_own_examples_give() -> None:
    # Workers: Pricing, examples 1 and 4; Observability: Pricing, its example; Queues: Pricing, its formula.
    assert [round(said.REQUESTS.cost(n), 2) for n in (15e6, 100e6)] == [1.5, 27.0]
    assert [round(said.CPU.cost(7 * n), 2) for n in (15e6, 100e6)] == [1.5, 13.4]
    assert (round(said.LOGS_IN.cost(75), 2), round(said.LOGS_KEPT.cost(20), 2)) == (6.25, 0.8)
    assert said.QUEUE_OPERATIONS.cost(3 * 1e6) == pytest.approx((3e6 - 1e6) / 1e6 * 0.40)
    assert said.USERS.cost(1e6) == 0.0


def test_the_shops_own_settings_are_those_of_its_files() -> None:
    settings: dict[str, Any] = parse((ROOT / "worker" / "wrangler.jsonc").read_text("utf-8"))
    (front,) = settings["ratelimits"]
    assert front["simple"]["limit"] / front["simple"]["period"] == FRONT_PER_SECOND
    assert int(settings["vars"]["RATE_CALLS"]) / int(settings["vars"]["RATE_SECONDS"]) == AGENT_PER_SECOND
    assert settings["observability"]["enabled"], "else there is no log to pay for"
    audit = (ROOT / "worker" / "src" / "routes" / "audit.ts").read_text("utf-8")
    assert re.findall(r"MOST_LEDGERS = (\d+);", audit) == [str(LEDGERS_READ)]


def test_twice_the_agents_ask_for_twice_as_much() -> None:
    one, two = demand(1000, ASSUMED), demand(2000, ASSUMED)
    for name, value in vars(one).items():
        assert getattr(two, name) == pytest.approx(2 * value), name


def test_each_question_to_the_stock_room_is_a_request_to_one_more_object() -> None:
    quiet = replace(ASSUMED, inventory=0.0, purchases=0.0, no_token=0.0)
    assert demand(1000, quiet).object_requests == demand(1000, quiet).calls
    asking = replace(quiet, inventory=1.0, not_tools=0.0)
    assert demand(1000, asking).object_requests == 2 * demand(1000, asking).calls


def test_a_call_that_is_a_message_only_is_the_cheapest() -> None:
    lists = replace(ASSUMED, not_tools=1.0, inventory=0.0, purchases=0.0)
    buys = replace(ASSUMED, not_tools=0.0, inventory=0.0, purchases=1.0)
    assert demand(1000, lists).rows_written < demand(1000, ASSUMED).rows_written < demand(1000, buys).rows_written


def test_ten_agents_of_each_human_share_objects_but_not_calls() -> None:
    ten = demand(10**6, replace(ASSUMED, agents_per_human=10.0))
    assert (ten.humans, ten.calls) == (10**5, demand(10**6, ASSUMED).calls)


def test_where_the_authority_is_not_asked_it_is_no_bottleneck_and_costs_no_time() -> None:
    trusting = replace(ASSUMED, introspected=False)
    asked = demand(10**9, trusting)
    assert asked.duration < demand(10**9, ASSUMED).duration
    assert {one.name: one.used for one in limits(asked, trusting)}["the authority, asked about each call"] == 0


def test_the_first_bottleneck_is_the_fullest_and_never_one_that_is_unknown_or_strikes_somebody_else() -> None:
    found = [Limit("a", 2.0, ""), Limit("b", 3.0, ""), Limit("c", None, ""), Limit("d", 9.0, "", "if it rains")]
    answer = first(found)
    assert answer is not None and answer.name == "b"
    assert first([Limit("a", 1.0, ""), Limit("c", None, "")]) is None, "exactly full is not more than full"


def test_who_grows_has_mended_what_stopped_them_before() -> None:
    found = bottlenecks(ASSUMED)
    assert [one.agents for one in found] == list(SIZES)
    names = [one.first.name for one in found if one.first is not None]
    assert len(names) == len(set(names)) == len(SIZES)
    assert found[0].mended == () and names[0] in found[1].mended and names[1] in found[2].mended


def test_a_shop_that_nobody_calls_has_no_bottleneck_but_those_that_count_its_humans() -> None:
    (found,) = bottlenecks(replace(ASSUMED, calls_a_day=1e-6), (1000,))
    assert found.first is not None and found.first.used == 1000 / LEDGERS_READ
    assert [one.name for one in found.others] == ["the allowlist, one variable"]
    (none,) = bottlenecks(replace(ASSUMED, calls_a_day=1e-6), (10,))
    assert none.first is None


def test_the_bill_is_the_sum_of_its_meters_and_the_plan() -> None:
    used = bill(demand(10**9, ASSUMED), ASSUMED)
    assert total(10**9, ASSUMED) == pytest.approx(5.0 + sum(meter.cost(amount) for meter, amount in used))
    assert total(1, replace(ASSUMED, calls_a_day=0.001)) == 5.0, "below what is included the plan is all"


@pytest.mark.parametrize("agents", SIZES[1:])
def test_the_trail_costs_more_at_cloudflare_than_all_else_there(agents: int) -> None:
    come_to = mended(agents, ASSUMED)
    trail = come_to.rows_cost - come_to.rows_without + come_to.ledger_cost
    cloudflare = total(agents, ASSUMED) - said.USERS.cost(demand(agents, ASSUMED).humans)
    assert trail > cloudflare - trail, "docs/scale.md says so, in words"
    costs = {meter.name: meter.cost(amount) for meter, amount in bill(demand(agents, ASSUMED), ASSUMED)}
    del costs["AuthKit monthly users"]
    assert max(costs, key=lambda name: costs[name]) == "rows written"


def test_enough_stock_rooms_are_at_most_half_full() -> None:
    (room,) = [one for one in limits(demand(10**9, ASSUMED), ASSUMED) if one.name == "the stock room, calls"]
    shards = mended(10**9, ASSUMED).stock_shards
    assert room.used is not None
    assert room.used / shards <= 0.5 < room.used / (shards - 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.5, "0.5"), (1.157, "1.16"), (999.4, "999"), (999.6, "1 000"), (1157.4, "1 160")),
        *((26_300, "26 300"), (1e6, "1 million"), (999_900, "1 million"), (1.234e9, "1.23 billion")),
        (1.5e12, "1.5 trillion"),
    ],
)
def test_numbers_are_rounded_to_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_other_values_as_they_are_read() -> None:
    assert (size(728), size(77_824), size(5.41e15)) == ("728 B", "77.8 kB", "5.41 PB")
    assert (money(0.08), money(53_480), money(7.03e6)) == ("$0.08", "$53 500", "$7.03 million")
    assert (share(None), share(0.376), share(11.6), share(1e-6)) == (
        "unknown",
        "37.6 %",
        "**11.6 times**",
        "less than 0.01 %",
    )
