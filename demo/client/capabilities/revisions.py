"""Which revisions and transports of MCP a URL answers in: one harmless question for each, on the wire as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deputize.http.exchange import events, parse_object
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    import httpx2

STATELESS = "2026-07-28"
HANDSHAKES = ("2025-11-25", "2025-06-18")
EVENTS = "2024-11-05"
SECONDS = 3.0
"""For one question."""
STREAM_SECONDS = 1.5
"""For the first event of a stream, which comes at once; one that says nothing is not the one that was asked for."""
_ENOUGH = 64 * 1024
_POST = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class Asked:
    """One question about a revision. `supported` is None where the answer does not settle it."""

    revision: str
    what: str
    supported: bool | None
    request: str
    response: str


@dataclass(frozen=True)
class _Heard:
    status: int | None
    headers: Mapping[str, str]
    text: str
    error: str = ""

    @property
    def result(self) -> dict[str, Any]:
        """The JSON-RPC result, also where it came as an event; empty where there is none."""
        found = (self.message or {}).get("result")
        return found if isinstance(found, dict) else {}

    @property
    def message(self) -> dict[str, Any] | None:
        """The first JSON-RPC response, None where there is none."""
        return _response(self.text)


def _response(text: str) -> dict[str, Any] | None:
    """The first JSON-RPC response in a body, or in a stream of events.

    A server that keeps events begins its stream with one that has an id and empty data (MCP 2025-11-25, Transports,
    "Sending Messages to the Server"), and may send notifications first.
    """
    whole = parse_object(text)
    messages = [whole] if whole is not None else [event.message for event in events(text)]
    return next((one for one in messages if "result" in one or "error" in one), None)


async def ask_revisions(http: httpx2.AsyncClient, url: str, auth: httpx2.Auth | None) -> tuple[Asked, ...]:
    """Ask for each revision. A session that a question opens is ended again.

    Args:
        url: an MCP endpoint.
        auth: what puts a token on each request, None for none.
    """
    if auth is not None:
        http.auth = auth
    asked = [await _stateless(http, url)]
    asked += [await _handshake(http, url, revision) for revision in HANDSHAKES]
    return (*asked, await _events(http, url))


async def _stateless(http: httpx2.AsyncClient, url: str) -> Asked:
    meta = {
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": {"name": "machine-identity-demo", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    heard = await _post(
        http,
        url,
        {"mcp-protocol-version": STATELESS, "mcp-method": "server/discover"},
        "server/discover",
        {"_meta": meta},
    )
    versions = heard.result.get("supportedVersions")
    told = [str(version) for version in versions] if isinstance(versions, list) else []
    supported = True if STATELESS in told else _no_or_unknown(heard)
    says = f"supportedVersions {', '.join(told)}" if told else _said(heard)
    return _asked(STATELESS, "stateless requests", supported, f"POST {url} server/discover", heard, says)


async def _handshake(http: httpx2.AsyncClient, url: str, revision: str) -> Asked:
    client = {"name": "machine-identity-demo", "version": "0"}
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": client}
    heard = await _post(http, url, {}, "initialize", params)
    told = heard.result.get("protocolVersion")
    supported = told == revision if isinstance(told, str) else _no_or_unknown(heard)
    session = heard.headers.get("mcp-session-id")
    says = f"protocolVersion {told}" if isinstance(told, str) else _said(heard)
    if session:
        says += ", with a session"
        ended = {"mcp-session-id": session, "mcp-protocol-version": str(told or revision)}
        await _send(http, "DELETE", url, ended, None)
    what = "initialize handshake"
    return _asked(revision, what, supported, f"POST {url} initialize, {revision}", heard, says)


async def _events(http: httpx2.AsyncClient, url: str) -> Asked:
    heard = await _send(http, "GET", url, {"accept": "text/event-stream"}, None, STREAM_SECONDS)
    streams = "text/event-stream" in heard.headers.get("content-type", "")
    begins = any(line.strip() == "event: endpoint" for line in heard.text.splitlines())
    supported = True if streams and begins else False if streams and not heard.error else _no_or_unknown(heard)
    says = "event: endpoint" if begins else "a stream without an endpoint event" if streams else _said(heard)
    return _asked(EVENTS, "HTTP+SSE transport", supported, f"GET {url}, text/event-stream", heard, says)


def _no_or_unknown(heard: _Heard) -> bool | None:
    # Who is asked for a token first, or is told to come back later, learns nothing of revisions.
    settles = heard.status is not None and 200 <= heard.status < 500 and heard.status not in (401, 403, 407, 408, 429)
    return False if settles and not heard.error else None


def _said(heard: _Heard) -> str:
    error = (heard.message or parse_object(heard.text) or {}).get("error")
    told = error.get("message") if isinstance(error, dict) else error
    return str(told) if isinstance(told, str) else heard.headers.get("content-type", "")


def _asked(revision: str, what: str, supported: bool | None, request: str, heard: _Heard, says: str) -> Asked:
    status = heard.error or str(heard.status)
    response = f"{status}, {says}" if says else status
    return Asked(revision, what, supported, request, safe_text(response, one_line=True)[:200])


def _heard_enough(method: str, text: str) -> bool:
    if method == "POST":
        return _response(text) is not None
    return "\n\n" in text.replace("\r\n", "\n") and ("data:" in text or "event:" in text)


async def _post(
    http: httpx2.AsyncClient, url: str, headers: dict[str, str], method: str, params: dict[str, Any]
) -> _Heard:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return await _send(http, "POST", url, _POST | headers, body)


async def _send(
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    headers: dict[str, str],
    body: str | None,
    seconds: float = SECONDS,
) -> _Heard:
    """One exchange within `seconds`. A stream of events is read up to what was asked for: the first response to a POST,
    the first event that says anything to a GET."""
    import httpx2

    status, told, text = None, {}, ""
    try:
        async with asyncio.timeout(seconds), http.stream(method, url, headers=headers, content=body) as answer:
            status, told = answer.status_code, dict(answer.headers)
            streams = "text/event-stream" in told.get("content-type", "")
            async for chunk in answer.aiter_bytes():
                text = (text + chunk.decode("utf-8", errors="replace"))[:_ENOUGH]
                if len(text) == _ENOUGH or (streams and _heard_enough(method, text)):
                    break
    except TimeoutError:
        error = "" if status is not None else f"no answer within {seconds:g} s"
        return _Heard(status, told, text, error)
    except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
        return _Heard(status, told, text, safe_text(str(failure) or type(failure).__name__, one_line=True))
    return _Heard(status, told, text)
