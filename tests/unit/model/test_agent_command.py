"""`demo agent`: a run on the command line, its exit codes, its JSON, and what ends it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from demo.model.script import load
from deputize.errors import ServerUnreachable
from tests.conftest import HANGS, ROOT, Command
from tests.unit.model.endpoints import Fake, Handler, openai
from tests.unit.model.test_model_endpoints import shopping, silent

TASK = "buy me a shirt, size M"
KEY = "sk-typed-0123456789"
KEYRING = """
import os, pathlib
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        return None
    def set_password(self, service, username, password):
        pathlib.Path(os.environ["KEYRING_FILE"]).write_text(service)
    def delete_password(self, service, username):
        pass
"""
"""A system's keyring that works, and says what it was asked to keep."""


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON value on stdout."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_run_from_nothing_to_a_shirt_by_a_script_and_by_a_model_of_which_the_answers_are_kept(
    demo: Command, endpoint: Fake, tmp_path: Path
) -> None:
    scripted = demo("--json", "agent", TASK)
    assert scripted.returncode == 0, scripted.stderr
    events = told(scripted)["events"]
    # It had no token: the human was asked for what the server wants, and then the script was told what to do.
    assert [one["event"] for one in events] == [
        "human", "task", "words", "call", "read", "words", "call", "read", "words", "end",
    ]  # fmt: skip
    assert events[1]["made_by"] == "script" and events[7]["order"]["size"] == "M"

    endpoint.answer = openai(shopping)
    kept = tmp_path / "kept.toml"
    line = ("agent", TASK, "--model", "openai:tiny", "--base-url", endpoint.url)
    driven = demo("--json", *line, "--record", str(kept))
    assert driven.returncode == 0, driven.stderr
    assert told(driven)["events"][0]["where"] == endpoint.url.removesuffix("/v1")
    assert "authorization" not in endpoint.asked[0].headers  # this endpoint has no key

    # The third purchase is beyond the quota of the consent, whoever decides on it.
    again = demo("--json", "agent", TASK, "--model", f"script:{kept}")
    assert again.returncode == 0
    reads = [one for one in told(again)["events"] if one["event"] == "read"]
    assert [one["decision"]["rule"] for one in reads] == ["allowed", "limits.quota"]
    assert told(again)["events"][0]["made_by"] == "recording"

    shown = demo(*line, "--record", str(kept))
    assert shown.returncode == 2  # a run that was kept is not written over


def test_a_kept_key_goes_to_its_endpoint_and_is_on_no_screen(demo: Command, endpoint: Fake, tmp_path: Path) -> None:
    endpoint.answer = lambda handler, _: handler.say_json(401, {"error": {"message": f"bad key: {KEY}"}})
    line = ("--model", "openai:tiny", "--base-url", endpoint.url)
    demo("login")
    without = demo("--json", "agent", TASK, *line)
    assert without.returncode == 4 and "DEMO_MODEL_KEY" in without.stderr  # where to put one: none was sent
    assert "authorization" not in endpoint.asked.pop().headers
    asked = tmp_path / "asked"
    (tmp_path / "one_that_works.py").write_text(KEYRING)
    there = {
        "PYTHON_KEYRING_BACKEND": "one_that_works.Keyring",
        "PYTHONPATH": str(tmp_path),
        "KEYRING_FILE": str(asked),
    }
    stored = subprocess.run(
        [*_python(), "agent", *line, "--keep-key"],
        input=f"{KEY}\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=demo.environment() | there,
        cwd=ROOT,
    )
    assert stored.returncode == 0, stored.stderr
    assert not asked.exists(), "DEMO_KEYRING=0 says that nothing goes into the keyring, though there is one"
    refused = demo("--json", "agent", TASK, *line)
    assert refused.returncode == 4
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"
    for said in (stored, refused):
        assert KEY not in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("agent",), 2),
        (("agent", "  "), 2),
        (("agent", "buy \udcff"), 2),  # a byte that is no UTF-8
        (("agent", TASK, "--model", "gpt"), 2),
        (("agent", TASK, "--model", "openai:a", "--base-url", "http://example.com"), 2),
        (("agent", TASK, "--model", "openai:a"), 3),
        (("agent", TASK, "--spend", "much"), 2),
        (("agent", TASK, "--spend", "0"), 2),
        (("agent", TASK, "--record", "x.toml"), 2),
        (("agent", "--keep-key"), 2),
    ],
)
def test_a_wrong_command_line_asks_nobody_and_buys_nothing(
    demo: Command, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], code: int
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    done = demo("--json", *line)
    assert done.returncode == code
    assert told(done)["error"]["do"]
    assert not (demo.state / "server.sqlite3").exists()  # not even a server was started


def test_where_no_human_may_be_asked_it_stops_and_says_so(demo: Command) -> None:
    done = demo("--json", "agent", TASK, "--no-ask")
    assert done.returncode == 4
    assert told(done)["reason"] == "human" and told(done)["events"][-1]["calls"] == 0
    assert told(done)["events"][0]["said"] == "nothing"


def test_a_bound_ends_it_with_1(demo: Command) -> None:
    demo("login")
    done = demo("--json", "agent", TASK, "--steps", "1")
    assert done.returncode == 1 and told(done)["reason"] == "steps"


def test_at_the_open_door_the_same_script_buys_for_nobody(demo: Command) -> None:
    done = demo("--json", "agent", TASK, "--open")
    order = next(one["order"] for one in told(done)["events"] if one.get("order"))
    assert done.returncode == 0 and order["user"] is None


def test_what_a_library_says_of_an_odd_answer_is_on_no_screen(demo: Command, endpoint: Fake) -> None:
    usage = {"prompt_tokens": -1, "completion_tokens": 1, "total_tokens": 0}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "tiny", "choices": [choice], "usage": usage}
    endpoint.answer = lambda handler, _: handler.say_json(200, whole)
    done = demo.process("--json", "agent", TASK, "--open", "--model", "openai:tiny", "--base-url", endpoint.url)
    assert (done.returncode, told(done)["reason"]) == (0, "done")
    assert "Warning" not in done.stderr


def test_without_the_extra_it_says_what_to_install(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.model.choosing.find_spec", lambda name: None)
    done = demo("--json", "agent", TASK)
    assert done.returncode == 3 and "[agent]" in told(done)["error"]["do"]


@pytest.mark.parametrize(
    "line",
    [("agent", TASK), ("call", "buyMcpShopItem", "company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")],
)
def test_where_a_purchase_has_no_answer_one_looks_before_one_buys_again(
    demo: Command, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    demo("login")
    call = Agent.call

    def unanswered(self: Agent, tool: str, *given: Any, **options: Any) -> Any:
        outcome = call(self, tool, *given, **options)
        if tool == "buyMcpShopItem":
            raise ServerUnreachable("no answer came", do="try again")
        return outcome

    monkeypatch.setattr(Agent, "call", unanswered)
    done = demo(*line)
    assert done.returncode == 5 and "demo orders" in done.stderr
    assert "spent       nothing\n" not in done.stdout + done.stderr
    assert len(told(demo("--json", "orders"))["result"]["orders"]) == 1


@pytest.mark.long
def test_ctrl_c_ends_it_with_130_while_the_model_thinks_and_what_it_bought_is_said_and_kept(
    demo_apart: Command, endpoint: Fake, tmp_path: Path
) -> None:
    buys, kept = openai(shopping), tmp_path / "kept.toml"

    def thinks_after_it_has_bought(handler: Handler, body: dict[str, Any]) -> None:
        (silent if len(endpoint.asked) > 2 else buys)(handler, body)

    endpoint.answer = thinks_after_it_has_bought
    assert demo_apart("login").returncode == 0
    line = ("--json", "agent", TASK, "--model", "openai:tiny", "--base-url", endpoint.url, "--record", str(kept))
    process = demo_apart.start(*line)
    until = time.monotonic() + 60
    while len(endpoint.asked) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANGS)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in out + err
    end = json.loads(out)["events"][-1]
    assert (end["reason"], end["spent"]["amount"]) == ("interrupted", 2500)
    assert [len(one.calls) for one in load(kept).lines] == [1, 1]


def _python() -> list[str]:
    import sys

    return [sys.executable, "-m", "demo"]
