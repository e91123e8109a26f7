"""The JSON-RPC response in an HTTP exchange, or what else it was that answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.client.fetch import is_html, parse_object
from demo.client.refusal import captive_portal, no_answer, not_mcp, unreachable, unreadable
from demo.client.safe_text import safe_text
from demo.client.wire import Raw
from demo.errors import ServerUnreachable


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
