"""Who acted, in the trail: a sub-agent by its own name, and the agent above it by that of its software."""

from __future__ import annotations

from demo.client.audit.trail import Filter, merged
from demo.evidence import Decision, SessionView, SubAgentView


def test_a_sub_agent_stands_in_the_trail_by_its_own_name() -> None:
    buyer = SubAgentView("agent_2", "agent_1", "Buyer", ("shop:buy",), None, 99.0, None)
    session = SessionView(
        "s1", "consent_1", "agent_1", "demo-agent", "Shirt Agent", ("shop:buy",), 5.0, None, sub_agents=(buyer,)
    )
    allowed = {"verdict": "allow", "gate": "limits", "rule": "allowed", "reason": "All gates passed."}
    entries = [
        Decision(audit_id=f"audit_{agent}", at=at, agent=agent, client="demo-agent", session="s1", **allowed)  # type: ignore[arg-type]
        for agent, at in (("agent_1", 10.0), ("agent_2", 11.0))
    ]
    _, above, below = merged(entries, [session], ())
    assert (above.agent_name, above.client_name) == ("", "Shirt Agent")
    assert (below.agent_name, below.client_name) == ("Buyer", "Shirt Agent")
    assert [one.agent for one in (above, below) if Filter(agent="Buyer").fits(one)] == ["agent_2"]
