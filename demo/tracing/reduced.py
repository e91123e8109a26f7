"""What is left of a span before it is sent: ids, rules and statuses, also of the spans that libraries make themselves.

A library puts into a span what a server has said: the MCP SDK the words of an error, a vendor's library the whole
address of an endpoint. A server's words may repeat whatever it was sent, a token among it, and those of our own shop
name the human; an address may hold what opens it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status
from opentelemetry.util.types import AttributeValue

OURS: Final = "demo"
"""The instrumentation scope of the spans of this program, which says nothing else in them."""
_TEXTS: Final = frozenset(
    {
        *("mcp.method.name", "mcp.protocol.version", "jsonrpc.request.id", "rpc.response.status_code", "error.type"),
        *("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model"),
        *("gen_ai.tool.name", "gen_ai.prompt.name", "gen_ai.response.finish_reasons"),
        *("http.request.method", "server.address"),
    }
)
"""What a library's span may say in text; what it counts is in numbers."""
_TOLD: Final = frozenset({"jsonrpc.request.id", "rpc.response.status_code", "error.type"})
"""Of these what others choose as they like: kept where it is a number, or a name in a program."""
_NAME: Final = re.compile(r"-?[0-9]{1,12}|[A-Za-z_.]{1,60}")
_OFFERED: Final = "gen_ai.tool.definitions"
_LONGEST: Final = 80
"""Characters of a text, or of a span's name: both may be a tool's, which others chose."""


def reduced(span: ReadableSpan) -> ReadableSpan:
    """The same span without anybody's words: no events (an exception's message), no description of its status (a
    server's error), and of a library's attributes those alone that are known to hold none."""
    scope = span.instrumentation_scope
    ours, given = scope is not None and scope.name == OURS, span.attributes or {}
    return ReadableSpan(
        span.name[:_LONGEST],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=given if ours else _known(given),
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _known(given: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    kept = {name: value for name, value in given.items() if not _is_text(value) or _may_be_told(name, value)}
    return kept | ({_OFFERED: _names(given[_OFFERED])} if _OFFERED in given else {})


def _is_text(value: AttributeValue) -> bool:
    return not isinstance(value, bool | int | float)


def _may_be_told(name: str, value: AttributeValue) -> bool:
    if name in _TOLD:
        return _NAME.fullmatch(str(value)) is not None
    return name in _TEXTS and len(str(value)) <= _LONGEST


def _names(definitions: object) -> str:
    """Of the tools that a model was offered, their names: how each is described is said to the model, by the server."""
    try:
        listed = json.loads(str(definitions))
        return json.dumps([{"type": "function", "name": str(one["name"])[:60]} for one in listed])
    except (ValueError, RecursionError, TypeError, KeyError):
        return "[]"
