"""What became of a call, read from the exchange on the wire and not from what a library made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from typing import Any, cast

from demo.client.challenge import read_challenge
from demo.client.fetch import is_html, parse_object
from demo.client.refusal import captive_portal, no_answer, not_mcp, unreachable, unreadable
from demo.client.safe_text import safe_data, safe_text
from demo.client.tokens import money, number
from demo.client.wire import Raw, Recorder
from demo.errors import ServerUnreachable
from demo.evidence import Challenge, Decision, Exchange, LimitUse, Order, Tool


@dataclass(frozen=True)
class CallOutcome:
    """One tool call and its end.

    `status` is the HTTP status of the final exchange. `decision` is what the shop's gates say, from the result's
    `_meta` or the refusal's `data`; None for a server that says nothing of the kind. `is_error` is True for a
    refusal and for a tool's own error. `retry_after` is in seconds.
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

    @property
    def allowed(self) -> bool:
        """Whether the call passed every gate and the tool did what it was asked."""
        denied = self.decision is not None and self.decision.verdict == "deny"
        return self.status == 200 and not self.is_error and not denied


@dataclass(frozen=True)
class ToolsOutcome:
    """What a server lists, or its refusal to."""

    status: int | None
    tools: tuple[Tool, ...]
    challenge: Challenge | None
    decision: Decision | None
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True)
class Reply:
    """The JSON-RPC response in an HTTP answer: `result` or `error`, both None where a gate answered without one."""

    raw: Raw
    result: dict[str, Any] | None
    error: dict[str, Any] | None

    @property
    def error_code(self) -> int | None:
        """The JSON-RPC error's code."""
        code = (self.error or {}).get("code")
        return code if isinstance(code, int) and not isinstance(code, bool) else None


class Stranger(ServerUnreachable):
    """What answered is not an MCP server, or not one of the revision that was spoken; `status` is its HTTP status."""

    def __init__(self, error: ServerUnreachable, status: int | None) -> None:
        super().__init__(error.what, why=error.why, do=error.do)
        self.status = status


def final(raws: Sequence[Raw], url: str, seconds: float) -> Reply:
    """The last JSON-RPC exchange among `raws`, understood.

    Raises:
        ServerUnreachable: nothing answered, or what answered is not an MCP server.
    """
    posts = [raw for raw in raws if raw.method == "POST" and _asked(raw)]
    if not posts:
        raise no_answer(url, seconds)
    raw = posts[-1]
    asked = _asked(raw) or {}
    if raw.status is None:
        raise no_answer(raw.url, seconds) if raw.late else unreachable(raw.url, raw.error or "no answer")
    text = (raw.response_body or b"").decode("utf-8", errors="replace")
    kind = raw.header("content-type").lower()
    found = _message(text, kind, asked.get("id"))
    if found is None and raw.error is not None:
        raise no_answer(raw.url, seconds) if raw.late else unreadable(raw.url, raw.error)
    if found is None and raw.status in (401, 403, 429, 503) and not is_html(kind, text):
        return Reply(raw, None, None)  # a gate in front of the server, which speaks HTTP only
    if found is None:
        raise Stranger(_stranger(raw, text, kind), raw.status)
    result, error = found.get("result"), found.get("error")
    return Reply(raw, result if isinstance(result, dict) else None, error if isinstance(error, dict) else None)


def call_outcome(tool: str, reply: Reply, exchanges: tuple[Exchange, ...], recorder: Recorder) -> CallOutcome:
    """The outcome of a `tools/call`."""
    result = reply.result or {}
    meta = _mapping(result.get("_meta"))
    data = _mapping((reply.error or {}).get("data"))
    structured = result.get("structuredContent")
    structured = recorder.clean(structured) if isinstance(structured, dict) else None
    refused = reply.result is None or result.get("isError") is True
    # A 2026-07-28 server may ask for input in place of a result; this agent has nobody to ask in mid-call.
    waiting = result.get("resultType") == "input_required"
    text = _content(result) if reply.result is not None else _refusal(reply)
    return CallOutcome(
        tool=tool,
        status=reply.raw.status,
        is_error=refused or waiting,
        decision=read_decision(recorder.clean(meta.get("demo/decision") or data.get("decision"))),
        limits=read_limits(meta.get("demo/limits") or data.get("limits")),
        structured=structured,
        text=recorder.masked("The tool asks for more input, which this agent does not give." if waiting else text),
        challenge=read_challenge(reply.raw.status or 0, map(recorder.masked, reply.raw.headers("www-authenticate"))),
        retry_after=_retry_after(reply.raw),
        exchanges=exchanges,
        order=None if refused else read_order((structured or {}).get("order")),
    )


def expired(outcome: CallOutcome) -> bool:
    """Whether a call was refused because its token has expired, and for nothing else."""
    if outcome.status != 401 or outcome.challenge is None or outcome.challenge.get("error") != "invalid_token":
        return False
    if outcome.decision is not None:
        return outcome.decision.rule == "token.expired"
    return "expired" in (outcome.challenge.get("error_description") or "").lower()


def read_decision(given: Any) -> Decision | None:
    """A `Decision` as the shop sends it, None where it is none or is malformed."""
    if not isinstance(given, dict):
        return None
    shown = safe_data(given)
    optional = {f.name for f in fields(Decision)} - {"audit_id", "at", "verdict", "gate", "rule", "reason", "door"}
    shaped = (
        all(isinstance(shown.get(name), str) for name in ("audit_id", "gate", "rule", "reason"))
        and shown.get("verdict") in ("allow", "deny")
        and number(shown.get("at")) is not None
        and shown.get("door", "protected") in ("open", "protected")
        and all(shown.get(name) is None or isinstance(shown[name], str) for name in optional)
    )
    return Decision.from_dict(shown) if shaped else None


def read_limits(given: Any) -> tuple[LimitUse, ...]:
    """The limits as the shop sends them; malformed ones are left out."""
    found: list[LimitUse] = []
    for item in given if isinstance(given, list) else ():
        use = _mapping(safe_data(item))
        counts = [use.get(key) for key in ("used", "limit")]
        if use.get("name") in ("rate", "purchases", "spending") and all(type(count) is int for count in counts):
            found.append(
                LimitUse(
                    name=use["name"],
                    used=use["used"],
                    limit=use["limit"],
                    unit=str(use.get("unit", "")),
                    window=number(use.get("window")),
                    resets_at=number(use.get("resets_at")),
                )
            )
    return tuple(found)


def read_order(given: Any) -> Order | None:
    """An order as the shop tells it (`docs/wire.md`), None where it is none."""
    order = _mapping(given)
    price, at = money(order.get("price")), number(order.get("at"))
    if price is None or not isinstance(order.get("id"), str):
        return None

    def text(name: str) -> str:
        return str(order.get(name) or "")

    def maybe(name: str) -> str | None:
        return order[name] if isinstance(order.get(name), str) else None

    return Order(
        id=text("id"),
        item=text("item"),
        size=text("size"),
        company=text("company"),
        price=price,
        at=at or 0.0,
        user=maybe("user"),
        agent=maybe("agent"),
        consent=maybe("consent"),
        replayed=order.get("replayed") is True,
        balance=money(order.get("balance")),
        spending_limit=money(order.get("spendingLimit")),
    )


def read_tools(result: dict[str, Any] | None) -> tuple[Tool, ...]:
    """The tools of one page of `tools/list`."""
    listed = (result or {}).get("tools")
    found: list[Tool] = []
    for item in listed if isinstance(listed, list) else ():
        tool = _mapping(safe_data(item))
        if not isinstance(tool.get("name"), str):
            continue
        scope = _mapping(tool.get("_meta")).get("demo/scope")
        description = tool.get("description")
        found.append(
            Tool(
                name=safe_text(tool["name"], one_line=True),
                description=description if isinstance(description, str) else "",
                arguments=tuple(_mapping(_mapping(tool.get("inputSchema")).get("properties"))),
                scope=scope if isinstance(scope, str) else None,
            )
        )
    return tuple(found)


def tools_outcome(pages: Sequence[Reply], exchanges: tuple[Exchange, ...], recorder: Recorder) -> ToolsOutcome:
    """The outcome of a walk through `tools/list`; the last page tells whether it was refused.

    Raises:
        ServerUnreachable: it speaks MCP and lists no tools.
    """
    last = pages[-1]
    if last.raw.status == 200 and last.result is None:
        raise not_mcp(last.raw.url, f"it lists no tools: {recorder.masked(_refusal(last))}")
    return ToolsOutcome(
        status=last.raw.status,
        tools=tuple(tool for page in pages for tool in read_tools(recorder.clean(page.result))),
        challenge=read_challenge(last.raw.status or 0, last.raw.headers("www-authenticate")),
        decision=read_decision(recorder.clean(_mapping((last.error or {}).get("data")).get("decision"))),
        exchanges=exchanges,
    )


def _asked(raw: Raw) -> dict[str, Any] | None:
    """The JSON-RPC request that an exchange carried, None for a notification or anything else."""
    sent = parse_object(raw.request_body or b"")
    return sent if sent is not None and "method" in sent and "id" in sent else None


def _message(text: str, kind: str, wanted: Any) -> dict[str, Any] | None:
    """The JSON-RPC response in a body: the body itself, or the event of a stream that answers `wanted`."""
    if "text/event-stream" in kind:
        events = re.split(r"\r?\n\r?\n|\r\r", text)
        bodies = ["\n".join(re.findall(r"^data: ?(.*)$", event.replace("\r", ""), re.MULTILINE)) for event in events]
        found = [message for message in map(parse_object, bodies) if message is not None]
    else:
        whole = parse_object(text)
        found = [] if whole is None else [whole]
    responses = [
        message for message in found if message.get("jsonrpc") == "2.0" and ("result" in message or "error" in message)
    ]
    return next((message for message in responses if message.get("id") == wanted), responses[-1] if responses else None)


def _stranger(raw: Raw, text: str, kind: str) -> ServerUnreachable:
    if raw.status is not None and 300 <= raw.status < 400:
        onward = safe_text(raw.header("location"), one_line=True) or "nowhere"
        return not_mcp(raw.url, f"it redirects to {onward}, which was not followed")
    if is_html(kind, text):
        return captive_portal(raw.url)
    if raw.status == 200:
        return not_mcp(raw.url, f"what came is no JSON-RPC response (content type {kind or 'not given'})")
    return not_mcp(raw.url, f"HTTP {raw.status} and no JSON-RPC in it")


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
    message = (reply.error or {}).get("message")
    return message if isinstance(message, str) and message else f"HTTP {reply.raw.status}"


def _retry_after(raw: Raw) -> float | None:
    """`Retry-After` in seconds, also where it is a date (RFC 9110 section 10.2.3)."""
    told = raw.header("retry-after").strip()
    if told.isdecimal() and len(told) < 10:
        return float(told)
    try:
        ends = parsedate_to_datetime(told).timestamp() if told else None
        begins = parsedate_to_datetime(raw.header("date")).timestamp() if raw.header("date") else None
    except (ValueError, TypeError, OverflowError):
        return None
    if ends is None:
        return None
    return max(0.0, ends - (begins if begins is not None else raw.started_at + raw.seconds))


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
