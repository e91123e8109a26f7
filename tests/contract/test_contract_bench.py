"""The bench of the Durable Objects runs against the Worker as it is: a bench that is never run is wrong one day."""

from __future__ import annotations

import pytest

from bench.durable_objects import INVENTORY, OWN, PURCHASE, measure, opened
from demo.deploy import tools


@pytest.mark.worker
def test_every_user_is_served_and_every_kind_of_call_is_measured(installed: tools.Tools) -> None:
    assert installed.wrangler.is_file()
    with opened(4) as bench:
        outcome = measure(bench, (1, 5), 10.0)
    assert [(size.users, size.many.users, size.one.users) for size in outcome.sizes] == [(1, 1, 1), (5, 5, 1)]
    assert [made.new.users for made in outcome.made] == [1, 4]
    assert [kind.tool for kind in outcome.kinds] == [OWN, INVENTORY, PURCHASE]
    assert outcome.woken is not None and outcome.woken.woken.users == 5
    assert outcome.missing == []
