"""A server's words in a trace: an MCP server that answers with an error in which it repeats the token that it was sent
and names the human, or a model's endpoint that does so with its key and has a secret in its address. The libraries that
speak to them put such words and addresses into spans of their own, which go to a file or to a collector (CWE-532).

What the libraries had put into their spans is looked at as well: there the words are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOKEN, KEY, HUMAN, PATH = "eyJ.t0ken-of-the-agent.sig", "sk-key-of-the-vendor-0123", "alice@example.com", "s3cret-path"
PROGRAM = """
import sys
from pathlib import Path
from demo import model, tracing
from demo.client import Agent
from demo.tracing import reduced
from demo.tracing.wanted import Wanted
from deputize.tokens.store import MemoryStore
from deputize.tokens.stored import Secret

url, file, whole, token, key, path = sys.argv[1:]
usual = reduced.reduced

def noted(span):
    with open(whole, "a") as opened:
        opened.write(span.to_json(indent=None))
    return usual(span)

reduced.reduced = noted
tracing.begin(Wanted(file=Path(file)), ("agent",))
agent = Agent(f"{url}/mcp", store=MemoryStore())
with tracing.span("one call"):
    print(agent.call("buy", {}, token=Secret(token)).status)
for api in ("openai", "anthropic"):
    with tracing.span("one run"):
        endpoint = model.Endpoint(api, "tiny", f"{url}/{path}", Secret(key))
        print(model.drive(agent, "go on", endpoint, token="none").end.reason)
print(tracing.end(20.0))
"""


class Repeats(BaseHTTPRequestHandler):
    """An MCP server and a model's endpoint: both answer with what they were sent."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        credentials = self.headers.get("authorization") or self.headers.get("x-api-key")
        words = f"{HUMAN} may not do this with {credentials}"
        if PATH in self.path:
            answer, status = {"type": "error", "error": {"type": words, "message": words, "code": words}}, 401
        elif asked.get("method") == "tools/list":
            tool = {"name": "buy", "description": words, "inputSchema": {"type": "object"}}
            listed = {"resultType": "complete", "tools": [tool], "ttlMs": 0, "cacheScope": "private"}
            answer, status = {"jsonrpc": "2.0", "id": asked["id"], "result": listed}, 200
        else:
            error = {"code": -32000, "message": words, "data": {"decision": {"rule": words, "user": words}}}
            answer, status = {"jsonrpc": "2.0", "id": asked["id"], "error": error}, 200
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal."""


@pytest.fixture
def repeats() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repeats)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_no_servers_words_and_no_address_are_in_a_trace(repeats: str, tmp_path: Path) -> None:
    file, whole = tmp_path / "spans.jsonl", tmp_path / "whole"
    given = [repeats, str(file), str(whole), TOKEN, KEY, PATH]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout.split() == ["200", "model", "model", "None"], done.stderr
    secrets = {TOKEN, KEY, HUMAN, PATH}
    assert {one for one in secrets if one in whole.read_text("utf-8")} >= {TOKEN, HUMAN, PATH}
    told = file.read_text("utf-8")
    assert {one for one in secrets if one in told} == set()
    # What they say of names, statuses and codes is there.
    assert all(f'"{name}"' in told for name in ("MCP send tools/call buy", "-32000", "chat tiny", "401"))
