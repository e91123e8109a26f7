"""Whether a grant stands: by what the server answers to a request with the token, not by what the token says."""

from __future__ import annotations

from typing import Any

import pytest

from demo.client.mcp.outcome import ToolsOutcome
from demo.client.mcp.standing import read_standing
from demo.evidence.shop import Decision
from deputize.evidence import Challenge


def _listed(status: int, rule: str = "", error: str = "") -> ToolsOutcome:
    decision = Decision("audit_1", 1.0, "deny", rule.partition(".")[0], rule, "because", "do this") if rule else None
    challenge = Challenge(status, "Bearer", (("error", error),)) if error else None
    return ToolsOutcome(status, (), challenge, decision, (), text=f"HTTP {status}")


@pytest.mark.parametrize(
    ("answer", "stands", "revoked"),
    [
        ((200,), True, False),
        ((401, "standing.session"), False, True),
        ((401, "standing.user"), False, True),
        ((401, "token.expired"), False, False),
        ((503, "standing.unknown"), None, False),  # the shop could not ask
        ((403, "scope.insufficient"), True, False),  # past the gate of standing
        ((429, "limits.rate"), True, False),
        ((401, "", "invalid_token"), False, False),  # revoked, or anything else: it does not say
        ((403, "", "insufficient_scope"), True, False),
        ((403,), False, False),
        ((429,), None, False),
        ((502,), None, False),
    ],
)
def test_an_answer_says_whether_the_grant_stands(answer: Any, stands: bool | None, revoked: bool) -> None:
    found = read_standing(_listed(*answer), "http://127.0.0.1:1/mcp")
    assert (found.stands, found.revoked) == (stands, revoked)
    assert found.answer.startswith(str(answer[0]))
    assert bool(found.reason) == (stands is not True)
