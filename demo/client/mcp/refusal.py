"""A refusal by HTTP in words: which error, why in the server's own words, and the one thing that helps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from demo.client.mcp.outcome import CallOutcome, ToolsOutcome

BUSY = 429


@dataclass(frozen=True)
class Refused:
    """Why a request was refused, and what helps.

    Args:
        error: the error code of the challenge (RFC 6750 section 3.1) or of the gate that refused; "http_403" and the
            like where none came.
        description: in the server's own words, as far as it has any.
        do: a command or a sentence; never the command that was just run.
    """

    error: str
    description: str
    do: str

    def to_dict(self) -> dict[str, str]:
        """A JSON-ready dict with these field names."""
        return {"error": self.error, "description": self.description, "do": self.do}


def unavailable(status: int | None) -> bool:
    """Whether an answer says that the server cannot answer now, which refuses nothing (RFC 6585 section 4)."""
    return status is not None and (status == BUSY or status >= 500)


def refused(seen: CallOutcome | ToolsOutcome, *, stepped_up: bool = False) -> Refused | None:
    """What to say of a call or a list that a gate refused, None where none did.

    Args:
        stepped_up: whether the human was asked for more on the way already.
    """
    status, challenge, decision = seen.status, seen.challenge, seen.decision
    denied = decision is not None and decision.verdict == "deny"
    if not denied and (status is None or status < 400):
        return None
    if decision is not None and denied:
        error = (challenge and challenge.get("error")) or decision.rule
        return Refused(error, decision.reason, decision.remedy or "")
    code = f"http_{status}"
    words = (challenge and challenge.get("error_description")) or seen.text
    if unavailable(status):
        wait = seen.retry_after
        return Refused(code, words, f"try again in {'a moment' if wait is None else f'{math.ceil(wait)} s'}")
    error = (challenge and challenge.get("error")) or code
    if status == 401 and challenge is not None and challenge.anonymous:
        # Some call even a missing token invalid; RFC 6750 section 3.1 wants no code at all then.
        error = "no_token" if error in ("invalid_token", code) else error
        return Refused(error, words if words != "HTTP 401" else "the request carried no token (HTTP 401)", "demo login")
    if status == 401:
        return Refused(error, words, "demo login")
    if status == 403 and error == "insufficient_scope":
        return Refused(error, words, _more(seen, (challenge and challenge.get("scope")) or "", stepped_up))
    if status == 403:
        return Refused(error, words, "ask the server's operator who may do this, or log in as somebody else")
    return Refused(error, words, "check --server, and what the server's own documentation says")


def _more(seen: CallOutcome | ToolsOutcome, scope: str, stepped_up: bool) -> str:
    """How to get a token for more (MCP 2026-07-28, authorization: step-up)."""
    if stepped_up:
        return f"ask the server's operator who may have {scope or 'the scope that this takes'}"
    if isinstance(seen, CallOutcome):
        return f"let the human be asked for it: demo call {seen.tool} --step-up, with the same arguments"
    return f"demo login {' '.join(f'--scope {one}' for one in scope.split())}".strip()
