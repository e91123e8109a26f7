"""The JSON-RPC response in an HTTP exchange, or what else it was that answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from demo.client.http.errors import no_answer, not_mcp, overloaded, unreachable, unreadable, unsent, web_page
from demo.client.http.fetch import is_html, joined, own_words, parse_object
from demo.client.http.origins import origin
from demo.client.http.recorder import Raw
from demo.client.http.redaction import mask_text
from demo.client.http.sanitizing import safe_text
from demo.errors import DemoError, ServerUnreachable

GATES = (401, 403, 429, 503)
"""What a gate in front of a server says, which speaks HTTP only."""

_CUT = "its stream of events ended before the answer came"

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


def final(raws: Sequence[Raw], cause: object, url: str, seconds: float, trouble: BaseException | None = None) -> Reply:
    """The answer to the request that `cause` stands for (`on_behalf_of`), understood; to that one and no other.

    It is the JSON-RPC response with the request's id (JSON-RPC 2.0 section 5), in the body of the response to the
    POST that carried it or, with the HTTP+SSE transport of 2024-11-05 and after a stream was taken up again (MCP
    2025-11-25, Transports, "Resumability and Redelivery"), an event on the answer to a GET; then the reply's `raw` is
    that exchange with this event alone as its body. What answers a handshake, a look-up or another call says nothing
    of this one.

    Args:
        raws: exchanges that have ended, and those under way as they stand.
        cause: of which request the answer is wanted.
        url: where they went.
        seconds: how long was waited at most.
        trouble: what the sender ran into, None where nothing is known.

    Raises:
        ServerUnreachable: the request was never sent, nothing answered, or what answered is not an MCP server.
        EnvironmentNotReady, UsageError: something on this machine kept it from being sent.
    """
    raw = request_of(raws, cause)
    if raw is None:
        return _never_sent(raws, url, seconds, trouble)
    wanted = (asked(raw) or {}).get("id")
    text, kind = _text(raw), raw.header("content-type").lower()
    found = _message(text, kind, wanted, raw.status)
    if found is None and (streamed := _streamed(raws, wanted)) is not None:
        raw, found = streamed
    if found is None and (refused := _gate(raw)) is not None:
        return refused
    if found is None and raw.under_way:
        raise no_answer(raw.url, seconds)
    if found is None and (failure := _failure(raw, seconds)) is not None:
        raise failure
    if found is None and raw.status == 202 and (streams := [one for one in raws if one.method == "GET"]):
        # Accepted, and its answer was to come on the stream. Only one that still stands is waited for in vain.
        waited = any(one.under_way or one.late for one in streams)
        raise no_answer(raw.url, seconds) if waited else unreadable(raw.url, _CUT)
    if found is None and raw.status == 200 and "text/event-stream" in kind and not list(_responses(text)):
        raise unreadable(raw.url, _CUT)
    if found is None:
        raise Stranger(_stranger(raw, text, kind), raw.status)
    return Reply(raw, found.get("result"), found.get("error"))


def request_of(raws: Sequence[Raw], cause: object) -> Raw | None:
    """The exchange that carried this JSON-RPC request; the last one, where it was sent again (a redirect, a nonce)."""
    return max((raw for raw in raws if raw.cause is cause and asked(raw)), key=lambda raw: raw.started_at, default=None)


def understood(raw: Raw) -> bool:
    """Whether an error in an answer is about what was asked, as bad arguments are, so that the request was read.

    JSON-RPC 2.0 section 5.1, and MCP's own for a header that does not fit (2026-07-28).
    """
    error = (parse_object(_text(raw)) or {}).get("error")
    return isinstance(error, dict) and error.get("code") in (-32601, -32602, -32020)


def _never_sent(raws: Sequence[Raw], url: str, seconds: float, trouble: BaseException | None) -> Reply:
    """Why a request never left: a gate refused what goes before it (a handshake, a stream), or that failed.

    Raises:
        as `final`.
    """
    if isinstance(trouble, DemoError):
        raise trouble
    messages = [one for one in raws if one.method == "POST"]
    before = max(messages or [one for one in raws if one.method == "GET"], key=lambda one: one.started_at, default=None)
    if before is None:
        raise unsent(url, trouble)
    if (refused := _gate(before)) is not None:
        return refused
    if before.under_way:
        raise no_answer(before.url, seconds)
    if (failure := _failure(before, seconds)) is not None:
        failure.why = f"{failure.why}; the handshake failed at {_name(before)}, and nothing was called"
        raise failure
    sent = asked(before)
    if sent is None or before.method == "GET":
        raise Stranger(not_mcp(url, f"the session ended after {_name(before)}, and nothing was called"), before.status)
    text, kind = _text(before), before.header("content-type").lower()
    found = _message(text, kind, sent.get("id"), before.status)
    if found is None:
        raise Stranger(_stranger(before, text, kind, at=_name(before)), before.status)
    if (error := found.get("error")) is not None:
        why = f"it refused {_name(before)}: {mask_text(str(error.get('message') or error.get('code') or 'no reason'))}"
    elif sent["method"] == "initialize" and (problem := _no_handshake(found["result"])):
        why = f"its answer to initialize {problem}"
    else:
        raise unsent(url, trouble)
    raise Stranger(not_mcp(url, f"{why}; nothing was called"), before.status)


def _name(raw: Raw) -> str:
    """What an exchange carried, in the protocol's words."""
    method = (parse_object(raw.request_body or b"") or {}).get("method")
    return safe_text(method, one_line=True) if isinstance(method, str) else f"{raw.method} {raw.url}"


def _no_handshake(result: dict[str, Any]) -> str:
    """Why a result is none of `initialize` (MCP 2025-11-25, Lifecycle), empty where it is one."""
    from mcp.types import InitializeResult
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
    from pydantic import ValidationError

    told = result.get("protocolVersion")
    if not isinstance(told, str):
        return "names no protocolVersion"
    if told not in HANDSHAKE_PROTOCOL_VERSIONS:
        return f"names MCP {safe_text(told, one_line=True)[:40]}, which this agent does not speak"
    try:
        InitializeResult.model_validate(result, by_name=False)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""


def _failure(raw: Raw, seconds: float) -> DemoError | None:
    """Why an exchange that has ended did not come to its end; None where it did."""
    if raw.fault is not None:
        return raw.fault
    if raw.status is not None and raw.error is None:
        return None
    if raw.late:
        return no_answer(raw.url, seconds)
    why = raw.error or "no answer"
    return unreachable(raw.url, why) if raw.status is None else unreadable(raw.url, why)


def asked(raw: Raw) -> dict[str, Any] | None:
    """The JSON-RPC request that an exchange carried, None for a notification or anything else."""
    sent = parse_object(raw.request_body or b"") if raw.method == "POST" else None
    return sent if sent is not None and "method" in sent and "id" in sent else None


def _text(raw: Raw) -> str:
    return (raw.response_body or b"").decode("utf-8", errors="replace")


def _gate(raw: Raw) -> Reply | None:
    """The refusal of a gate, whatever its body: what it asks for is in its headers (RFC 9110 section 11.6.1)."""
    return Reply(raw, None, None) if raw.status in GATES else None


def events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects in a stream of events, each with the event that carries it."""
    for event in _BETWEEN_EVENTS.split(text):
        lines = re.split(r"\r\n|\n|\r", event)
        message = parse_object("\n".join(re.sub("^data: ?", "", line) for line in lines if line.startswith("data:")))
        if message is not None:
            yield event, message


def _is_response(message: dict[str, Any]) -> bool:
    """Whether it is a response: a result or an error, never both (JSON-RPC 2.0 section 5); null counts as absent."""
    result, error = message.get("result"), message.get("error")
    return message.get("jsonrpc") == "2.0" and (
        (isinstance(result, dict) and error is None) or (isinstance(error, dict) and result is None)
    )


def _responses(text: str) -> Iterator[dict[str, Any]]:
    """The JSON-RPC responses in a stream of events."""
    return (message for _, message in events(text) if _is_response(message))


def _answers(message: dict[str, Any], wanted: Any, status: int | None) -> bool:
    """Whether a response answers the request with this id: the message that was sent alone, in one POST.

    A request that the server could not read has no id to repeat (JSON-RPC 2.0 section 5), and servers of the Python
    SDK before 2.0 call it "server-error": that is told by an error, and never by a result.
    """
    given = message.get("id")
    if _same_id(given, wanted):
        return True
    return message.get("error") is not None and (given is None or (status is not None and status >= 400))


def _same_id(given: Any, wanted: Any) -> bool:
    # Some servers give a number back as text, which the SDK takes as well; True is no 1.
    return not isinstance(given, bool) and (given == wanted or given == str(wanted)) and wanted is not None


def _message(text: str, kind: str, wanted: Any, status: int | None) -> dict[str, Any] | None:
    """The JSON-RPC response to `wanted` in the body of the answer to its POST: the body itself, or an event in it."""
    if "text/event-stream" in kind:
        found = [message for _, message in events(text)]
    else:
        whole = parse_object(text)
        found = [] if whole is None else [whole]
    responses = [message for message in found if _is_response(message) and _answers(message, wanted, status)]
    return next((message for message in responses if _same_id(message.get("id"), wanted)), next(iter(responses), None))


def answers(text: str, wanted: Any, status: int | None) -> bool:
    """Whether a body is the JSON-RPC response to the request with this id."""
    return _message(text, "", wanted, status) is not None


def _streamed(raws: Sequence[Raw], wanted: Any) -> tuple[Raw, dict[str, Any]] | None:
    """The event that answers `wanted` on the answer to a GET, which also carries what answers others."""
    for raw in raws:
        if raw.method == "GET" and "text/event-stream" in raw.header("content-type").lower():
            for event, message in events(_text(raw)):
                if _is_response(message) and _same_id(message.get("id"), wanted):
                    return replace(raw, response_body=f"{event}\n\n".encode()), message
    return None


def _stranger(raw: Raw, text: str, kind: str, *, at: str = "") -> ServerUnreachable:
    """What answered, where it was no MCP server; `at` names a message of the handshake, before anything was called."""
    after = f" (to {at}; nothing was called)" if at else ""
    if raw.status is not None and 300 <= raw.status < 400:
        return not_mcp(raw.url, _redirect(raw))
    if is_html(kind, text) and raw.status is not None:
        return web_page(raw.url, raw.status)
    if raw.status is not None and raw.status >= 500:
        return overloaded(raw.url, raw.status, own_words(text, parse_object(text)) or f"HTTP {raw.status}")
    if raw.status == 200:
        message = parse_object(text)
        if message is not None and _is_response(message):
            given = safe_text(str(message.get("id")), one_line=True)[:40]
            return not_mcp(raw.url, f"what came answers another request than the one that was sent (id {given}){after}")
        return not_mcp(raw.url, f"what came is no JSON-RPC response (content type {kind or 'not given'}){after}")
    if told := own_words(text, parse_object(text)):
        return not_mcp(raw.url, f"HTTP {raw.status}: {told}{after}")
    return not_mcp(raw.url, f"HTTP {raw.status} and no JSON-RPC in it{after}")


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
