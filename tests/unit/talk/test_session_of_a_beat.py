"""A beat is one session at a server that keeps state in sessions: what a step did there is there for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http, result, told, words

if TYPE_CHECKING:
    from tests.conftest import Command

STEP = """
[[steps]]
id = "ID"
do = "call"
tool = "listMcpShopInventory"
door = "open"
who = "nobody"
expect = { status = 200 }
"""
HEAD = '+++\ntitle = "TITLE"\ntopics = ["mcp"]\nsay = "Said."\n'
BEAT = f"{HEAD}{STEP.replace('ID', 'a')}{STEP.replace('ID', 'b')}+++\n\nNotes.\n"
PLAN = """
title = "Two beats"
minutes = 1
[[sections]]
title = "All"
minutes = 1
beats = [{ id = "one", minutes = 0.5, speaker = "A" }, { id = "two", minutes = 0.5, speaker = "A" }]
"""
TOOL = {"name": "listMcpShopInventory", "description": "What there is", "inputSchema": {"type": "object"}}


class Sessions:
    """A server of the 2025-11-25 revision without auth, which keeps the sessions that its tool was called in."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.ended: list[str] = []
        self._begun = 0

    def __call__(self, request: Request) -> Answer:
        method, session = request.json.get("method"), request.headers.get("mcp-session-id", "")
        if request.path != "/mcp":
            return told(404, {"error": "not_found"})
        if request.method == "DELETE":
            self.ended.append(session)
            return http(204)
        if method == "initialize":
            self._begun += 1
            given = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
            return result(request, given, mcp_session_id=f"s{self._begun}")
        if request.method != "POST" or not session:
            return http(405) if request.method != "POST" else http(400, "no session", kind="text/plain")
        if method == "tools/list":
            return result(request, {"tools": [TOOL]})
        if method != "tools/call":
            return http(202)
        self.called.append(session)
        return result(request, words("one shirt"))


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Answer]], BytesFake]]:
    fakes: list[BytesFake] = []

    def make(answer: Callable[[Request], Answer]) -> BytesFake:
        fakes.append(BytesFake(answer))
        fakes[-1].start()
        return fakes[-1]

    yield make
    for one in fakes:
        one.stop()


def test_the_steps_of_a_beat_are_one_session_which_ends_with_it(
    demo: Command, serve: Callable[[Callable[[Request], Answer]], BytesFake], tmp_path: Path
) -> None:
    for beat in ("one", "two"):
        path = tmp_path / "talk" / "beats" / f"{beat}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BEAT.replace("TITLE", beat), encoding="utf-8")
    (tmp_path / "talk" / "plans").mkdir()
    (tmp_path / "talk" / "plans" / "short.toml").write_text(PLAN, encoding="utf-8")
    server = Sessions()
    url = serve(server).url
    finished = demo("run", "--ci", "--talk", str(tmp_path / "talk"), "--plan", "short", "--server", url)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    first, again, second, more = server.called
    assert (first, second) == (again, more)
    assert first != second
    assert {first, second} <= set(server.ended)
