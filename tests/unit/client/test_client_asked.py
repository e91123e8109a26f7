"""What the doctor asks a server: read to the first message, and a server that cannot answer now is said to be that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.client.capabilities import survey
from demo.client.capabilities.revisions import Asked, ask_revisions
from demo.deploy import checking
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nmcp-session-id: s1\r\n\r\n"

BEFORE: dict[str, list[bytes]] = {
    "nothing": [],
    "a priming event": [b"id: 1_0\nretry: 500\ndata: \n\n"],
    "a priming event of one line": [b"id: 1_0\r\ndata:\r\n\r\n"],
    "a comment and a notification": [
        b": hello\n\n",
        b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hm"}}\n\n',
    ],
}
"""What comes on the stream before the answer (MCP 2025-11-25, Transports)."""


def apart(*parts: bytes) -> Iterator[bytes]:
    """Each part on its way before the next is sent, so that a reader may see one without the other."""
    for part in parts:
        yield part
        time.sleep(0.2)


def asked(url: str, folder: Path) -> dict[str, Asked]:
    agent = agent_at(url, folder)
    found = agent.http(lambda http_: ask_revisions(http_, agent.endpoint(), None))
    return {one.revision: one for one in found}


@pytest.mark.parametrize("kind", BEFORE)
def test_a_stream_is_read_to_its_first_answer(kind: str, serve: Serve, tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        if request.method != "POST":
            return http(405)
        if request.json["method"] != "initialize":
            return http(400, "no session", kind="text/plain")
        version = request.json["params"]["protocolVersion"]
        about = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
        message = json.dumps({"jsonrpc": "2.0", "id": request.json["id"], "result": about})
        return apart(STREAM, *BEFORE[kind], f"id: 1_1\nevent: message\ndata: {message}\n\n".encode())

    found = asked(serve(answer).url, tmp_path)
    assert (found["2025-11-25"].supported, found["2025-06-18"].supported) == (True, True)
    assert found["2026-07-28"].supported is False


@pytest.mark.parametrize(
    ("answer", "detail", "fix"),
    [
        (http(503, "We are moving house", kind="text/plain"), "HTTP 503: We are moving house", "in a moment"),
        (http(503, "<html><title>503</title></html>", kind="text/html", retry_after="7"), "HTTP 503", "in 7 s"),
        (http(429, "", retry_after="30"), "HTTP 429", "in 30 s"),
        (http(403, "Not from this country", kind="text/plain"), "HTTP 403: Not from this country", "401"),
    ],
)
def test_a_server_that_refuses_everybody_is_told_in_its_words(
    answer: bytes, detail: str, fix: str, serve: Serve, tmp_path: Path
) -> None:
    seen = survey(agent_at(serve(lambda _: answer).url, tmp_path), revisions=False, keys=False)
    assert seen.requires_token is None
    mark, _, said, do = checking.door(seen, "challenge")
    assert mark == "bad" and detail in said and fix in do
