"""The JSON-RPC response in an HTTP exchange, or what else it was that answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deputize.errors import ExplainedError, ServerUnreachable
from deputize.http.errors import no_answer, not_mcp, overloaded, unreachable, unreadable, unsent, web_page
from deputize.http.exchange import HttpExchange
from deputize.http.fetch import is_html, joined, own_words
from deputize.http.origins import origin
from deputize.http.redaction import mask_text
from deputize.http.sanitizing import safe_text

GATES = (401, 403, 429, 503)
"""What a gate in front of a server says, which speaks HTTP only."""

METHOD_NOT_FOUND, INVALID_PARAMS, HEADER_MISMATCH = -32601, -32602, -32020

CUT = "its stream of events ended before the answer came"


@dataclass(frozen=True)
class Reply:
    """The JSON-RPC response to one request: `result` or `error`, both None where a gate answered without one.

    `exchange` is the HTTP exchange that it came in, and `before` are those that led to it. Where many answers come on
    one stream, `event` is the event that this one came in.
    """

    exchange: HttpExchange
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    event: str | None = field(default=None, repr=False)
    before: tuple[HttpExchange, ...] = field(default=(), repr=False)

    @property
    def status(self) -> int | None:
        """The HTTP status."""
        return self.exchange.status

    @property
    def refused(self) -> bool:
        """Whether a gate in front of the server refused, which is no answer of the server itself."""
        return self.result is None and self.status in GATES

    @property
    def error_code(self) -> int | None:
        """The JSON-RPC error's code."""
        code = (self.error or {}).get("code")
        return code if isinstance(code, int) and not isinstance(code, bool) else None


class UnexpectedAnswer(ServerUnreachable):
    """What answered is not an MCP server, or not one of the revision that was spoken; `status` is its HTTP status."""

    def __init__(self, error: ServerUnreachable, status: int | None) -> None:
        super().__init__(error.what, why=error.why, do=error.do, remedy=error.remedy)
        self.status = status


def final(
    exchanges: Sequence[HttpExchange], cause: object, url: str, seconds: float, trouble: BaseException | None = None
) -> Reply:
    """The answer to the request that `cause` stands for (`on_behalf_of`), understood; to that one and no other.

    It is the JSON-RPC response with the request's id (JSON-RPC 2.0 section 5), in the body of the response to the
    POST that carried it or, with the HTTP+SSE transport of 2024-11-05 and after a stream was taken up again (MCP
    2025-11-25, Transports, "Resumability and Redelivery"), an event on the answer to a GET. What answers a handshake,
    a look-up or another call says nothing of this one.

    Args:
        exchanges: those that have ended, and those under way as they stand.
        cause: of which request the answer is wanted.
        url: where they went.
        seconds: how long was waited at most.
        trouble: what the sender ran into, None where nothing is known.

    Raises:
        ServerUnreachable: the request was never sent, nothing answered, or what answered is not an MCP server.
        EnvironmentNotReady, UsageError: something on this machine kept it from being sent.
    """
    carrier = request_of(exchanges, cause)
    if carrier is None:
        return _never_sent(exchanges, url, seconds, trouble)
    wanted = (request_in(carrier) or {}).get("id")
    before = tuple(one for one in exchanges[: list(exchanges).index(carrier)] if one.ended)
    if (message := response_in(carrier, wanted)) is not None:
        return Reply(carrier, message.get("result"), message.get("error"), before=before)
    for stream in exchanges:
        for event in stream.events() if stream.method == "GET" and stream.is_stream else ():
            if _is_response(event.message) and _same_id(event.message.get("id"), wanted):
                posts = tuple(one for one in exchanges if one.method == "POST")
                result, error = event.message.get("result"), event.message.get("error")
                return Reply(stream, result, error, event.text, posts)
    if carrier.status in GATES:
        return Reply(carrier, None, None, before=before)
    if not carrier.ended:
        raise no_answer(carrier.url, seconds)
    if (failure := _failure(carrier, seconds)) is not None:
        raise failure
    if carrier.status == 202 and (streams := [one for one in exchanges if one.method == "GET"]):
        # Accepted, and its answer was to come on the stream. Only one that still stands is waited for in vain.
        waited = any(one.late or not one.ended for one in streams)
        raise no_answer(carrier.url, seconds) if waited else unreadable(carrier.url, CUT)
    if carrier.status == 200 and carrier.is_stream and not any(_is_response(one.message) for one in carrier.events()):
        raise unreadable(carrier.url, CUT)
    raise UnexpectedAnswer(_unexpected(carrier), carrier.status)


def request_of(exchanges: Sequence[HttpExchange], cause: object) -> HttpExchange | None:
    """The exchange that carried this JSON-RPC request; the last one, where it was sent again (a redirect, a nonce)."""
    carriers = (one for one in exchanges if one.cause is cause and request_in(one))
    return max(carriers, key=lambda one: one.started_at, default=None)


def request_in(exchange: HttpExchange) -> dict[str, Any] | None:
    """The JSON-RPC request that an exchange carried, None for a notification or anything else."""
    sent = exchange.sent if exchange.method == "POST" else None
    return sent if sent is not None and "method" in sent and "id" in sent else None


def response_in(exchange: HttpExchange, wanted: Any) -> dict[str, Any] | None:
    """The JSON-RPC response to the request with this id in the answer to its POST: the body, or an event in it."""
    whole = None if exchange.is_stream else exchange.json
    messages = [event.message for event in exchange.events()] if exchange.is_stream else [whole] if whole else []
    found = [one for one in messages if _is_response(one) and _answers(one, wanted, exchange.status)]
    return next((one for one in found if _same_id(one.get("id"), wanted)), next(iter(found), None))


def understood(exchange: HttpExchange) -> bool:
    """Whether an error in an answer is about what was asked, as bad arguments are, so that the request was read.

    JSON-RPC 2.0 section 5.1, and MCP's own for a header that does not fit (2026-07-28).
    """
    error = (exchange.json or {}).get("error")
    return isinstance(error, dict) and error.get("code") in (METHOD_NOT_FOUND, INVALID_PARAMS, HEADER_MISMATCH)


def _never_sent(exchanges: Sequence[HttpExchange], url: str, seconds: float, trouble: BaseException | None) -> Reply:
    """Why a request never left: a gate refused what goes before it (a handshake, a stream), or that failed.

    Raises:
        as `final`.
    """
    if isinstance(trouble, ExplainedError):
        raise trouble
    messages = [one for one in exchanges if one.method == "POST"] or [one for one in exchanges if one.method == "GET"]
    last = max(messages, key=lambda one: one.started_at, default=None)
    if last is None:
        raise unsent(url, trouble)
    if last.status in GATES:
        before = tuple(one for one in exchanges[: list(exchanges).index(last)] if one.ended)
        return Reply(last, None, None, before=before)
    if not last.ended:
        raise no_answer(last.url, seconds)
    if (failure := _failure(last, seconds)) is not None:
        failure.why = f"{failure.why}; the handshake failed at {_name(last)}, and nothing was called"
        raise failure
    sent = request_in(last)
    if sent is None:
        raise UnexpectedAnswer(
            not_mcp(url, f"the session ended after {_name(last)}, and nothing was called"), last.status
        )
    found = response_in(last, sent.get("id"))
    if found is None:
        raise UnexpectedAnswer(_unexpected(last, at=_name(last)), last.status)
    if (error := found.get("error")) is not None:
        why = f"it refused {_name(last)}: {mask_text(str(error.get('message') or error.get('code') or 'no reason'))}"
    elif sent["method"] == "initialize" and (problem := _no_handshake(found["result"])):
        why = f"its answer to initialize {problem}"
    else:
        raise unsent(url, trouble)
    raise UnexpectedAnswer(not_mcp(url, f"{why}; nothing was called"), last.status)


def _name(exchange: HttpExchange) -> str:
    """What an exchange carried, in the protocol's words."""
    method = (exchange.sent or {}).get("method")
    return safe_text(method, one_line=True) if isinstance(method, str) else f"{exchange.method} {exchange.url}"


def _no_handshake(result: dict[str, Any]) -> str:
    """Why a result is none of `initialize` (MCP 2025-11-25, Lifecycle), empty where it is one."""
    from mcp.types import InitializeResult
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
    from pydantic import ValidationError

    version = result.get("protocolVersion")
    if not isinstance(version, str):
        return "names no protocolVersion"
    if version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return f"names MCP {safe_text(version, one_line=True)[:40]}, which this agent does not speak"
    try:
        InitializeResult.model_validate(result, by_name=False)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""


def _failure(exchange: HttpExchange, seconds: float) -> ExplainedError | None:
    """Why an exchange that has ended did not come to its end; None where it did."""
    if exchange.fault is not None:
        return exchange.fault
    if exchange.status is not None and exchange.error is None:
        return None
    if exchange.late:
        return no_answer(exchange.url, seconds)
    why = exchange.error or "no answer"
    return unreachable(exchange.url, why) if exchange.status is None else unreadable(exchange.url, why)


def _is_response(message: dict[str, Any]) -> bool:
    """Whether it is a response: a result or an error, never both (JSON-RPC 2.0 section 5); null counts as absent."""
    result, error = message.get("result"), message.get("error")
    return message.get("jsonrpc") == "2.0" and (
        (isinstance(result, dict) and error is None) or (isinstance(error, dict) and result is None)
    )


def _answers(message: dict[str, Any], wanted: Any, status: int | None) -> bool:
    """Whether a response answers the request with this id: the message that was sent alone, in one POST.

    A request that the server could not read has no id to repeat (JSON-RPC 2.0 section 5), and servers of the Python
    SDK before 2.0 call it "server-error": an error may say so, and never a result.
    """
    given = message.get("id")
    if _same_id(given, wanted):
        return True
    return message.get("error") is not None and (given is None or (status is not None and status >= 400))


def _same_id(given: Any, wanted: Any) -> bool:
    # Some servers give a number back as text, which the SDK takes as well; True is no 1.
    return not isinstance(given, bool) and (given == wanted or given == str(wanted)) and wanted is not None


def _unexpected(exchange: HttpExchange, *, at: str = "") -> ServerUnreachable:
    """What answered, where it was no MCP server; `at` names a message of the handshake, before anything was called."""
    text, kind = exchange.text, exchange.header("content-type").lower()
    after = f" (to {at}; nothing was called)" if at else ""
    if exchange.status is not None and 300 <= exchange.status < 400:
        return not_mcp(exchange.url, _redirect(exchange))
    if is_html(kind, text) and exchange.status is not None:
        return web_page(exchange.url, exchange.status)
    if exchange.status is not None and exchange.status >= 500:
        return overloaded(exchange.url, exchange.status, own_words(text, exchange.json) or f"HTTP {exchange.status}")
    if exchange.status == 200:
        message = exchange.json
        if message is not None and _is_response(message):
            given = safe_text(str(message.get("id")), one_line=True)[:40]
            return not_mcp(
                exchange.url, f"what came answers another request than the one that was sent (id {given}){after}"
            )
        return not_mcp(exchange.url, f"what came is no JSON-RPC response (content type {kind or 'not given'}){after}")
    if words := own_words(text, exchange.json):
        return not_mcp(exchange.url, f"HTTP {exchange.status}: {words}{after}")
    return not_mcp(exchange.url, f"HTTP {exchange.status} and no JSON-RPC in it{after}")


def _redirect(exchange: HttpExchange) -> str:
    """Why a redirect was not followed."""
    onward = exchange.header("location")
    shown = safe_text(onward, one_line=True) or "nowhere"
    if not onward or origin(joined(exchange.url, onward)) is None:
        reason = "which is no URL to go to"
    elif origin(joined(exchange.url, onward)) != origin(exchange.url):
        reason = "which was not followed: what is meant for one origin is shown to no other"
    elif exchange.status not in (307, 308):
        reason = f"which was not followed: HTTP {exchange.status} would turn the request into one without its content"
    else:
        reason = "which was not followed any further: it redirects again and again"
    return f"it redirects to {shown}, {reason}"
