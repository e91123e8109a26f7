"""Servers that are silent, slow, endless, broken or something else: each ends in words, within the bound."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from demo.client import Agent
from deputize.errors import ExplainedError, ServerUnreachable, UsageError
from deputize.http.errors import NoConnection
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http, result, told, words

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]


def drip(head: bytes, unit: bytes = b" ") -> Iterator[bytes]:
    yield head
    while True:
        time.sleep(0.05)
        yield unit


def endless(head: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(1600):
        yield b"x" * 65536


def cut(request: Request) -> Iterator[bytes]:
    yield b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"jsonrpc": "2.0", '


def headers_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(200_000):
        yield f"x-{number}: {'y' * 100}\r\n".encode()


def early_hints() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 50


def events_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    note = b'data: {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hm"}}\n\n'
    while True:
        yield note * 200


def one_event_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: "
    while True:
        yield b"x" * 65536


HTML = "<!DOCTYPE html><html><title>Welcome to the hotel</title></html>"
DEEP = '{"jsonrpc":"2.0","id":1,"result":' + "[" * 100_000 + "]" * 100_000 + "}"
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

ZLIB_BOMB = zlib.compress(bytes(104_857_600), 1)
BOMB = gzip.compress(bytes(104_857_600), 1)  # made once: made for each request, it would be the slow part

SERVERS: dict[str, tuple[Callable[[Request], Answer], str]] = {
    "accepts and never answers": (lambda _: None, "did not answer"),
    "drips its headers": (lambda _: drip(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), "did not answer"),
    "drips its body": (lambda _: drip(JSON_HEAD + b"content-length: 100000\r\n\r\n"), "did not answer"),
    "drips events": (
        lambda _: drip(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b": still here\n\n"),
        "did not answer",
    ),
    "sends 100 MB": (lambda _: endless(JSON_HEAD + b"content-length: 104857600\r\n\r\n"), "cannot be read"),
    "unpacks to 100 MB": (
        lambda _: http(200, BOMB, content_encoding="gzip"),
        "cannot be read",
    ),
    "unpacks to 100 MB in two layers": (
        lambda _: http(200, gzip.compress(BOMB), content_encoding="gzip, gzip"),
        "cannot be read",
    ),
    "deflates to 100 MB": (lambda _: http(200, ZLIB_BOMB, content_encoding="deflate"), "cannot be read"),
    "compresses as nobody asked for": (lambda _: http(200, b"\x8b\x00\x80", content_encoding="br"), "cannot be read"),
    "sends headers without end": (lambda _: headers_without_end(), "cannot be reached"),
    "hints without end": (lambda _: early_hints(), "did not answer"),
    "sends events without end": (lambda _: events_without_end(), "cannot be read|did not answer"),
    "sends one event without end": (lambda _: one_event_without_end(), "cannot be read"),
    "accepts and says no more": (lambda _: http(202), "does not answer as an MCP server"),
    "answers in a type that nobody knows": (
        lambda _: http(200, b"\x00\x01", kind="application/x-surprise"),
        "does not answer as an MCP server",
    ),
    "answers in a type that is none": (lambda _: http(200, b"\xff\xfe", kind="\x1b[2J"), ""),
    "answers another request": (
        lambda _: told(200, {"jsonrpc": "1.0", "id": 99, "result": {}}),
        "does not answer as an MCP server",
    ),
    "compresses brokenly": (lambda _: http(200, b"not gzip at all", content_encoding="gzip"), "cannot be read"),
    "redirects to itself without end": (lambda r: http(307, location=r.path), "does not answer as an MCP server"),
    "redirects elsewhere": (lambda _: http(307, location="http://127.0.0.1:9/mcp"), "does not answer as an MCP server"),
    "redirects to nonsense": (lambda _: http(307, location="http://[oops"), ""),
    "is a captive portal": (lambda _: http(200, HTML, kind="text/html"), "web page where JSON was due"),
    "is a captive portal that says 404": (lambda _: http(404, HTML, kind="text/html"), "web page where JSON was due"),
    "has no such path": (lambda _: http(404, "not here", kind="text/plain"), "does not answer as an MCP server"),
    "speaks another JSON": (lambda _: told(200, {"hello": "world"}), "does not answer as an MCP server"),
    "sends a JSON list": (lambda _: told(200, [1, 2]), "does not answer as an MCP server"),
    "nests without end": (lambda _: http(200, DEEP), "does not answer as an MCP server"),
    "sends nothing in JSON's name": (lambda _: http(200, ""), "does not answer as an MCP server"),
    "cuts its answer off": (cut, "cannot be read"),
    "is no HTTP server": (lambda _: iter([b"220 mail.example.com ESMTP\r\n"]), "cannot be reached"),
    "hangs up": (lambda _: iter([]), "cannot be reached"),
}


def patience(kind: str) -> float:
    """Seconds for an agent's call: few only where it is the end of them that is looked at."""
    return 2.0 if "did not answer" in SERVERS[kind][1] else HANGS / 3


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that(kind: str, serve: Serve, agent: Make, capfd: pytest.CaptureFixture[str]) -> None:
    answer, says = SERVERS[kind]
    fake = serve(answer)
    begun = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        agent(fake.url, timeout=patience(kind)).call("buyMcpShopItem", {}, token="none")
    assert time.monotonic() - begun < HANGS
    assert re.search(says, caught.value.what)
    assert caught.value.why and caught.value.do
    # Once: the shirt may have been bought already. Only a redirect within the origin carries it further.
    times = 4 if "itself without end" in kind else 1
    assert len(fake.asked("tools/call")) == times
    assert capfd.readouterr() == ("", ""), "the terminal is a stage: nothing but evidence is on it"


def test_a_server_that_is_not_there(agent: Make) -> None:
    with pytest.raises(NoConnection) as caught:
        agent("http://127.0.0.1:9").tools(token="none")
    assert "127.0.0.1:9" in caught.value.what


@pytest.mark.parametrize("server", ["127.0.0.1:7327", "ftp://127.0.0.1", "", "http://[oops", "file:///etc/passwd"])
def test_what_is_no_url_is_said_to_be_none(server: str, agent: Make) -> None:
    with pytest.raises(UsageError):
        agent(server)


def test_a_failed_exchange_is_on_record_with_its_failure(serve: Serve, agent: Make) -> None:
    fake = serve(cut)
    one = agent(fake.url)
    with pytest.raises(ServerUnreachable):
        one.call("buyMcpShopItem", {}, token="none")
    (exchange,) = one.recorder.take()
    assert (exchange.status, exchange.response_body) == (200, '{"jsonrpc": "2.0", ')
    assert exchange.error
    assert one.recorder.exchanges == []


def test_a_servers_text_cannot_drive_the_terminal(serve: Serve, agent: Make) -> None:
    nasty = "\x1b]0;owned\x07\x1b[2Jhello \u202eworld"
    fake = serve(lambda request: result(request, words(nasty), x_odd="a\x9b\x1bb"))
    one = agent(fake.url)
    outcome = one.call("listMcpShopInventory", {}, token="none")
    assert outcome.text == "\u241b]0;owned\u2407\u241b[2Jhello <U+202E>world"
    (exchange,) = one.recorder.exchanges
    assert exchange.response_body and "hello" in exchange.response_body
    shown = exchange.response_body + "".join(name + value for name, value in exchange.response_headers)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_a_refusal_of_another_shape_is_an_outcome_all_the_same(serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: http(403, "Forbidden by the gateway", kind="text/plain"))
    outcome = agent(fake.url).call("buyMcpShopItem", {}, token="none")
    assert (outcome.status, outcome.is_error, outcome.decision, outcome.challenge) == (403, True, None, None)
    assert outcome.text == "HTTP 403: Forbidden by the gateway"


@pytest.mark.parametrize(
    "decision",
    [
        {},
        "allow",
        {"audit_id": 1, "at": "now", "verdict": "allow", "gate": "door", "rule": "r", "reason": "x"},
        {"audit_id": "a", "at": 1, "verdict": "perhaps", "gate": "door", "rule": "r", "reason": "x"},
        {"audit_id": "a", "at": 1e400, "verdict": "allow", "gate": "door", "rule": "r", "reason": "x"},
        {"audit_id": "a", "at": 1, "verdict": "allow", "gate": "door", "rule": "r", "reason": "x", "user": [1]},
    ],
)
def test_a_decision_that_is_malformed_is_none(decision: object, serve: Serve, agent: Make) -> None:
    meta = {"demo/decision": decision, "demo/limits": [{"name": "rate", "used": "many"}, 7]}
    fake = serve(lambda request: result(request, words("hello") | {"_meta": meta}))
    outcome = agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert (outcome.decision, outcome.limits, outcome.text) == (None, (), "hello")


@pytest.mark.parametrize("kind", ["accepts and never answers", "drips its body", "sends 100 MB", "is a captive portal"])
def test_an_authorization_server_that(kind: str, serve: Serve, agent: Make) -> None:
    fake = serve(
        lambda request: http(401, www_authenticate="Bearer") if request.path == "/mcp" else SERVERS[kind][0](request)
    )
    begun = time.monotonic()
    with pytest.raises(ExplainedError) as caught:
        agent(fake.url, timeout=patience(kind)).start_login(["shop:read"])
    assert time.monotonic() - begun < HANGS
    assert caught.value.exit_code in (4, 5) and caught.value.why and caught.value.do


def test_a_huge_result_within_the_bound_is_read_and_recorded_in_part(serve: Serve, agent: Make) -> None:
    fake = serve(lambda request: result(request, words("\x7f" + "x" * 3_000_000)))
    outcome = agent(fake.url).call("listMcpShopInventory", {}, token="none")
    assert (outcome.status, len(outcome.text)) == (200, 3_000_001)
    body = outcome.exchanges[-1].response_body or ""
    assert len(body) < 70_000 and body.endswith("bytes in all]")


def test_a_large_result_in_one_event_is_read_like_any_other(serve: Serve, agent: Make) -> None:
    def stream(request: Request) -> Answer:
        done = result(request, words("x" * 2_000_000)).partition(b"\r\n\r\n")[2]
        return http(200, b"data: " + done + b"\n\n", kind="text/event-stream")

    outcome = agent(serve(stream).url).call("listMcpShopInventory", {}, token="none")
    assert (outcome.status, len(outcome.text)) == (200, 2_000_000)


def test_a_list_that_goes_on_without_end_is_cut_and_says_so(serve: Serve, agent: Make) -> None:
    def pages(request: Request) -> Answer:
        tool = {"name": f"tool{len(fake.requests)}", "inputSchema": {"type": "object"}}
        page = {"tools": [tool], "nextCursor": f"\x1b{len(fake.requests)}", "resultType": "complete"}
        return result(request, page | {"ttlMs": 0, "cacheScope": "private"})

    fake = serve(pages)
    listed = agent(fake.url).tools(token="none")
    assert (len(listed.tools), listed.more, len(fake.requests)) == (20, True, 20)


def test_a_list_that_drips_without_end_is_bounded(serve: Serve, agent: Make) -> None:
    def pages(request: Request) -> Answer:
        time.sleep(0.4)
        page = {"tools": [], "nextCursor": "more", "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return result(request, page)

    begun = time.monotonic()
    with pytest.raises(ServerUnreachable):
        agent(serve(pages).url, timeout=1.0).tools(token="none")
    assert time.monotonic() - begun < HANGS
