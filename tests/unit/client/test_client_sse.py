"""Servers of the HTTP+SSE transport of 2024-11-05: found by themselves, read from the record, bounded."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from demo.client.mcp.reply import CUT
from deputize import Secret
from deputize.errors import ServerUnreachable
from deputize.http.errors import NotMcp, TimedOut, Unreadable
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
BASE = "http://127.0.0.1"


class Events:
    """A server of the old transport, by hand: its `messages` and its stream do as a test says.

    Args:
        endpoint: the data of the first event.
        call: answers the POST of a `tools/call`, beside what goes on the stream.
    """

    def __init__(
        self, endpoint: str = "/messages?sessionId=1", call: Callable[[Request], Answer] | None = None
    ) -> None:
        self._endpoint = endpoint
        self._call = call
        self._stream: queue.Queue[bytes] = queue.Queue()

    def __call__(self, request: Request) -> Answer:
        if request.method == "GET":
            return self._events()
        if request.path == "/sse":
            return http(405, "Method Not Allowed", kind="text/plain")
        method = request.json.get("method")
        if method == "tools/call" and self._call is not None:
            return self._call(request)
        if method == "initialize":
            info = {"name": "events", "version": "1"}
            self.say(request, {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": info})
        elif method == "tools/call":
            self.say(request, {"content": [{"type": "text", "text": f"call {request.json['id']}"}]})
        return http(202, "Accepted", kind="text/plain")

    def say(self, request: Request, result: dict[str, Any]) -> None:
        message = json.dumps({"jsonrpc": "2.0", "id": request.json["id"], "result": result})
        self._stream.put(f"event: message\r\ndata: {message}\r\n\r\n".encode())

    def _events(self) -> Iterator[bytes]:
        yield STREAM
        yield f": hello\r\n\r\nevent: endpoint\r\ndata: {self._endpoint}\r\n\r\n".encode()
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                yield self._stream.get(timeout=0.05)
            except queue.Empty:
                yield b": still here\r\n\r\n"


def sent(fake: BytesFake) -> list[str]:
    return [request.json.get("method") or request.method for request in fake.requests]


def test_a_server_of_the_sdk_is_called_over_its_stream(sdk_events: str, tmp_path: Path) -> None:
    agent = agent_at(sdk_events, tmp_path)
    outcome = agent.call("add", {"a": 20, "b": 22}, token="none")
    assert (outcome.status, outcome.text, outcome.allowed) == (200, "42", True)
    # The answer is on record where it came: on the stream, after the request that was merely accepted.
    *_, accepted, answer = outcome.exchanges
    assert (accepted.method, accepted.status) == ("POST", 202)
    assert (answer.method, answer.url, answer.status) == ("GET", sdk_events, 200)
    assert "42" in (answer.response_body or "") and "endpoint" not in (answer.response_body or "")
    assert [tool.name for tool in agent.tools(token="none").tools] == ["add", "shirt"]


def test_what_was_found_out_is_kept(sdk_events: str, tmp_path: Path) -> None:
    agent = agent_at(sdk_events, tmp_path)
    agent.call("add", {"a": 1, "b": 1}, token="none")
    agent.recorder.take()
    agent.call("add", {"a": 1, "b": 1}, token="none")
    asked = [(one.method, json.loads(one.request_body or "{}").get("method")) for one in agent.recorder.take()]
    assert asked == [
        ("POST", "initialize"),
        ("POST", "notifications/initialized"),
        ("POST", "tools/call"),
        ("GET", None),
    ]


def test_a_refused_stream_is_read_from_the_record(sdk_events: str, tmp_path: Path) -> None:
    url = sdk_events.replace("/sse", "/guarded/sse")
    agent = agent_at(url, tmp_path)
    begun = time.monotonic()
    outcome = agent.call("add", {"a": 1, "b": 1}, token="none")
    assert (outcome.status, outcome.is_error) == (401, True)
    assert outcome.challenge is not None and outcome.challenge.get("scope") == "shop:read"
    assert time.monotonic() - begun < HANGS
    token = agent.call("add", {"a": 1, "b": 1}, token=Secret("a-token-of-some-length"))
    assert (token.status, token.text) == (200, "2")


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_refused_call_is_one_request_and_told_at_once(status: int, serve: Serve, agent: Make) -> None:
    def refuse(request: Request) -> Answer:
        return http(status, "no", kind="text/plain", retry_after="7", www_authenticate='Bearer realm="events"')

    fake = serve(Events(call=refuse))
    begun = time.monotonic()
    outcome = agent(f"{fake.url}/sse", timeout=600.0).call("buy", {}, token="none")
    assert (outcome.status, outcome.is_error, outcome.retry_after) == (status, True, 7.0)
    assert time.monotonic() - begun < HANGS, "the answer that will not come on the stream was waited for"
    assert outcome.exchanges[-1].status == status
    assert sent(fake).count("tools/call") == 2  # the first to the stream's URL, which takes none (405)


def test_a_call_that_hangs_up_is_not_made_again(serve: Serve, agent: Make) -> None:
    fake = serve(Events(call=lambda _: iter([])))
    begun = time.monotonic()
    with pytest.raises(ServerUnreachable):
        agent(f"{fake.url}/sse", timeout=600.0).call("buy", {}, token="none")
    assert [request.path for request in fake.asked("tools/call")] == ["/sse", "/messages?sessionId=1"]
    assert time.monotonic() - begun < HANGS


def test_an_accepted_call_without_an_answer_is_not_made_again(serve: Serve, agent: Make) -> None:
    fake = serve(Events(call=lambda _: http(202)))
    with pytest.raises(TimedOut):
        agent(f"{fake.url}/sse", timeout=1.0).call("buy", {}, token="none")
    assert len(fake.asked("tools/call")) == 2


def test_answers_of_a_burst_are_told_apart(serve: Serve, agent: Make) -> None:
    fake = serve(Events())
    one = agent(f"{fake.url}/sse", timeout=600.0)
    from deputize import StoredToken

    url = f"{fake.url}/sse"
    one.store.put("agent", StoredToken("access-token-1", None, time.time() + 60, (), url, f"{url}/token", "demo-agent"))
    outcomes = one.burst("buy", {}, at_most=3)
    assert [outcome.status for outcome in outcomes] == [200, 200, 200]
    assert len({outcome.text for outcome in outcomes}) == 3
    for outcome in outcomes:
        assert outcome.text in (outcome.exchanges[-1].response_body or "")
    # At the URL itself, which takes no POST, and on the stream: one for the three calls.
    assert sent(fake).count("initialize") == 2


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://evil.example/messages",
        "//evil.example/messages",
        "http://127.0.0.1:9/messages",
        "http://[oops",
        "file:///m",
    ],
)
def test_an_endpoint_at_another_origin_is_refused(endpoint: str, serve: Serve, agent: Make) -> None:
    fake = serve(Events(endpoint))
    one = agent(f"{fake.url}/sse", timeout=600.0)
    begun = time.monotonic()
    with pytest.raises(NotMcp):
        one.call("buy", {}, token=Secret("a-token-of-some-length"))
    assert time.monotonic() - begun < HANGS
    assert sent(fake) == ["tools/call", "initialize", "GET"]
    assert {exchange.url for exchange in one.recorder.take()} == {f"{fake.url}/sse"}, "the token went there, too"


def silent() -> Iterator[bytes]:
    yield STREAM
    time.sleep(600)


def flood() -> Iterator[bytes]:
    yield STREAM
    while True:
        yield b"x" * 65536


STREAMS: dict[str, Callable[[], Answer]] = {
    "is none": lambda: http(404, "not here", kind="text/plain"),
    "is a page": lambda: http(200, "<html>Welcome</html>", kind="text/html"),
    "says nothing": silent,
    "begins with something else": lambda: http(200, "event: message\ndata: {}\n\n", kind="text/event-stream"),
    "ends before it begins": lambda: http(200, "", kind="text/event-stream"),
    "has no end to its first event": flood,
    "redirects elsewhere": lambda: http(307, location="http://127.0.0.1:9/sse"),
    "redirects to itself": lambda: http(307, location="/sse"),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_where_the_stream(kind: str, serve: Serve, agent: Make, capfd: pytest.CaptureFixture[str]) -> None:
    def answer(request: Request) -> Answer:
        return http(405, "Method Not Allowed", kind="text/plain") if request.method == "POST" else STREAMS[kind]()

    fake = serve(answer)
    begun = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        agent(f"{fake.url}/sse", timeout=2.0).call("buy", {}, token="none")
    assert time.monotonic() - begun < HANGS
    assert isinstance(caught.value, TimedOut) or getattr(caught.value, "status", None) == 405
    assert len(fake.asked("tools/call")) == 1
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_ends_before_the_answer_is_not_called_late(serve: Serve, agent: Make) -> None:
    """Only a deadline is late."""
    events = Events()
    ended = threading.Event()

    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return itertools.takewhile(lambda _: not ended.is_set(), events._events())
        if request.path != "/sse" and request.json.get("method") == "tools/call":
            ended.set()
            return http(202)
        return events(request)

    fake = serve(answer)
    with pytest.raises(Unreadable) as caught:
        agent(f"{fake.url}/sse", timeout=600.0).call("buy", {}, token="none")
    assert caught.value.why == CUT


def test_an_answer_that_is_a_stream_and_ends_without_one_is_not_called_late(serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: http(200, ": nothing today\n\n", kind="text/event-stream"))
    with pytest.raises(Unreadable) as caught:
        agent(fake.url, timeout=600.0).call("buy", {}, token="none")
    assert caught.value.why == CUT
    assert len(fake.asked("tools/call")) == 1
