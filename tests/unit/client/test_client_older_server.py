"""The MCP SDK's own server of an older revision, in a process of its own: the agent falls back to what it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client import Agent
from tests.unit.client.conftest import older_server
from tests.unit.client.fakes import agent_at


@pytest.fixture(scope="module", params=["", "stream"])
def older(request: pytest.FixtureRequest) -> Iterator[str]:
    """The MCP URL of an older server."""
    with older_server(request.param) as url:
        yield url


@pytest.fixture
def agent(older: str, tmp_path: Path) -> Agent:
    return agent_at(older, tmp_path)


def methods(agent: Agent) -> list[str]:
    """What was asked, oldest first."""
    bodies = (exchange.request_body for exchange in agent.recorder.exchanges if exchange.method == "POST")
    return [json.loads(body)["method"] for body in bodies if body]


def test_a_tool_is_called_after_the_handshake_and_carried_out_once(agent: Agent) -> None:
    outcome = agent.call("add", {"a": 20, "b": 22}, token="none")
    assert outcome.allowed
    assert outcome.text == "42"
    assert outcome.structured == {"result": 42}
    assert "initialize" in methods(agent)
    carried_out = [exchange for exchange in agent.recorder.exchanges if '"result":42' in (exchange.response_body or "")]
    assert len(carried_out) == 1
    assert '"result":42' in (outcome.exchanges[-1].response_body or "")


def test_what_the_server_knows_is_remembered(agent: Agent) -> None:
    agent.call("add", {"a": 1, "b": 1}, token="none")
    first = methods(agent)
    agent.recorder.take()
    assert agent.call("add", {"a": 2, "b": 2}, token="none").text == "4"
    assert methods(agent) == ["initialize", "notifications/initialized", "tools/call"]
    assert len(first) > 3


def test_its_tools_are_listed(agent: Agent) -> None:
    listed = agent.tools(token="none")
    assert [(tool.name, tool.arguments, tool.scope) for tool in listed.tools] == [
        ("add", ("a", "b"), None),
        ("visits", (), None),
        ("fail", (), None),
    ]
    assert "tools" in (listed.exchanges[-1].response_body or "")


def test_a_tools_own_error_is_an_outcome_that_is_safe_to_show(agent: Agent) -> None:
    outcome = agent.call("fail", {}, token="none")
    assert (outcome.status, outcome.is_error, outcome.allowed) == (200, True, False)
    assert "red" in outcome.text and "\x1b" not in outcome.text


def test_the_sdk_says_nothing_on_the_terminal(agent: Agent, capfd: pytest.CaptureFixture[str]) -> None:
    agent.call("add", {"a": 1, "b": "x"}, token="none")
    agent.call("nothing", {}, token="none")
    agent.tools(token="none")
    assert capfd.readouterr() == ("", "")
