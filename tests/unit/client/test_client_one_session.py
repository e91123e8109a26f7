"""One session for several conversations of the revisions before 2026-07-28, and what is remembered of a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from deputize import Secret, StoredToken, TokenStore
from deputize.errors import ServerUnreachable
from deputize.http.known_servers import KEPT, KEPT_SECONDS, Memory
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, words
from tests.unit.client.conftest import older_server

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
ALICE, BOB = Secret("access-token-of-alice"), Secret("access-token-of-bob")


class Stateful:
    """A server of the 2025-11-25 revision that counts the calls of each session, and forgets sessions when told to.

    Args:
        gone: the answer in a session that it does not know.
    """

    def __init__(self, gone: Callable[[Request], Answer]) -> None:
        self._gone = gone
        self.calls: dict[str, int] = {}
        self.ids: dict[str, list[int]] = {}

    def __call__(self, request: Request) -> Answer:
        method, session = request.json.get("method"), request.headers.get("mcp-session-id", "")
        if request.method == "DELETE":
            self.calls.pop(session, None)
            return http(204)
        if request.method == "GET":
            return http(405)
        if method == "initialize":
            session = f"s{len(self.ids) + 1}"
            self.calls[session], self.ids[session] = 0, [request.json["id"]]
            given = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
            return result(request, given, mcp_session_id=session)
        if not session:
            return http(400, "no session", kind="text/plain")
        if session not in self.calls:
            return self._gone(request)
        if method != "tools/call":
            return http(202)
        self.ids[session].append(request.json["id"])
        self.calls[session] += 1
        return result(request, words(f"{session}: {self.calls[session]}"))


GONE: dict[str, Callable[[Request], Answer]] = {
    "404": lambda request: error(request, 404, -32001, "Session not found"),
    "400, as the examples of the TypeScript SDK": lambda request: error(request, 400, -32000, "No valid session"),
}


def agent_at(fake: BytesFake, folder: Path, **given: Any) -> Agent:
    store = TokenStore.open(folder, server=fake.url, use_keyring=False)
    return Agent(fake.url, store=store, timeout=5.0, **given)


def count(agent: Agent, token: Any = ALICE) -> str:
    return agent.call("count", {}, token=token).text


def sent(fake: BytesFake) -> list[str]:
    return [request.json.get("method") or request.method for request in fake.requests if request.method != "GET"]


def test_what_a_call_did_in_the_session_is_there_for_the_next(serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE["404"])
    fake = serve(server)
    one = agent_at(fake, tmp_path)
    with one.one_session():
        assert [count(one) for _ in range(3)] == ["s1: 1", "s1: 2", "s1: 3"]
        assert sent(fake).count("initialize") == 1
        assert ALICE.value not in repr(one._session.resumable.keys())
    assert sent(fake)[-1] == "DELETE", "the session is ended"
    assert len(set(server.ids["s1"])) == 4, "no request id is used twice in a session"
    assert count(one) == "s2: 1"


@pytest.mark.parametrize("kind", GONE)
def test_a_session_that_the_server_lost_is_begun_again(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE[kind])
    one = agent_at(serve(server), tmp_path)
    with one.one_session():
        assert count(one) == "s1: 1"
        server.calls.clear()
        assert [count(one), count(one)] == ["s2: 1", "s2: 2"]


def test_a_session_is_not_gone_on_in_with_another_authorization_server(serve: Serve, tmp_path: Path) -> None:
    one = agent_at(serve(Stateful(GONE["404"])), tmp_path)
    with one.one_session():
        assert [count(one, who) for who in (ALICE, BOB, "none", ALICE)] == ["s1: 1", "s2: 1", "s3: 1", "s1: 2"]


def test_the_sdks_own_server_goes_on_in_the_session(tmp_path: Path) -> None:
    with older_server("stream") as url:
        one = Agent(url, store=TokenStore.open(tmp_path, server=url, use_keyring=False))
        with one.one_session():
            sums = [one.call("add", {"a": number, "b": 1}, token="none").text for number in range(3)]
            begun = [exchange for exchange in one.recorder.exchanges if '"initialize"' in (exchange.request_body or "")]
    assert (sums, len(begun)) == (["1", "2", "3"], 1)


def test_the_next_command_knows_which_revision_a_server_wants(serve: Serve, tmp_path: Path) -> None:
    fake = serve(Stateful(GONE["404"]))
    count(agent_at(fake, tmp_path, memory=Memory(tmp_path)))
    fake.requests.clear()
    count(agent_at(fake, tmp_path, memory=Memory(tmp_path)))
    assert sent(fake) == ["initialize", "notifications/initialized", "tools/call", "DELETE"]
    assert (tmp_path / "servers.json").stat().st_mode & 0o777 == 0o600


def test_a_server_that_has_moved_on_is_found_out_again(serve: Serve, tmp_path: Path) -> None:
    """It spoke 2025-11-25; now it is of the newest revision and knows no handshake."""

    def modern(request: Request) -> Answer:
        if request.json.get("method") != "tools/call" or "mcp-method" not in request.headers:
            return error(request, 404, -32601, "Method not found")
        return result(request, words("modern"))

    fake = serve(modern)
    Memory(tmp_path).learn(f"{fake.url}/mcp", "legacy")
    one = agent_at(fake, tmp_path, memory=Memory(tmp_path))
    assert count(one) == "modern"
    assert Memory(tmp_path).spoken(f"{fake.url}/mcp") is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"servers": []}', '{"servers": {"u": 1}}', '{"servers": {"u": {"mode": 7, "at": "x"}}}']
)
def test_a_memory_that_cannot_be_read_is_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text(content)
    memory = Memory(tmp_path)
    assert memory.spoken("u") is None
    memory.learn("u", "sse")
    assert memory.spoken("u") == "sse"


def test_a_memory_is_bounded_and_ends(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    old = {"mode": "sse", "at": time.time() - KEPT_SECONDS - 1}
    known = {f"u{number}": {"mode": "legacy", "at": time.time() - KEPT + number} for number in range(KEPT)}
    (tmp_path / "servers.json").write_text(json.dumps({"servers": {"old": old} | known}))
    assert memory.spoken("old") is None
    memory.learn("new", "legacy")
    assert (memory.spoken("u0"), memory.spoken("u1"), memory.spoken("new")) == (None, "legacy", "legacy")


def test_a_memory_makes_no_folder(tmp_path: Path) -> None:
    Memory(tmp_path / "state").learn("u", "legacy")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("path", ["/", "/mcp/", "/a//b", "/mcp?tenant=7"])
def test_a_url_with_a_path_is_the_endpoint_as_it_stands(path: str, serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("here")) if request.path == path else http(404))
    url = f"{fake.url}{path}"
    one = Agent(url, store=TokenStore.open(tmp_path, server=url, use_keyring=False))
    assert (one.endpoint(), one.call("count", {}, token="none").text) == (url, "here")
    with pytest.raises(ServerUnreachable):
        Agent(f"{fake.url}/mcp/x", store=one.store).call("count", {}, token="none")


def test_a_stored_token_is_no_other_authorization_server(serve: Serve, tmp_path: Path) -> None:
    fake = serve(Stateful(GONE["404"]))
    one = agent_at(fake, tmp_path)
    one.store.put("agent", StoredToken("access-1", None, time.time() + 60, (), fake.url, f"{fake.url}/token", "a"))
    with one.one_session():
        assert [count(one, "stored"), count(one, "stored")] == ["s1: 1", "s1: 2"]
