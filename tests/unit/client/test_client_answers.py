"""What answers a call: the message with its id to the POST that carried it (JSON-RPC 2.0 section 5), and nothing else.

A purchase that was never sent must not be told as made, whatever else the server has answered before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

from demo.bridge.upstream import Upstream
from deputize.errors import ServerUnreachable
from deputize.http.bounded import run
from deputize.http.errors import NoConnection, NotMcp
from tests.unit.bridge.hosts import keep_token
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, told, words
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
INFO = {"name": "old", "version": "1"}
HANDSHAKE: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": INFO}
SOLD = words("sold")


def reset(_: Request) -> Answer:
    return iter([])


def accepted(_: Request) -> Answer:
    return http(202)


def older(
    initialize: Callable[[Request], Answer],
    initialized: Callable[[Request], Answer] = accepted,
    call: Callable[[Request], Answer] = lambda request: result(request, SOLD),
) -> Callable[[Request], Answer]:
    """A server of the 2025-11-25 revision: it answers what comes without a session with 400."""

    def answer(request: Request) -> Answer:
        method = request.json.get("method")
        if request.method != "POST":
            return http(405)
        if method == "initialize":
            return initialize(request)
        if "mcp-session-id" not in request.headers:
            return http(400, "no session", kind="text/plain")
        return initialized(request) if method == "notifications/initialized" else call(request)

    return answer


def shaking(value: dict[str, Any]) -> Callable[[Request], Answer]:
    return lambda request: result(request, value, mcp_session_id="s1")


def event(message: dict[str, Any]) -> bytes:
    return http(200, f"event: message\ndata: {json.dumps(message)}\n\n", kind="text/event-stream")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in HANDSHAKE.items() if key != name}


HANDSHAKES: dict[str, tuple[Callable[[Request], Answer], str]] = {
    "names no revision": (older(shaking(without("protocolVersion"))), "names no protocolVersion"),
    "names one of tomorrow": (older(shaking(HANDSHAKE | {"protocolVersion": "2031-01-01"})), "2031-01-01"),
    "does not say who it is": (older(shaking(without("serverInfo"))), "serverInfo"),
    "refuses the handshake": (older(lambda r: error(r, 200, -32603, "out of order")), "out of order"),
    "accepts the handshake and says no more": (older(accepted), "HTTP 202"),
    "answers the handshake of another": (
        older(lambda _: told(200, {"jsonrpc": "2.0", "id": 99, "result": HANDSHAKE})),
        "answers another request",
    ),
    "hangs up at the handshake": (older(reset), "failed at initialize"),
    "hangs up after the handshake": (older(shaking(HANDSHAKE), reset), "failed at notifications/initialized"),
    "breaks down at the handshake": (older(lambda _: http(500, "no database", kind="text/plain")), "no database"),
}
"""Each fails before the call is sent: what it answers, and what is said of it."""


def foreign(message: dict[str, Any]) -> Callable[[Request], Answer]:
    return lambda _: told(200, {"jsonrpc": "2.0"} | message)


ANSWERS: dict[str, Callable[[Request], Answer]] = {
    "has another id": foreign({"id": 99, "result": SOLD}),
    "has no id": foreign({"result": SOLD}),
    "has true for an id": foreign({"id": True, "result": SOLD}),
    "is an event with another id": lambda _: event({"jsonrpc": "2.0", "id": 99, "result": SOLD}),
    "is a result and an error": lambda r: foreign(
        {"id": r.json["id"], "result": SOLD, "error": {"code": 1, "message": "no"}}
    )(r),
    "is no object": lambda r: foreign({"id": r.json["id"], "result": "sold"})(r),
    "is a request": lambda r: foreign({"id": r.json["id"], "method": "ping"})(r),
}
"""Answers to a call that are none."""

OTHERS: dict[str, dict[str, Any]] = {
    "the handshake's": HANDSHAKE,
    "the list's": {"tools": [], "resultType": "complete"},
    "nothing": {},
    "of a kind that nobody knows": SOLD | {"resultType": "promised"},
}
"""Results under the call's own id that are no tool's."""


def bridged(url: str, folder: Path) -> Any:
    keep_token(url, folder)
    request = CallToolRequest(params=CallToolRequestParams(name="buy", arguments={}))

    async def ask() -> Any:
        async with Upstream(lambda: agent_at(url, folder, timeout=2.0), seconds=5).connected() as upstream:
            return await upstream.ask(request, CallToolResult)

    return run(ask, 30.0, TimeoutError)


def called(url: str, folder: Path) -> Any:
    return agent_at(url, folder, timeout=2.0).call("buy", {}, token="none")


WAYS = pytest.mark.parametrize("way", [called, bridged])


@WAYS
@pytest.mark.parametrize("kind", HANDSHAKES)
def test_a_call_is_not_made_at_a_server_that(kind: str, way: Any, serve: Serve, tmp_path: Path) -> None:
    answer, says = HANDSHAKES[kind]
    fake = serve(answer)
    with pytest.raises(ServerUnreachable) as caught:
        way(fake.url, tmp_path)
    assert says in caught.value.why
    # The first one, which was refused as it came without a session.
    assert ["mcp-session-id" in one.headers for one in fake.asked("tools/call")] == [False]


@WAYS
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_call_is_not_answered_by_what(kind: str, way: Any, serve: Serve, tmp_path: Path) -> None:
    fake = serve(ANSWERS[kind])
    with pytest.raises(ServerUnreachable):
        way(fake.url, tmp_path)
    assert len(fake.asked("tools/call")) == 1


@pytest.mark.parametrize("kind", OTHERS)
def test_a_result_that_is_no_tools_is_not_allowed(kind: str, serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, OTHERS[kind]))
    outcome = called(fake.url, tmp_path)
    assert (outcome.status, outcome.is_error, outcome.allowed) == (200, True, False)


def test_what_is_no_list_of_tools_is_no_list(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, HANDSHAKE))
    with pytest.raises(NotMcp):
        agent_at(fake.url, tmp_path).tools(token="none")


@pytest.mark.parametrize("way", [called, bridged])
def test_a_look_at_the_list_is_not_taken_for_the_answer_to_the_call(way: Any, serve: Serve, tmp_path: Path) -> None:
    """The server wants an argument in a header, lists its tools, and hangs up on the call that has it."""
    schema = {"type": "object", "properties": {"size": {"type": "string", "x-mcp-header": "Size"}}}
    listing = {"tools": [{"name": "buy", "inputSchema": schema}], "resultType": "complete", "ttlMs": 0}

    def answer(request: Request) -> Answer:
        if request.json.get("method") == "tools/list":
            return result(request, listing | {"cacheScope": "private"})
        if len(fake.asked("tools/call")) == 1:
            return error(request, 400, -32020, "Header mismatch")
        return iter([])

    fake = serve(answer)
    with pytest.raises(NoConnection):
        way(fake.url, tmp_path)
    assert len(fake.asked("tools/call")) == 2


def test_the_next_call_of_a_session_is_not_answered_by_the_one_before(serve: Serve, tmp_path: Path) -> None:
    """The first answer's stream of events goes on while the second call is hung up on."""

    def call(request: Request) -> Answer:
        if len([one for one in fake.asked("tools/call") if "mcp-session-id" in one.headers]) > 1:
            return iter([])
        message = json.dumps({"jsonrpc": "2.0", "id": request.json["id"], "result": SOLD})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        return iter([head, f"data: {message}\n\n".encode(), *[b": still here\n\n"] * 20])

    fake = serve(older(shaking(HANDSHAKE), call=call))
    keep_token(fake.url, tmp_path)
    with pytest.raises(ServerUnreachable):
        agent_at(fake.url, tmp_path).burst("buy", {}, at_most=2)


@WAYS
def test_a_revision_that_is_refused_and_named_as_supported_is_tried_once_more(
    way: Any, serve: Serve, tmp_path: Path
) -> None:
    refusal = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": ["2026-07-28"]}}

    def answer(request: Request) -> Answer:
        if len(fake.requests) == 1:
            return told(400, {"jsonrpc": "2.0", "id": request.json["id"], "error": refusal})
        return result(request, SOLD)

    fake = serve(answer)
    assert way(fake.url, tmp_path)
    assert [one.json["method"] for one in fake.requests] == ["tools/call", "tools/call"]


@pytest.mark.parametrize("given", [lambda id_: id_, str])
def test_an_answer_with_the_calls_id_is_its_answer(given: Any, serve: Serve, tmp_path: Path) -> None:
    """Some servers give a number back as text; the SDK takes that, too."""
    fake = serve(lambda r: told(200, {"jsonrpc": "2.0", "id": given(r.json["id"]), "result": SOLD, "error": None}))
    assert called(fake.url, tmp_path).allowed


@pytest.mark.parametrize("given", [None, "server-error"])
def test_an_error_without_the_calls_id_refuses_it(given: Any, serve: Serve, tmp_path: Path) -> None:
    """A server that could not read a request has no id to repeat (JSON-RPC 2.0 section 5)."""
    refusal = {"code": -32602, "message": "no such size"}
    fake = serve(lambda _: told(400, {"jsonrpc": "2.0", "id": given, "error": refusal}))
    outcome = called(fake.url, tmp_path)
    assert (outcome.status, outcome.is_error, outcome.text) == (400, True, "no such size")


def test_a_byte_that_is_not_utf_8_spoils_its_own_character_alone(serve: Serve, tmp_path: Path) -> None:
    def latin(request: Request) -> Answer:
        message = {"jsonrpc": "2.0", "id": request.json["id"], "result": words("caf\u00e9")}
        return http(200, json.dumps(message, ensure_ascii=False).encode("latin-1"))

    fake = serve(latin)
    assert called(fake.url, tmp_path).text == "caf\ufffd"
    assert len(fake.asked("tools/call")) == 1


def test_a_byte_order_mark_before_an_answer_is_ignored(serve: Serve, tmp_path: Path) -> None:
    def marked(request: Request) -> Answer:
        message = {"jsonrpc": "2.0", "id": request.json["id"], "result": SOLD}
        return http(200, json.dumps(message).encode("utf-8-sig"))

    assert called(serve(marked).url, tmp_path).text == "sold"
