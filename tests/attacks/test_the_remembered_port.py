"""Another user listens on the port that the local server has left, and repeats what `/health` told everybody."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.local_server import local, proving
from deputize.errors import EnvironmentNotReady, ServerUnreachable
from deputize.http import transport
from deputize.tokens.store import TokenStore
from deputize.tokens.stored import StoredToken
from talk.cast import Cast
from tests.conftest import HANGS, Command


@contextmanager
def impostor(port: int, about: Callable[[str], dict[str, Any]]) -> Iterator[list[str]]:
    """Listens on this port, answers everything with what `about` makes of the challenge, and keeps what it was sent."""
    heard: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            heard.append(f"{self.command} {self.path}\n{self.headers}\n{self.rfile.read(length).decode()}")
            asked = parse_qs(urlsplit(self.path).query)
            told = json.dumps(about(asked.get("challenge", [""])[0])).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join(timeout=HANGS)


def left_behind(state: Path) -> tuple[local.LocalServer, dict[str, Any]]:
    """A server that was killed: its ready file is left, its port is free. And what it told everybody."""
    server, _ = local.ensure(state, port=0)
    about = local.health(server.base_url)
    assert about is not None and about["instance"] == server.instance
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while local._held(state) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (state / "server.json").exists()
    return server, about


def port_of(server: local.LocalServer) -> int:
    return int(server.base_url.rpartition(":")[2])


def test_no_token_goes_to_who_repeats_what_the_server_said(demo_apart: Command) -> None:
    demo = demo_apart
    server, _ = local.ensure(demo.state, port=0)
    token = StoredToken(
        access_token="access-token-to-steal",
        refresh_token="refresh-token-to-steal",
        expires_at=time.time() + 600,
        scope=("shop:read",),
        issuer=server.base_url,
        token_endpoint=f"{server.base_url}/oauth2/token",
        client_id="demo-agent",
        resource=f"{server.base_url}/mcp",
    )
    TokenStore.open(demo.state, server=server.base_url).put("agent", token)
    server, about = left_behind(demo.state)
    with impostor(port_of(server), lambda _: about) as heard:
        asked = demo("whoami", "--json")
        moved = local.find(demo.state)
    assert heard, "it was not even asked: the test would prove nothing"
    assert [one.partition("\n")[0].partition("?")[0] for one in heard if not one.startswith("GET /health?")] == []
    assert not any("authorization" in one.lower() or "to-steal" in one for one in heard)
    assert f"port {port_of(server)} is taken by another program" in asked.stderr
    assert moved is not None and moved.base_url != server.base_url
    local.stop(demo.state)


def test_a_command_that_goes_on_asks_again_after_a_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bridge does in an MCP host, whose local server ended by itself between two calls."""
    monkeypatch.setattr(transport, "SILENT_SECONDS", 0.0)
    state = tmp_path / "state"
    server, _ = local.ensure(state, port=0)
    cast = Cast(server.base_url, state, is_local=True, port=0)
    assert cast.agent().tools(door="open", token="none").tools, "the true server proves itself, and is sent the call"
    token = StoredToken("access-token-to-steal", None, time.time() + 600, (), server.base_url, "", "demo-agent")
    cast.server.store.put("agent", token)
    server, about = left_behind(state)
    refused = pytest.raises(EnvironmentNotReady, match="not the local server any more")
    with impostor(port_of(server), lambda _: about) as heard, refused:
        cast.agent().tools()
    assert [one for one in heard if not one.startswith("GET /health?")] == [] != heard
    with pytest.raises(ServerUnreachable):  # where nothing listens, that is what is said
        cast.agent().tools()


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, local.LocalServer, dict[str, Any]]:
    """The state folder of a server that was killed, that server, and what it told everybody."""
    state = tmp_path_factory.mktemp("left") / "state"
    return state, *left_behind(state)


@pytest.mark.parametrize("proof", ["none", "another secret", "another address", "not text"])
def test_a_wrong_proof_is_none(left: tuple[Path, local.LocalServer, dict[str, Any]], proof: str) -> None:
    state, server, about = left
    secret = json.loads((state / "server.json").read_text())["secret"]

    def answer(challenge: str) -> dict[str, Any]:
        told: Any = None
        if proof == "another secret":
            told = proving.proof(proving.new_secret(), server.base_url, server.instance, challenge)
        elif proof == "another address":  # what the true server, elsewhere, says to a challenge that is passed on to it
            told = proving.proof(secret, "http://127.0.0.1:1", server.instance, challenge)
        elif proof == "not text":
            told = {"proof": True}
        return about if told is None else about | {"proof": told}

    with impostor(port_of(server), answer) as heard:
        assert local.find(state) is None
    assert len(heard) == 1

    def true(challenge: str) -> dict[str, Any]:
        return about | {"proof": proving.proof(secret, server.base_url, server.instance, challenge)}

    with impostor(port_of(server), true):
        assert local.find(state) is not None, "the right answer would be taken: the test bites"


def test_each_challenge_is_new_and_only_ever_answered_for_its_own_address(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server, _ = local.ensure(state, port=0)
    try:
        answers = [local.health(server.base_url, challenge=challenge) or {} for challenge in ("a", "b", "x" * 500)]
        assert len({str(one.get("proof")) for one in answers}) == 3
        assert "proof" not in answers[2], "what is no challenge of ours is not signed"
        assert "secret" not in json.dumps(answers)
        assert (state / "server.json").stat().st_mode & 0o077 == 0
    finally:
        local.stop(state)


def test_a_ready_file_in_a_folder_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server, _ = local.ensure(state, port=0)
    try:
        assert local.find(state) == server
        state.chmod(0o777)
        assert local.find(state) is None
        state.chmod(0o700)
        assert local.find(state) == server
    finally:
        local.stop(state)


def test_a_taken_port_of_last_time_is_told_also_where_the_usual_one_is_free(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server, _ = left_behind(state)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port_of(server)))
        taken.listen()
        after, note = local.ensure(state, port=0)
    try:
        assert note is not None and f"port {port_of(server)}" in note and after.base_url in note
    finally:
        local.stop(state)
