"""Which revision of MCP to speak to an endpoint: decided from what it answered, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from demo.client.mcp.reply import GATES, HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, Reply, UnexpectedAnswer

MODERN = "2026-07-28"
"""Stateless, so that one call is one POST."""

HANDSHAKE = "legacy"
"""The `initialize` handshake of the revisions before it."""

EVENTS = "sse"
"""The HTTP+SSE transport of 2024-11-05, for a server that takes no POST at its URL."""

GOODBYE = 2.0
"""Seconds for ending a session that has already answered; an answer is not lost to a server slow to part."""

GOODBYE_UNANSWERED = 0.25
"""Seconds for the same where the last request was not answered in time: enough to send it."""

MODES = (MODERN, HANDSHAKE, EVENTS)

UNSUPPORTED_PROTOCOL_VERSION = -32022

_UNDERSTOOD = (407, 408)
"""HTTP statuses below 500, beside those of gates, that say nothing of the request: a proxy's, and one of bad luck."""


class NoStream(UnexpectedAnswer):
    """There is no stream of events of the oldest transport."""


def next_mode(tried: Sequence[str], got: Reply | UnexpectedAnswer, *, settled: bool) -> str | None:
    """The mode to send a request in again, None where `got` is the answer.

    Only where the answer says that the request was not understood, and so not carried out, is it sent again: a purchase
    must not happen twice. What a server of the newest revision would not have said leads to `initialize`, and where
    that is no message of its either, to the transport of 2024-11-05 (MCP 2026-07-28, Versioning, "Compatibility
    matrix").

    Args:
        tried: the modes so far, the last one is that of `got`.
        settled: whether this endpoint has answered in the newest revision, and is held to it: its refusal of one
            request is then no sign of an older server. Some servers do answer `tools/list` without a session, and no
            call.
    """
    mode = tried[-1]
    if isinstance(got, UnexpectedAnswer):
        if not not_understood(got.status):
            return None
        if MODERN not in tried:
            return MODERN  # it is spoken to otherwise by now
        return {MODERN: HANDSHAKE, HANDSHAKE: EVENTS}.get(mode)
    if mode != MODERN:
        return None
    if wants_the_newest(got) and tried.count(MODERN) == 1:
        return MODERN
    if settled and got.error_code != UNSUPPORTED_PROTOCOL_VERSION:
        return None
    return HANDSHAKE if refuses_revision(got) else None


def refuses_revision(reply: Reply) -> bool:
    """Whether this reply says that the request was not understood in the revision it was sent in.

    Bad arguments and a missing header are complaints of a server that understood.
    """
    code = reply.error_code
    if code in (UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND):
        return True
    return code is not None and code not in (INVALID_PARAMS, HEADER_MISMATCH) and not_understood(reply.status)


def wants_the_newest(reply: Reply) -> bool:
    """Whether a refusal of the revision names that very one as supported, so that the request is sent once more in it
    (MCP 2026-07-28, Versioning: `UnsupportedProtocolVersionError` lists what to choose from)."""
    data = (reply.error or {}).get("data")
    supported = data.get("supported") if isinstance(data, dict) else None
    return reply.error_code == UNSUPPORTED_PROTOCOL_VERSION and isinstance(supported, list) and MODERN in supported


def not_understood(status: int | None) -> bool:
    """Whether this HTTP status is that of a server that made no sense of a request, and so did not carry it out.

    Any of 4xx, save what a gate says (`GATES`): servers of earlier revisions answer what comes without a session with
    400, 404, 405, 406, 415 or 422.
    """
    return status is not None and 400 <= status < 500 and status not in (*GATES, *_UNDERSTOOD)
