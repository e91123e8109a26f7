"""The JSON-RPC response in an HTTP exchange, or what else it was that answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from demo.client.fetch import is_html, joined, parse_object
from demo.client.masking import mask_text
from demo.client.origins import origin
from demo.client.refusal import captive_portal, no_answer, not_mcp, unreachable, unreadable
from demo.client.safe_text import safe_text
from demo.client.wire import Raw
from demo.errors import ServerUnreachable

GATES = (401, 403, 429, 503)
"""What a gate in front of a server says, which speaks HTTP only."""

_BETWEEN_EVENTS = re.compile(r"\r\n\r\n|\n\n|\r\r")


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

    Its answer is in the body of its own response or, with the HTTP+SSE transport of 2024-11-05 and after a stream was
    taken up again (MCP 2025-11-25, Transports, "Resumability and Redelivery"), an event on the answer to a GET; then
    the reply's `raw` is that exchange with this event alone as its body.

    Args:
        raws: exchanges that have ended, and those under way as they stand.
        url: where they went.
        seconds: how long was waited at most.

    Raises:
        ServerUnreachable: nothing answered, or what answered is not an MCP server.
    """
    raw = request_of(raws)
    if raw is None:
        streams = [one for one in raws if one.method == "GET"]
        if streams and (refused := _gate(streams[-1])) is not None:
            return refused
        raise no_answer(url, seconds)
    wanted = (asked(raw) or {}).get("id")
    text, kind = _text(raw), raw.header("content-type").lower()
    found = _message(text, kind, wanted)
    if found is None and (streamed := _streamed(raws, wanted)) is not None:
        raw, found = streamed
    if found is None and raw.under_way:
        raise no_answer(raw.url, seconds)
    if found is None and raw.status is None:
        raise no_answer(raw.url, seconds) if raw.late else unreachable(raw.url, raw.error or "no answer")
    if found is None and raw.error is not None:
        raise no_answer(raw.url, seconds) if raw.late else unreadable(raw.url, raw.error)
    if found is None and (refused := _gate(raw)) is not None:
        return refused
    if found is None and raw.status == 202 and any(one.method == "GET" for one in raws):
        raise no_answer(raw.url, seconds)  # accepted, and its answer was to come on the stream
    if found is None:
        raise Stranger(_stranger(raw, text, kind), raw.status)
    result, error = found.get("result"), found.get("error")
    return Reply(raw, result if isinstance(result, dict) else None, error if isinstance(error, dict) else None)


def request_of(raws: Sequence[Raw]) -> Raw | None:
    """The exchange that carried the last JSON-RPC request."""
    return max((raw for raw in raws if asked(raw)), key=lambda raw: raw.started_at, default=None)


def asked(raw: Raw) -> dict[str, Any] | None:
    """The JSON-RPC request that an exchange carried, None for a notification or anything else."""
    sent = parse_object(raw.request_body or b"") if raw.method == "POST" else None
    return sent if sent is not None and "method" in sent and "id" in sent else None


def _text(raw: Raw) -> str:
    return (raw.response_body or b"").decode("utf-8", errors="replace")


def _gate(raw: Raw) -> Reply | None:
    """The refusal of a gate, whatever its body: what it asks for is in its headers (RFC 9110 section 11.6.1)."""
    return Reply(raw, None, None) if raw.status in GATES else None


def _events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects in a stream of events, each with the event that carries it."""
    for event in _BETWEEN_EVENTS.split(text):
        lines = re.split(r"\r\n|\n|\r", event)
        message = parse_object("\n".join(re.sub("^data: ?", "", line) for line in lines if line.startswith("data:")))
        if message is not None:
            yield event, message


def _is_response(message: dict[str, Any]) -> bool:
    return message.get("jsonrpc") == "2.0" and ("result" in message or "error" in message)


def _message(text: str, kind: str, wanted: Any) -> dict[str, Any] | None:
    """The JSON-RPC response in a body: the body itself, or the event of a stream that answers `wanted`."""
    if "text/event-stream" in kind:
        found = [message for _, message in _events(text)]
    else:
        whole = parse_object(text)
        found = [] if whole is None else [whole]
    responses = [message for message in found if _is_response(message)]
    return next((message for message in responses if message.get("id") == wanted), responses[-1] if responses else None)


def _streamed(raws: Sequence[Raw], wanted: Any) -> tuple[Raw, dict[str, Any]] | None:
    """The event that answers `wanted` on the answer to a GET, which also carries what answers others."""
    for raw in raws:
        if raw.method == "GET" and "text/event-stream" in raw.header("content-type").lower():
            for event, message in _events(_text(raw)):
                if _is_response(message) and message.get("id") == wanted and wanted is not None:
                    return replace(raw, response_body=f"{event}\n\n".encode()), message
    return None


def _stranger(raw: Raw, text: str, kind: str) -> ServerUnreachable:
    if raw.status is not None and 300 <= raw.status < 400:
        return not_mcp(raw.url, _redirect(raw))
    if is_html(kind, text):
        return captive_portal(raw.url)
    if raw.status == 200:
        return not_mcp(raw.url, f"what came is no JSON-RPC response (content type {kind or 'not given'})")
    told = (parse_object(text) or {}).get("error_description")  # RFC 6749 section 5.2: many say errors so
    if isinstance(told, str) and told:
        return not_mcp(raw.url, f"HTTP {raw.status}: {mask_text(told)}")
    return not_mcp(raw.url, f"HTTP {raw.status} and no JSON-RPC in it")


def _redirect(raw: Raw) -> str:
    """Why a redirect was not followed."""
    onward = raw.header("location")
    told = safe_text(onward, one_line=True) or "nowhere"
    if not onward or origin(joined(raw.url, onward)) is None:
        reason = "which is no URL to go to"
    elif origin(joined(raw.url, onward)) != origin(raw.url):
        reason = "which was not followed: what is meant for one origin is shown to no other"
    elif raw.status not in (307, 308):
        reason = f"which was not followed: HTTP {raw.status} would turn the request into one without its content"
    else:
        reason = "which was not followed any further: it redirects again and again"
    return f"it redirects to {told}, {reason}"
