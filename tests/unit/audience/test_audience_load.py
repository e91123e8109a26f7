"""A room of fifty, simulated: everybody hears everything, and every agent is refused when all are revoked."""

from __future__ import annotations

import pytest

from bench.audience import EVENTS, run


@pytest.mark.long
def test_a_full_room_hears_everything_and_every_agent_is_revoked():
    seen = run(watchers=50, attendees=50)
    assert (seen.heard, seen.expected) == (50 * EVENTS, 50 * EVENTS)
    assert (seen.joined, seen.bought, seen.revoked, seen.refused) == (50, 50, 50, 50)
    assert seen.megabytes < 400
