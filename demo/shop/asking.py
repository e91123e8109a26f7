"""Asking the human by way of the client, where that can send no authorization details: MCP's own way (2026-07-28,
elicitation, URL mode, in an `input_required` result) to the same page of the authorization server.

What is asked is kept there, not here, so a client that goes away while the human decides finds the answer when it calls
again. A confirmation in the client's window decides nothing: it only says that the page was opened.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp_types import ElicitRequest, ElicitRequestURLParams, InputRequiredResult

from demo.shop import policy
from demo.shop.admission import Admission
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import LIMITS, say

CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
"""Where a request of MCP 2026-07-28 says what its client can do."""
NAME: Final = "approval"
WAIT_SECONDS: Final = float(LIMITS.approval_wait_seconds)
LOOK_SECONDS: Final = float(LIMITS.approval_look_seconds)
MOST_WAITING: Final = LIMITS.most_waiting
"""Calls that wait are not counted before they have waited."""


@dataclass(frozen=True)
class Question:
    """What the authorization server has of a question: where the human answers it, and how they did."""

    id: str
    url: str
    decision: str | None


async def wait_for_the_human(admission: Admission, state: str | None) -> None:
    """Where a call comes again with the state of a question, give the human time to answer, `WAIT_SECONDS` at most.

    Args:
        state: as this server gave it; on the wire it is sealed, by the SDK.
    """
    waiting = admission.house.waiting
    if state is None or not _takes_urls(admission) or _declined(admission):
        return
    # The gates come after the wait. A client that has a copy of a token, and not its key, is not waited for.
    if policy.check_token(admission.case) is not None:
        return
    caller = admission.case.token.callers[-1]
    if waiting[caller] >= MOST_WAITING:
        return
    waiting[caller] += 1
    try:
        await _wait(admission, state)
    finally:
        waiting[caller] -= 1
        if not waiting[caller]:
            del waiting[caller]


async def _wait(admission: Admission, state: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        asked = await _ask(admission, state)
        if asked is None or asked.decision is not None or asked.id != state:
            return
        await anyio.sleep(LOOK_SECONDS)


async def ask_the_human(admission: Admission) -> InputRequiredResult | None:
    """The result that sends a human to the page; None where the refusal stands: this client opens no pages, nobody can
    be asked, or the human has said no, or did not open the page."""
    outcome = admission.outcome
    if outcome is None or outcome.decision.rule != "limits.approval":
        return None
    if not _takes_urls(admission) or _declined(admission):
        return None
    asked = await _ask(admission)
    if asked is None or asked.decision is not None:
        return None
    message = say("approve", reason=outcome.decision.reason)
    request = ElicitRequest(params=ElicitRequestURLParams(message=message, url=asked.url, elicitation_id=asked.id))
    return InputRequiredResult(input_requests={NAME: request}, request_state=asked.id)


async def _ask(admission: Admission, known: str | None = None) -> Question | None:
    house, case = admission.house, admission.case
    wanted = house.wanted(admission.call)
    if wanted is None or case.token.approval is not None or admission.bearer is None or case.scope is None:
        return None
    try:
        answer = await house.ask_to_approve(case, wanted, admission.bearer, known)
    except AuthServerUnavailable:
        return None
    id, url = (answer or {}).get("purchase"), (answer or {}).get("url")
    if answer is None or not isinstance(id, str) or not isinstance(url, str):
        return None
    decision = answer.get("decision")
    return Question(id, url, decision if isinstance(decision, str) else None)


def _params(admission: Admission) -> dict[str, Any]:
    message = json.loads(admission.call.body or b"{}")
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _declined(admission: Admission) -> bool:
    """Whether the client says that its human did not open the page."""
    found: Any = _params(admission)
    for name in ("inputResponses", NAME, "action"):
        found = found.get(name) if isinstance(found, dict) else None
    return found in ("decline", "cancel")


def _takes_urls(admission: Admission) -> bool:
    """Whether the client says that it opens pages for its human."""
    found: Any = _params(admission)
    for name in ("_meta", CAPABILITIES, "elicitation", "url"):
        found = found.get(name) if isinstance(found, dict) else None
    return isinstance(found, dict)
