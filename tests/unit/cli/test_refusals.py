"""What `demo login`, `demo tools` and `demo call` say where a server refuses, is in trouble, or asks nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cli.context import repeated
from demo.cli.main import what_is_left
from demo.settings import Settings
from tests.conftest import Command
from tests.unit.client.fakes import Fake, Reply, Request, faking


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
    assert "call buy --step-up" in refused["do"]
    assert {"insufficient_scope", "this", "--step-up,"} <= set(re.split(r"\s+", shown.stdout))


def test_the_command_that_helps_means_the_server_and_the_state_that_were_named(
    demo: Command, fake: Fake, tmp_path: Path
) -> None:
    fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", "Bearer"),))
    server, state = f"{fake.base}/mcp", str(tmp_path / "a state")
    for line in (["tools"], ["call", "buy"]):
        told = json.loads(demo("--json", "--server", server, "--state", state, *line).stdout)["refused"]
        assert told["do"] == f"demo --server {server} --state '{state}' login"
    failed = demo("--server", server, "whoami")
    assert f"demo --server {server} login" in re.sub(r"\s+", " ", failed.stderr), failed.stderr


@pytest.mark.parametrize(
    ("advice", "wanted"),
    [
        ("demo logout, then demo login", "demo --server http://h/mcp logout, then demo --server http://h/mcp login"),
        (
            "demo doctor, or check --server and the network",
            "demo --server http://h/mcp doctor, or check --server and the network",
        ),
        ("demo trust --server http://h/mcp", "demo trust --server http://h/mcp"),
        ("demo next goes on from here", "demo --server http://h/mcp next goes on from here"),
        ("write it in demo.toml", "write it in demo.toml"),
        ("the demo is over", "the demo is over"),
        ("demo --server http://other/mcp login", "demo --server http://other/mcp login"),
    ],
)
def test_only_commands_are_given_the_options(advice: str, wanted: str) -> None:
    assert repeated(advice, Settings(typed=(("server", "http://h/mcp"),))) == wanted


@pytest.mark.parametrize(
    ("line", "goes_on"),
    [
        (["next"], "demo next"),
        (["--state", "artifacts/talk", "run"], "demo --state artifacts/talk next"),
        (["--server=http://h/mcp", "goto", "buy"], "demo --server http://h/mcp next"),
        (["run", "--ci"], None),
        (["orders"], None),
    ],
)
def test_an_interrupted_run_goes_on_in_the_state_folder_that_it_is_in(line: list[str], goes_on: str | None) -> None:
    said = what_is_left(line)
    assert f"{goes_on} goes on" in said if goes_on else said == ""


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


@pytest.mark.parametrize(
    ("line", "code"),
    [("goto nowhere", 2), ("whoami --server http://127.0.0.1:1", 4), ("list --profile nowhere", 2), ("nonsense", 2)],
)
def test_a_command_that_fails_is_one_json_object_too(demo: Command, line: str, code: int) -> None:
    ran = demo("--json", *line.split())
    told = json.loads(ran.stdout)
    assert ran.returncode == told["error"]["exit_code"] == code
    assert (told["schema"], set(told["error"])) == (1, {"exit_code", "what", "why", "do"})
    assert ran.stderr


@pytest.mark.parametrize("line", ["--json run --pace nonsense", "run --pace nonsense --json -", "goto nowhere"])
def test_what_is_a_reports_or_a_persons_has_no_such_object(demo: Command, line: str) -> None:
    ran = demo(*line.split())
    assert (ran.returncode, ran.stdout) == (2, "")
