"""Sessions of the revisions before 2026-07-28: begun, ended by the server in mid-talk, and left with a goodbye."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from demo.client.mcp import sdk_session
from deputize import StoredToken
from deputize.errors import ServerUnreachable
from deputize.http.errors import TimedOut
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, words
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]


class Sessions:
    """A server of the 2025-11-25 revision that forgets each session after so many calls.

    Args:
        calls: answered in each session.
        gone: the answer in a session that it has forgotten.
    """

    def __init__(self, calls: int, gone: Callable[[Request], Answer]) -> None:
        self._calls = calls
        self._gone = gone
        self._session = 0
        self._left = 0
        self.carried_out: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Answer:
        method = request.json.get("method")
        if request.method != "POST":
            return http(405)
        if method == "initialize":
            self._session += 1
            self._left = self._calls
            info = {"name": "sessions", "version": "1"}
            given = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            return result(request, given, mcp_session_id=f"s{self._session}")
        if "mcp-session-id" not in request.headers:
            return http(400, "no session", kind="text/plain")
        if request.headers["mcp-session-id"] != f"s{self._session}":
            return self._gone(request)
        if method != "tools/call":
            return http(202)
        if self._left == 0:
            return self._gone(request)
        self._left -= 1
        self.carried_out.append(request.json["params"]["arguments"])
        return result(request, words(f"sold {len(self.carried_out)}"))


GONE: dict[str, Callable[[Request], Answer]] = {
    "in JSON-RPC": lambda request: error(request, 404, -32001, "Session not found"),
    "in plain text": lambda _: http(404, "Session not found", kind="text/plain"),
}


def with_token(agent: Agent, url: str) -> Agent:
    token = StoredToken("access-token-1", None, time.time() + 60, (), url, f"{url}/token", "demo-agent")
    agent.store.put("agent", token)
    return agent


@pytest.mark.parametrize("kind", GONE)
def test_a_session_that_ends_in_mid_talk_is_begun_again(kind: str, serve: Serve, agent: Make) -> None:
    server = Sessions(2, GONE[kind])
    fake = serve(server)
    outcomes = with_token(agent(fake.url, timeout=5.0), fake.url).burst("buy", {}, at_most=3)
    assert [outcome.text for outcome in outcomes] == ["sold 1", "sold 2", "sold 3"]
    assert len(server.carried_out) == 3
    # What happened in between is on record with the call that it happened to.
    assert [exchange.status for exchange in outcomes[2].exchanges if exchange.method == "POST"] == [404, 200, 202, 200]
    assert {request.headers["mcp-protocol-version"] for request in fake.asked("tools/call")[1:]} == {"2025-06-18"}


@pytest.mark.parametrize("kind", GONE)
def test_a_server_that_forgets_every_session_is_not_followed_without_end(kind: str, serve: Serve, agent: Make) -> None:
    fake = serve(Sessions(0, GONE[kind]))
    if kind == "in JSON-RPC":
        outcome = agent(fake.url, timeout=5.0).call("buy", {}, token="none")
        assert (outcome.status, outcome.is_error, outcome.text) == (404, True, "Session not found")
    else:
        with pytest.raises(ServerUnreachable):
            agent(fake.url, timeout=5.0).call("buy", {}, token="none")
    in_a_session = [one for one in fake.asked("tools/call") if "mcp-session-id" in one.headers]
    assert len(in_a_session) == 2


def test_a_session_of_the_sdk_is_ended_with_a_goodbye(sdk_session: str, tmp_path: Path) -> None:
    agent = agent_at(sdk_session, tmp_path)
    outcome = agent.call("add", {"a": 20, "b": 22}, token="none")
    assert (outcome.status, outcome.text) == (200, "42")
    recorded = agent.recorder.take()
    last = recorded[-1]
    assert "DELETE" in {exchange.method for exchange in recorded}, last
    (goodbye,) = (exchange for exchange in recorded if exchange.method == "DELETE")
    sessions = {
        value for exchange in recorded for name, value in exchange.request_headers if name.lower() == "mcp-session-id"
    }
    assert len(sessions) == 1 and goodbye.status == 200


def test_a_stateless_server_of_the_sdk_is_called_in_one_request(sdk_today: str, tmp_path: Path) -> None:
    agent = agent_at(sdk_today, tmp_path)
    assert agent.call("add", {"a": 20, "b": 22}, token="none").text == "42"
    (exchange,) = agent.recorder.take()
    assert json.loads(exchange.request_body or "")["method"] == "tools/call"
    assert "mcp-session-id" not in {name.lower() for name, _ in exchange.request_headers}


def test_a_program_may_begin_with_the_handshake(sdk_today: str, tmp_path: Path) -> None:
    agent = agent_at(sdk_today, tmp_path, handshake=True)
    assert agent.call("add", {"a": 20, "b": 22}, token="none").text == "42"
    first, *_ = (exchange for exchange in agent.recorder.take() if exchange.method == "POST")
    assert json.loads(first.request_body or "")["method"] == "initialize"


def test_a_session_that_answered_for_this_call_is_not_taken_to_be_gone_at_a_400(serve: Serve, agent: Make) -> None:
    server = Sessions(2, lambda request: error(request, 400, -32000, "only two to a customer"))
    fake = serve(server)
    outcomes = with_token(agent(fake.url, timeout=5.0), fake.url).burst("buy", {}, at_most=3)
    assert [outcome.status for outcome in outcomes] == [200, 200, 400]
    assert len(fake.asked("initialize")) == 1


def test_a_server_that_answers_neither_a_call_nor_the_goodbye_is_waited_for_once(
    serve: Serve, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk_session, "GOODBYE", 600.0)  # of a server that answers
    server = Sessions(1, GONE["in JSON-RPC"])

    def stuck(request: Request) -> Answer:
        late = request.method == "DELETE" or (
            request.json.get("method") == "tools/call" and "mcp-session-id" in request.headers
        )
        return None if late else server(request)

    one = agent(serve(stuck).url, timeout=2.0, handshake=True)
    begun = time.monotonic()
    with pytest.raises(TimedOut):
        one.call("buy", {}, token="none")
    assert time.monotonic() - begun < HANGS
