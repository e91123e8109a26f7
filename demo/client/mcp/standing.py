"""Whether a grant still stands: the server's own answer to a request that changes nothing, read as evidence."""

from __future__ import annotations

from demo.client.mcp.outcome import ToolsOutcome, refused, unavailable
from demo.evidence.shop import GATES
from deputize.evidence import GrantStanding


def read_standing(listed: ToolsOutcome, endpoint: str) -> GrantStanding:
    """What an answer to `tools/list` with a token says of the grant behind it.

    Not `revoked` where a server refuses the token and does not say which of its gates did.
    """
    asked, status, decision = f"tools/list at {endpoint}", listed.status, listed.decision
    if status == 200:
        return GrantStanding(True, asked, "200")
    why = refused(listed)
    reason, remedy = (why.description, why.do) if why is not None else (listed.text, "")
    if decision is not None:
        answer = f"{status} {decision.rule}"
        if decision.gate in GATES and GATES.index(decision.gate) > GATES.index("standing"):
            return GrantStanding(True, asked, answer)  # it passed the gate that asks, and fell at a later one
        if decision.rule == "standing.unknown":
            return GrantStanding(None, asked, answer, reason, remedy)
        return GrantStanding(False, asked, answer, reason, remedy, revoked=decision.gate == "standing")
    if unavailable(status):
        return GrantStanding(None, asked, str(status), reason, remedy)
    if status == 403 and why is not None and why.error == "insufficient_scope":
        return GrantStanding(True, asked, "403 insufficient_scope")
    return GrantStanding(False, asked, f"{status} {why.error}" if why is not None else str(status), reason, remedy)
