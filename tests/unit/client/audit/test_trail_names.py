"""Who acted, in the trail: a sub-agent by its own name, and the agent above it by that of its software."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from demo.client.audit.trail import Filter, merged, read
from demo.evidence.grants import SessionView, SubAgentView
from demo.evidence.shop import Decision


def test_a_sub_agent_stands_in_the_trail_by_its_own_name() -> None:
    buyer = SubAgentView("agent_2", "agent_1", "Buyer", ("shop:buy",), None, 99.0, None, created_at=6.0)
    session = SessionView(
        "s1", "consent_1", "agent_1", "demo-agent", "Shirt Agent", ("shop:buy",), 5.0, None, sub_agents=(buyer,)
    )
    allowed = {"verdict": "allow", "gate": "limits", "rule": "allowed", "reason": "All gates passed."}
    entries = [
        Decision(audit_id=f"audit_{agent}", at=at, agent=agent, client="demo-agent", session="s1", **allowed)  # type: ignore[arg-type]
        for agent, at in (("agent_1", 10.0), ("agent_2", 11.0))
    ]
    _, handed_on, above, below = merged(entries, [session], ())
    assert (handed_on.said, handed_on.agent, handed_on.agent_name) == ("delegated", "agent_2", "Buyer")
    assert (above.agent_name, above.client_name) == ("", "Shirt Agent")
    assert (below.agent_name, below.client_name) == ("Buyer", "Shirt Agent")
    assert [one.agent for one in (handed_on, above, below) if Filter(agent="Buyer").fits(one)] == ["agent_2"] * 2


def test_a_name_finds_what_the_shop_knows_by_an_id_alone() -> None:
    def entry(agent: str) -> Decision:
        return Decision(f"audit_{agent}", 10.0, "allow", "limits", "allowed", "Passed.", agent=agent, session=agent)

    def audit(*, agent: str | None = None, **_: Any) -> tuple[Decision, ...]:
        return tuple(one for one in map(entry, ("agent_1", "agent_2")) if agent in (None, one.agent))

    named = [
        SessionView(agent, "", agent, agent, name, (), 1.0, None)
        for agent, name in (("agent_1", "One"), ("agent_2", "Two"))
    ]
    token = SimpleNamespace(access_token="opaque", human_address="alice@example.com")
    console: Any = SimpleNamespace(
        audit=audit, sessions=lambda: named, answers=lambda: (), agent=SimpleNamespace(token=lambda: token)
    )
    for asked in ("Two", "agent_2"):
        told = read(console, Filter(agent=asked))
        assert [one.agent for one in told.entries] == ["agent_2"], asked
        assert {one.agent for one in told.events} == {"agent_2"} and len(told.events) == 2
        # Of whom the shop has no entry yet, the console's own login knows the name.
        assert [one.username for one in told.events if one.kind == "consent"] == ["alice@example.com"]
    assert not read(console, Filter(agent="Nobody")).events
