"""The correlation id of a request: by it an entry of the audit log is found in the records of others."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,64}")


def of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What the client calls this request: the trace id of `traceparent` (W3C Trace Context section 3.2), else its
    `x-request-id`; an id of our own where it sends neither, or none that is fit to be kept."""
    sent = {name: value for name, value in headers if name in (b"traceparent", b"x-request-id")}
    if sent:
        if (trace := _TRACEPARENT.fullmatch(sent.get(b"traceparent", b"").strip())) is not None:
            return trace[1].decode()
        if (given := _REQUEST_ID.fullmatch(sent.get(b"x-request-id", b"").strip())) is not None:
            return given[0].decode()
    return secrets.token_hex(16)
