"""What `demo login`, `demo tools` and `demo call` say where a server refuses, is in trouble, or asks nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.client.fakes import Fake, Reply, Request, faking
from tests.conftest import Command


@pytest.fixture
def fake() -> Iterator[Fake]:
    with faking() as server:
        yield server


def test_a_refused_call_says_error_description_and_next_step(demo: Command, fake: Fake) -> None:
    refusal = 'Bearer error="insufficient_scope", error_description="this takes more"'
    fake.on["/mcp"] = Reply(403, headers=(("www-authenticate", refusal),))
    line = ("--server", f"{fake.base}/mcp", "call", "buy")
    told, shown = demo("--json", *line), demo(*line)
    assert told.returncode == shown.returncode == 4
    refused = json.loads(told.stdout)["refused"]
    assert (refused["error"], refused["description"]) == ("insufficient_scope", "this takes more")
    assert "demo call buy --step-up" in refused["do"]
    assert {"insufficient_scope", "this", "--step-up,"} <= set(re.split(r"\s+", shown.stdout))


def test_a_list_that_is_refused_is_never_silent(demo: Command, fake: Fake) -> None:
    for status, code, says in ((403, 4, "http_403"), (503, 5, "back after lunch")):
        fake.on["/mcp"] = Reply(status, body=b"back after lunch")
        shown = demo("--server", f"{fake.base}/mcp", "tools")
        assert (shown.returncode, says in shown.stdout) == (code, True), shown.stdout


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (Reply(503, body=b"back after lunch"), 5, "back after lunch"),
        (Reply(429, headers=(("retry-after", "40"),)), 5, "try again in 40 s"),
        (Reply(403), 4, "does not say how to get access"),
    ],
)
def test_a_login_that_cannot_begin_says_why_and_not_that_the_server_is_open(
    demo: Command, fake: Fake, answer: Reply, code: int, says: str
) -> None:
    fake.on["/mcp"] = answer
    shown = demo("--server", f"{fake.base}/mcp", "login")
    said = re.sub(r"\s+", " ", shown.stderr)
    assert (shown.returncode, says in said) == (code, True), said
    assert "asks for no authorization" not in said and "do this demo login" not in said


def test_only_an_open_server_is_called_one(demo: Command, fake: Fake) -> None:
    def lists(request: Request) -> Reply:
        result = {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return Reply(json={"jsonrpc": "2.0", "id": request.json.get("id"), "result": result})

    fake.on["/mcp"] = lists
    shown = demo("--server", f"{fake.base}/mcp", "login")
    assert shown.returncode == 4
    assert "asks for no authorization" in re.sub(r"\s+", " ", shown.stderr)
