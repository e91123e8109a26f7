"""A call of a tool: what is sent, with which token, and the waits where a server asks to come again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from demo.client.mcp.outcome import CallOutcome, call_outcome
from demo.client.mcp.session import Requests
from deputize.errors import UsageError
from deputize.http.bounded import TICK, OnWait
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text
from deputize.tokens.stored import Secret, StoredToken

Bearer = Literal["stored", "none"] | str | Secret | StoredToken
"""Which token a call goes out with: the stored one, renewed when it is due; none; or this one, as it is."""

PAGES = 20
"""Pages of `tools/list` that are read at most."""

TRIES = 3
"""Times that one call is sent at most."""

FIRST_WAIT = 1.0
"""Seconds of the first wait where the server names none; each further one is twice as long."""

WAITS = {429: "rate_limited", 503: "unavailable"}
"""The answers that are worth a wait: both say that the request was not carried out (RFC 6585 section 4, RFC 9110
section 15.6.4)."""


class Patience:
    """The patience of one call.

    Args:
        seconds: how long may be waited, all waits together; 0 for no wait at all.
        on_wait: called with the seconds left of this wait and the state (`WAITS`), at least four times a second and
            once at its end.

    A wait that the server names (`Retry-After`, RFC 9110 section 10.2.3) and that does not fit in is not begun: the
    refusal is the outcome. A shorter one than asked for would only be refused again.
    """

    def __init__(self, seconds: float, on_wait: OnWait | None) -> None:
        self._left = seconds
        self._on_wait = on_wait
        self._tries = 0

    def waited(self, outcome: CallOutcome) -> bool:
        """Wait, where this refusal asks for it and it fits in: whether the call is to be sent again."""
        self._tries += 1
        wait = FIRST_WAIT * 2 ** (self._tries - 1) if outcome.retry_after is None else outcome.retry_after
        wait = max(wait, TICK)  # "now" must not become a flood
        if outcome.status not in WAITS or self._tries >= TRIES or wait > self._left:
            return False
        self._left -= wait
        self._wait(wait, WAITS[outcome.status])
        return True

    def _wait(self, seconds: float, state: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._on_wait is not None:
                self._on_wait(left, state)
            time.sleep(min(TICK, left))
        if self._on_wait is not None:
            self._on_wait(0.0, state)


def calls(
    tool: str,
    arguments: dict[str, Any],
    outcomes: list[CallOutcome],
    recorder: Recorder,
    *,
    at_most: int = 1,
    on_answer: Callable[[CallOutcome], None] | None = None,
) -> Requests:
    """Call a tool until the first call that is not allowed, or `at_most` times; each outcome is added to `outcomes`."""
    from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

    request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
    for _ in range(at_most):
        outcomes.append(call_outcome(tool, (yield request, CallToolResult), recorder))
        if on_answer is not None:
            on_answer(outcomes[-1])
        if not outcomes[-1].allowed:
            return


def pages() -> Requests:
    """List the tools, page after page."""
    from mcp.types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

    cursor: str | None = None
    for _ in range(PAGES):
        reply = yield ListToolsRequest(params=PaginatedRequestParams(cursor=cursor)), ListToolsResult
        cursor = (reply.result or {}).get("nextCursor")
        if not isinstance(cursor, str):
            return


def check_arguments(tool: str, arguments: Mapping[str, Any]) -> None:
    """See that a call can be sent at all, before anything is.

    Raises:
        UsageError: the name or an argument cannot be written as JSON (RFC 8259) as deep as the MCP SDK writes it.
    """
    from mcp.types import CallToolRequestParams

    def written(name: str, given: dict[str, Any]) -> None:
        json.dumps(given, allow_nan=False)  # the SDK would send null in the place of NaN
        params = CallToolRequestParams(name=name, arguments=given).model_dump(by_alias=True, mode="json")
        json.dumps(params, ensure_ascii=False).encode("utf-8")

    for name, value in (("", None), *arguments.items()):
        try:
            written("" if name else tool, {name: value} if name else {})
        except (ValueError, TypeError, RecursionError) as error:
            what = f"the argument {name!r}" if name else f"the tool's name {tool!r}"
            raise UsageError(
                f"{safe_text(what, one_line=True)} cannot be sent",
                why=_unsendable(error),
                do="give JSON of ordinary depth, with text that is valid Unicode and numbers that are finite",
            ) from None


def _unsendable(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it holds half a character (a surrogate), or bytes that are not UTF-8"
    if isinstance(error, RecursionError) or "depth" in str(error) or "Circular" in str(error):
        return "it is nested too deeply to be written as JSON"
    return safe_text(str(error), one_line=True)
