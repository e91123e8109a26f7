"""Which revision of MCP is spoken: the newest in one exchange, an older one only for a server that says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from demo.client import Agent
from demo.client.mcp.reply import UnexpectedAnswer
from deputize.http.errors import NoConnection
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, words

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]
TOOL = {"name": "listMcpShopInventory", "description": "What there is", "inputSchema": {"type": "object"}}
GOODBYE = http(204)


class OldServer:
    """A server of the 2025-11-25 revision, with sessions: whatever comes outside one is refused as it says.

    Args:
        refusal: the answer to a request outside a session.
        goodbye: the answer to the end of a session.
    """

    def __init__(self, refusal: Callable[[Request], Answer], goodbye: Answer = GOODBYE) -> None:
        self._refusal = refusal
        self._goodbye = goodbye

    def __call__(self, request: Request) -> Answer:
        if request.method == "DELETE":
            return self._goodbye
        if request.method == "GET":
            return http(405)
        method = request.json.get("method")
        if method == "initialize":
            info = {"name": "old", "version": "1"}
            given = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
            return result(request, given, mcp_session_id="s1")
        if request.headers.get("mcp-session-id") != "s1":
            return self._refusal(request)
        if method == "notifications/initialized":
            return http(202)
        if method == "tools/list":
            return result(request, {"tools": [TOOL]})
        return result(request, {"content": [{"type": "text", "text": "one shirt"}]})


def bad_request(request: Request) -> Answer:
    return error(request, 400, -32000, "Bad Request: Server not initialized")


REFUSALS: dict[str, Callable[[Request], Answer]] = {
    "wants a session, as the TypeScript SDK does": bad_request,
    "names the versions it knows": lambda r: error(r, 400, -32022, "Unsupported protocol version"),
    "does not know the method": lambda r: error(r, 200, -32601, "Method not found"),
    "has no such session": lambda r: error(r, 404, -32001, "Session not found"),
    "says it in plain text, as the Go SDK does": lambda _: http(400, "unsupported protocol version", kind="text/plain"),
}


def sent_as(request: Request) -> str:
    return request.json.get("method") or request.method


def sent(fake: BytesFake) -> list[str]:
    return [sent_as(request) for request in fake.requests]


def test_a_call_at_a_server_of_today_is_one_request_that_names_its_tool(serve: Serve, agent: Make) -> None:
    fake = serve(lambda request: result(request, words("one shirt")))
    outcome = agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert outcome.text == "one shirt"
    (request,) = fake.requests
    assert request.headers["mcp-method"] == "tools/call"
    assert request.headers["mcp-name"] == "listMcpShopInventory"
    assert request.headers["mcp-protocol-version"] == "2026-07-28"
    assert "authorization" not in request.headers
    assert [exchange.status for exchange in outcome.exchanges] == [200]


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_older_server_that(kind: str, serve: Serve, agent: Make) -> None:
    fake = serve(OldServer(REFUSALS[kind]))
    one = agent(fake.url)
    outcome = one.call("listMcpShopInventory", {}, token="none")
    assert (outcome.status, outcome.text, outcome.is_error) == (200, "one shirt", False)
    assert outcome.exchanges[-1].status == 200
    assert "one shirt" in (outcome.exchanges[-1].response_body or "")
    # What was learned is kept: the next call begins with the handshake at once.
    fake.requests.clear()
    assert one.call("listMcpShopInventory", {}, token="none").text == "one shirt"
    posted = [method for method in sent(fake) if method not in ("GET", "DELETE")]
    assert posted == ["initialize", "notifications/initialized", "tools/call"]
    assert [tool.name for tool in one.tools(token="none").tools] == ["listMcpShopInventory"]


@pytest.mark.parametrize("kind", ["wants a session, as the TypeScript SDK does", "does not know the method"])
def test_a_server_that_lists_without_a_session_is_called_in_one(kind: str, serve: Serve, agent: Make) -> None:
    older = OldServer(REFUSALS[kind])
    listed = {"tools": [TOOL], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    fake = serve(lambda request: result(request, listed) if "list" in sent_as(request) else older(request))
    one = agent(fake.url)
    assert [tool.name for tool in one.tools(token="none").tools] == ["listMcpShopInventory"]
    assert one.call("listMcpShopInventory", {}, token="none").text == "one shirt"


@pytest.mark.parametrize("goodbye", [None, http(500), http(405)])
def test_an_answer_is_not_lost_to_a_server_that_is_slow_to_part(goodbye: Answer, serve: Serve, agent: Make) -> None:
    fake = serve(OldServer(bad_request, goodbye))
    begun = time.monotonic()
    outcome = agent(fake.url, timeout=600.0).call("listMcpShopInventory", {}, token="none")
    assert outcome.text == "one shirt"
    assert time.monotonic() - begun < HANGS


def test_bad_arguments_are_told_and_not_sent_again(serve: Serve, agent: Make) -> None:
    fake = serve(lambda request: error(request, 400, -32602, "tshirtSize: XS is not one of S, M, L"))
    outcome = agent(fake.url).call("buyMcpShopItem", {"tshirtSize": "XS"}, token="none")
    assert (outcome.status, outcome.is_error) == (400, True)
    assert outcome.text == "tshirtSize: XS is not one of S, M, L"
    assert sent(fake) == ["tools/call"]


def test_a_server_that_speaks_no_revision_of_ours_is_told_by_its_first_answer(serve: Serve, agent: Make) -> None:
    fake = serve(lambda request: error(request, 400, -32022, "Only 2031-01-01 is spoken here"))
    outcome = agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert (outcome.status, outcome.text) == (400, "Only 2031-01-01 is spoken here")


def test_a_plain_400_of_a_web_server_is_no_mcp_server(serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: http(400, "bad request", kind="text/plain"))
    with pytest.raises(UnexpectedAnswer) as caught:
        agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert caught.value.status == 400


def test_a_server_that_wants_arguments_in_headers_gets_them_after_one_look_at_its_list(
    serve: Serve, agent: Make
) -> None:
    size = {"type": "string", "x-mcp-header": "Size"}
    tool = TOOL | {"inputSchema": {"type": "object", "properties": {"size": size}}}

    def strict(request: Request) -> Answer:
        if request.json.get("method") == "tools/list":
            listed = {"tools": [tool], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
            return result(request, listed)
        if request.headers.get("mcp-param-size") != "M":
            return error(request, 400, -32020, "Header mismatch")
        return result(request, words("got it"))

    fake = serve(strict)
    outcome = agent(fake.url).call("listMcpShopInventory", {"size": "M"}, token="none")
    assert outcome.text == "got it"
    assert sent(fake) == ["tools/call", "tools/list", "tools/call"]


def test_a_list_that_does_not_name_the_tool_is_not_taken_for_its_answer(serve: Serve, agent: Make) -> None:
    def strict(request: Request) -> Answer:
        if request.json.get("method") == "tools/list":
            return result(request, {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
        return error(request, 400, -32020, "Header mismatch")

    fake = serve(strict)
    outcome = agent(fake.url).call("listMcpShopInventory", {"size": "M"}, token="none")
    assert (outcome.status, outcome.is_error, outcome.text) == (400, True, "Header mismatch")
    assert sent(fake) == ["tools/call", "tools/list", "tools/call"]


def test_an_answer_in_a_stream_of_events_is_read_as_well(serve: Serve, agent: Make) -> None:
    def stream(request: Request) -> Answer:
        note = '{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hm"}}'
        done = result(request, words("streamed")).partition(b"\r\n\r\n")[2].decode()
        return http(200, f": hello\n\nevent: message\ndata: {note}\n\ndata: {done}\n\n", kind="text/event-stream")

    outcome = agent(serve(stream).url).call("listMcpShopInventory", {}, token="none")
    assert (outcome.status, outcome.text) == (200, "streamed")


def test_a_redirect_within_the_origin_is_followed(serve: Serve, agent: Make) -> None:
    def moved(request: Request) -> Answer:
        return http(307, location="/mcp/") if request.path == "/mcp" else result(request, words("here"))

    outcome = agent(serve(moved).url).call("listMcpShopInventory", {}, token="none")
    assert outcome.text == "here"
    assert [exchange.status for exchange in outcome.exchanges] == [307, 200]


def test_pages_of_tools_are_walked_and_end(serve: Serve, agent: Make) -> None:
    def pages(request: Request) -> Answer:
        listed: dict[str, Any] = {"tools": [TOOL], "nextCursor": "again"}
        return result(request, listed | {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"})

    fake = serve(pages)
    assert len(agent(fake.url, timeout=5.0).tools(token="none").tools) == 20
    assert len(fake.requests) == 20


def test_a_burst_is_one_session_and_stops_at_the_first_refusal(serve: Serve, agent: Make) -> None:
    def limited(request: Request) -> Answer:
        if len(fake.requests) > 3:
            return error(request, 429, -32029, "Refused by the limits gate", retry_after="7")
        return result(request, words("yes"))

    fake = serve(limited)
    one = agent(fake.url)
    from deputize import StoredToken

    token = StoredToken("access-token-1", None, time.time() + 60, (), fake.url, f"{fake.url}/token", "demo-agent")
    one.store.put("agent", token)
    outcomes = one.burst("listMcpShopInventory", {}, at_most=9)
    assert [outcome.status for outcome in outcomes] == [200, 200, 200, 429]
    assert outcomes[-1].retry_after == 7.0
    assert all(len(outcome.exchanges) == 1 for outcome in outcomes)
    assert {request.headers["authorization"] for request in fake.requests} == {"Bearer access-token-1"}


def test_a_server_that_goes_away_is_not_asked_in_another_revision(serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: iter([]))
    with pytest.raises(NoConnection):
        agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert len(fake.requests) == 1


def test_a_raw_token_is_not_taken_for_a_word(serve: Serve, agent: Make) -> None:
    with pytest.raises(ValueError, match="Secret"):
        agent(serve(lambda _: None).url).call("listMcpShopInventory", {}, token="eyJhbGciOi")


def strict_about_size(request: Request) -> Answer:
    """A server whose tool wants its size in a header, and which lists another tool that says so wrongly."""
    size = {"type": "string", "x-mcp-header": "Size"}
    wrong = {"type": "object", "x-mcp-header": "Si ze\x1b[2J"}
    if request.json.get("method") == "tools/list":
        tools = [
            TOOL | {"inputSchema": {"type": "object", "properties": {"size": size}}},
            {"name": "wrong\x1b[2J", "inputSchema": {"type": "object", "properties": {"size": wrong}}},
        ]
        return result(request, {"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
    if request.headers.get("mcp-param-size") != "M":
        return error(request, 400, -32020, "Header mismatch")
    return result(request, words("got it"))


def test_what_a_list_has_said_of_headers_is_kept_for_the_next_call(serve: Serve, agent: Make) -> None:
    fake = serve(strict_about_size)
    one = agent(fake.url)
    one.tools(token="none")
    fake.requests.clear()
    assert one.call("listMcpShopInventory", {"size": "M"}, token="none").text == "got it"
    assert sent(fake) == ["tools/list", "tools/call"]  # looked up first, and not refused first


def test_a_tool_that_is_wrong_about_headers_is_left_out_and_named_with_the_reason(serve: Serve, agent: Make) -> None:
    listed = agent(serve(strict_about_size).url).tools(token="none")
    assert [tool.name for tool in listed.tools] == ["listMcpShopInventory"]
    ((name, reason),) = listed.left_out.items()
    assert name == "wrong\u241b[2J" and "token" in reason and "\x1b" not in reason
    assert list(listed.schemas) == ["listMcpShopInventory"]


def test_an_older_server_knows_nothing_of_headers_and_keeps_its_tools(serve: Serve, agent: Make) -> None:
    odd = TOOL | {"inputSchema": {"type": "object", "properties": {"size": {"x-mcp-header": ""}}}}

    class Odd(OldServer):
        def __call__(self, request: Request) -> Answer:
            if request.json.get("method") == "tools/list" and "mcp-session-id" in request.headers:
                return result(request, {"tools": [odd]})
            return super().__call__(request)

    listed = agent(serve(Odd(bad_request)).url).tools(token="none")
    assert ([tool.name for tool in listed.tools], listed.left_out) == (["listMcpShopInventory"], {})
