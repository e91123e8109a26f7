"""What a host gets where there is no answer: words for a model, a command for a person, evidence for a program."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from demo.client.mcp.outcome import CallOutcome
from demo.client.mcp.reply import Reply
from demo.errors import advice
from deputize.errors import AuthorizationRefused, ExplainedError
from deputize.http.sanitizing import safe_data

if TYPE_CHECKING:
    from deputize.evidence import DeviceCode

REFUSED = -32003
"""The JSON-RPC code of a refusal, as the bundled shop has it."""

UNREACHABLE = -32603
"""JSON-RPC 2.0's internal error: between host and server something is missing that neither can fix."""


@dataclass(frozen=True)
class Refusal:
    """One refusal or failure.

    Attributes:
        text: one paragraph.
        code: for a JSON-RPC error.
        data: for a program, in a JSON-RPC error.
        evidence: the shop's own decision and limits, under the names that its results have them; else empty.
    """

    text: str
    code: int
    data: dict[str, Any] | None
    evidence: dict[str, Any]

    def as_tool_result(self) -> dict[str, Any]:
        """A `tools/call` result with `isError`: what a model gets to read, where a JSON-RPC error may stay hidden."""
        content = [{"type": "text", "text": self.text}]
        evidence = {"_meta": self.evidence} if self.evidence else {}
        return {"resultType": "complete", "content": content, "isError": True, **evidence}


def of_error(error: ExplainedError, login: str, code: DeviceCode | None = None) -> Refusal:
    """The agent could not ask: no token, or no server.

    Args:
        login: the command by which a person logs in.
        code: of the login that waits for a person, None where none does.
    """
    lacks = isinstance(error, AuthorizationRefused)
    entering = f"open {code.verification_uri} and enter {code.user_code}, or " if code is not None else ""
    do = f"a person has to {entering}run: {login}; then try again" if lacks else advice(error)
    text = ". ".join(_capital(part) for part in (error.what, error.why, do) if part) + "."
    return Refusal(text, REFUSED if lacks else UNREACHABLE, {"what": error.what, "why": error.why, "do": do}, {})


def wants_login(outcome: CallOutcome) -> bool:
    """Whether a person who logs in would change a refusal. To find out how is several requests, of which one without a
    token is refused and on record: not for a call that came too often or spends too much."""
    return outcome.status == 401 or _asked(outcome) is not None


def _asked(outcome: CallOutcome) -> str | None:
    challenge = outcome.challenge
    return challenge.get("scope") if challenge is not None and challenge.get("error") == "insufficient_scope" else None


def of_refusal(outcome: CallOutcome, reply: Reply, login: str, granted: Collection[str]) -> Refusal:
    """A gate refused (HTTP 401, 403, 429, 503).

    Args:
        login: the command by which a person logs in; empty where `wants_login` says no.
        granted: the scopes that the agent has.
    """
    text = outcome.text.rstrip()
    if outcome.status == 401:
        text += f"\nThis agent's token is not accepted. A person has to run: {login}; then try again."
    elif asked := _asked(outcome):
        wanted = sorted({*granted, *asked.split()})
        flags = " ".join(f"--scope {shlex.quote(scope)}" for scope in wanted)
        text += f"\nThis agent may do less than this needs. To let it, a person has to run: {login} {flags}"
    elif outcome.retry_after is not None:
        text += f"\nWait {outcome.retry_after:g} s before the next try."
    code = reply.error_code
    evidence: dict[str, Any] = {}
    if outcome.decision is not None:
        evidence["demo/decision"] = outcome.decision.to_dict()
    if outcome.limits:
        evidence["demo/limits"] = [asdict(limit) for limit in outcome.limits]
    data = safe_data((reply.error or {}).get("data"))
    return Refusal(
        text,
        code if code is not None else REFUSED,
        data if isinstance(data, dict) else {"status": outcome.status},
        evidence,
    )


def _capital(part: str) -> str:
    part = part.rstrip(".")
    # A URL or a command stays as it is written.
    return part if part.startswith(("http", "demo ")) else part[:1].upper() + part[1:]
