"""What a request is called in the records of others: by it an entry of the audit log is found there."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:+/=@-]{1,64}")


@dataclass(frozen=True)
class Known:
    """What a request is known by: `correlation` always, `trace_id` where it is part of a trace."""

    correlation: str
    trace_id: str | None = None


def of(headers: Iterable[tuple[bytes, bytes]], meta: Mapping[str, Any] | None = None) -> Known:
    """What the client calls this request: the trace id of its `traceparent` (W3C Trace Context section 3.2), else its
    `x-request-id`; an id of our own where it sends neither, or none that is fit to be kept.

    Args:
        meta: `_meta` of the message, which may carry the same (SEP-414, MCP 2026-07-28, distributed tracing). The
            header goes before it: it is this very request's, and the other may have come through many hands.
    """
    sent = {name: value.decode("latin-1").strip() for name, value in headers if name in _HEADERS}
    inside = (meta or {}).get("traceparent")
    for given in (sent.get(b"traceparent"), inside if isinstance(inside, str) else None):
        if given and (trace := _TRACEPARENT.fullmatch(given)) is not None:
            return Known(trace[1], trace[1])
    named = _REQUEST_ID.fullmatch(sent.get(b"x-request-id", ""))
    return Known(secrets.token_hex(16) if named is None else named[0])


_HEADERS: Final = (b"traceparent", b"x-request-id")
