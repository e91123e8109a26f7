"""Fifty agents at once, each from two places: a limit of N admits N, no balance is overspent, no shirt is sold twice.

To look and then to act is two things (CWE-362, CWE-367); OWASP API6:2023 has it as unrestricted access to sensitive
business flows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import agents
from tests.attacks.at_once import BUY, READ, WISH, Server, at_once

QUOTA, RATE, WINDOW = 2, 10, 10.0


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    import contextlib

    with contextlib.ExitStack() as stack:

        def start(weakness: str = "none") -> Server:
            server = Server(tmp_path / "state", weakness)
            stack.enter_context(server.running())
            return server

        yield start


def bought(server: Server, number: int, cents: int, *, places: int = 2) -> Counter[int]:
    """How many consents got how many orders, where each was good for as much as `cents`, and its agent asks four times
    from each of so many places."""
    tokens = agents.tokens(server.base, server.state, number, cents=cents)
    before = dict(server.rows("SELECT account, count(*) FROM shop_orders GROUP BY account"))
    told = at_once(server, [token for token in tokens for _ in range(places)], [(BUY, WISH)] * 4)
    found = dict(server.rows("SELECT account, count(*) FROM shop_orders GROUP BY account"))
    orders = [one.order for one in told if one.order]
    assert len(set(orders)) == len(orders) == sum(found.values()) - sum(before.values())
    return Counter([count for account, count in found.items() if account not in before])


def test_each_limit_admits_what_it_says_and_not_one_more(serve: Callable[..., Server]) -> None:
    server = serve()
    # 25.00 each: what 40.00 is good for is one, what 60.00 is good for is two, and 1,000.00 two by the quota.
    assert bought(server, 15, 40_00) == {1: 15}
    assert bought(server, 10, 60_00) == {2: 10}
    assert bought(server, 10, 1000_00) == {2: 10}
    # 45 shirts are left of 100.
    assert sum(bought(server, 35, 60_00).values()) > 0
    assert server.rows("SELECT left FROM shop_stock WHERE item = 'conference-t-shirt'") == [(0,)]
    assert server.rows("SELECT count(*) FROM shop_orders") == [(100,)]


def test_of_each_agents_calls_as_many_pass_as_its_rate_says(serve: Callable[..., Server]) -> None:
    server = serve()
    tokens = agents.tokens(server.base, server.state, 25)
    told = at_once(server, [token for token in tokens for _ in range(2)], [(READ, {})] * 8)
    seen: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in server.decisions():
        seen[one["agent"]].append((one["at"], one["verdict"] == "allow"))
    assert sum(map(len, seen.values())) == len(told) == 400
    assert {one.rule for one in told} == {"allowed", "limits.rate"}
    for calls in seen.values():
        for at, allowed in calls:
            passed = sum(by and at - WINDOW < when <= at for when, by in calls)
            assert passed <= RATE and (allowed or passed == RATE)


@pytest.mark.parametrize("what", ["orders", "calls"])
def test_a_server_that_looks_before_its_transaction_lets_more_through(serve: Callable[..., Server], what: str) -> None:
    """What the tests above would see there."""
    server = serve("looks-before")
    if what == "orders":
        assert max(bought(server, 4, 60_00, places=16)) > QUOTA
    else:
        told = at_once(server, agents.tokens(server.base, server.state, 4) * 12, [(READ, {})] * 4)
        assert sum(one.status == 200 for one in told) > 4 * RATE
