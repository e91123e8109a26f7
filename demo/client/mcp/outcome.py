"""What became of a call, read from the exchange on the wire and from no library; and a refusal in words."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from demo.client.mcp.reading import (
    listed,
    mapping,
    misdeclared,
    read_decision,
    read_limits,
    read_order,
    read_orders,
    read_tools,
)
from demo.client.mcp.reply import GATES, Reply
from demo.evidence.shop import Decision, LimitUse, ListedOrder, Order, Tool
from deputize.evidence import Challenge, Exchange
from deputize.http.errors import not_mcp
from deputize.http.exchange import HttpExchange
from deputize.http.fetch import own_words, retry_seconds
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text
from deputize.oauth.challenge import read_challenge

BUSY = 429


@dataclass(frozen=True)
class CallOutcome:
    """One tool call and its end.

    `status` is the HTTP status of the final exchange. `decision` is what the shop's gates say, from the result's
    `_meta` or the refusal's `data`; None for a server that says nothing of the kind. `is_error` is True for a
    refusal and for a tool's own error. `retry_after` is in seconds. `structured`, `order` and `said` are the server's
    data as it is, and are made harmless where they are drawn; `text` is what it said, fit for a screen.
    """

    tool: str
    status: int | None
    is_error: bool
    decision: Decision | None
    limits: tuple[LimitUse, ...]
    structured: dict[str, Any] | None
    text: str
    challenge: Challenge | None
    retry_after: float | None
    exchanges: tuple[Exchange, ...]
    order: Order | None
    said: str = ""
    orders: tuple[ListedOrder, ...] | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call passed every gate and the tool did what it was asked."""
        denied = self.decision is not None and self.decision.verdict == "deny"
        return self.status == 200 and not self.is_error and not denied

    @property
    def failure(self) -> str:
        """By what kind of failure one that was not allowed failed, in few values (`error.type` of the semantic
        conventions): the rule of the gate that refused, `tool_error` (MCP's conventions), else the HTTP status."""
        if self.decision is not None and self.decision.verdict == "deny":
            return self.decision.rule
        return "tool_error" if self.status in (200, None) else str(self.status)


@dataclass(frozen=True)
class ToolsOutcome:
    """What a server lists, or its refusal to.

    `left_out` names tools that must not be used, each with the reason (`reading.misdeclared`). `more` is True where
    the server named further pages than are read. `schemas` are the tools' input schemas as the server sent them, by
    name: for a program to work with, not to show. `text` is what a refusal says, `retry_after` in seconds.
    """

    status: int | None
    tools: tuple[Tool, ...]
    challenge: Challenge | None
    decision: Decision | None
    exchanges: tuple[Exchange, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    more: bool = False
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    text: str = ""
    retry_after: float | None = None


def call_outcome(tool: str, reply: Reply, recorder: Recorder) -> CallOutcome:
    """The outcome of a `tools/call`."""
    result = reply.result or {}
    meta = mapping(result.get("_meta"))
    data = mapping((reply.error or {}).get("data"))
    structured = result.get("structuredContent")
    structured = recorder.data(structured) if isinstance(structured, dict) else None
    # A 2026-07-28 server may ask for input in place of a result; this agent has nobody to ask in mid-call.
    waiting = result.get("resultType") == "input_required"
    odd = "" if reply.result is None or waiting else _no_call_result(result)
    refused = reply.result is None or result.get("isError") is True or bool(odd)
    text = odd or _content(result) if reply.result is not None else _refusal(reply)
    return CallOutcome(
        tool=tool,
        status=reply.status,
        is_error=refused or waiting,
        decision=read_decision(recorder.clean(meta.get("demo/decision") or data.get("decision"))),
        limits=read_limits(meta.get("demo/limits") or data.get("limits")),
        structured=structured,
        text=recorder.masked("The tool asks for more input, which this agent does not give." if waiting else text),
        said=recorder.data(text),
        challenge=_challenge(reply.exchange, recorder),
        retry_after=_retry_after(reply.exchange),
        exchanges=_shown((reply,), recorder),
        order=None if refused else read_order((structured or {}).get("order")),
        orders=None if refused else read_orders((structured or {}).get("orders")),
    )


def expired(outcome: CallOutcome) -> bool:
    """Whether a call was refused because its token has expired; where a server does not say why, it may have."""
    if outcome.status != 401:
        return False
    return outcome.decision is None or outcome.decision.rule == "token.expired"


def tools_outcome(pages: Sequence[Reply], recorder: Recorder) -> ToolsOutcome:
    """The outcome of a walk through `tools/list`; the last page tells whether it was refused.

    Raises:
        ServerUnreachable: it speaks MCP and lists no tools.
    """
    last = pages[-1]
    if last.result is not None and not isinstance(last.result.get("tools"), list):
        raise not_mcp(last.exchange.url, "it answers tools/list with something that is no list of tools")
    if last.result is None and last.status not in GATES:
        raise not_mcp(last.exchange.url, f"it lists no tools: {recorder.masked(_refusal(last))}")
    left_out = {name: reason for page in pages if _is_modern(page) for name, reason in misdeclared(page.result).items()}
    usable = [listed(page.result, without=left_out) for page in pages]
    return ToolsOutcome(
        status=last.status,
        tools=tuple(tool for page in usable for tool in read_tools(recorder.clean({"tools": page}))),
        challenge=_challenge(last.exchange, recorder),
        decision=read_decision(recorder.clean(mapping((last.error or {}).get("data")).get("decision"))),
        exchanges=_shown(pages, recorder),
        left_out={safe_text(name, one_line=True): recorder.masked(reason) for name, reason in left_out.items()},
        more=isinstance((last.result or {}).get("nextCursor"), str),
        schemas={tool["name"]: mapping(tool.get("inputSchema")) for page in usable for tool in page},
        text=recorder.masked(_refusal(last)) if last.result is None else "",
        retry_after=_retry_after(last.exchange),
    )


def _no_call_result(result: dict[str, Any]) -> str:
    """Why this is no result of `tools/call`, so that nobody knows what was done; empty where it is one.

    It has `content` in every revision (MCP, Server Features, Tools, `CallToolResult`); `structuredContent` alone is
    let pass. A result of another type than those of MCP 2026-07-28 is an error there.
    """
    kind = result.get("resultType", "complete")
    if kind != "complete":
        return f"The server answered with a result of an unknown type ({safe_text(str(kind), one_line=True)[:40]})."
    if not isinstance(result.get("content"), list) and not isinstance(result.get("structuredContent"), dict):
        return "The server answered with something that is no tool's result: it has no content."
    return ""


def _is_modern(reply: Reply) -> bool:
    """Whether it was asked in a revision that knows arguments in headers."""
    return reply.exchange.request_header("mcp-protocol-version") == "2026-07-28"


def _content(result: dict[str, Any]) -> str:
    blocks = result.get("content")
    texts = [
        block["text"]
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict) and isinstance(block.get("text"), str)
    ]
    if not texts and isinstance(result.get("structuredContent"), dict):
        return json.dumps(result["structuredContent"], ensure_ascii=False)
    return "\n".join(texts)


def _refusal(reply: Reply) -> str:
    """The server's own words; of a gate in front of it, which speaks HTTP only, with the status."""
    message = (reply.error or {}).get("message")
    if isinstance(message, str) and message:
        return message
    words = own_words(reply.exchange.text, reply.exchange.json)
    return f"HTTP {reply.status}: {words}" if words else f"HTTP {reply.status}"


def _shown(replies: Sequence[Reply], recorder: Recorder) -> tuple[Exchange, ...]:
    """What was on the wire for these replies, as evidence."""
    return tuple(
        recorder.show(one, event=reply.event if one is reply.exchange else None)
        for reply in replies
        for one in (*reply.before, reply.exchange)
    )


def _challenge(exchange: HttpExchange, recorder: Recorder) -> Challenge | None:
    anonymous = exchange.request_header("authorization") is None
    return read_challenge(
        exchange.status or 0, map(recorder.masked, exchange.headers("www-authenticate")), anonymous=anonymous
    )


def _retry_after(exchange: HttpExchange) -> float | None:
    return retry_seconds(
        exchange.header("retry-after"), exchange.header("date"), exchange.started_at + exchange.seconds
    )


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
    if status == 403 and error == "insufficient_authorization" and isinstance(seen, CallOutcome) and not stepped_up:
        return Refused(
            error, words, f"let the human be asked: demo call {seen.tool} --step-up, with the same arguments"
        )
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
