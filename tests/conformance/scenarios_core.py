"""The suite's client scenarios that need no authority: each by what our agent does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.client import Agent
from demo.client.mcp.elicitation import ElicitationRequest
from deputize import TokenStore

Scenario = Callable[[str, dict[str, Any]], None]


def agent_at(url: str, **given: Any) -> Agent:
    """An agent with an empty store of its own."""
    store = TokenStore.open(Path(tempfile.mkdtemp(prefix="conformance-")), server=url, use_keyring=False)
    return Agent(url, store=store, **given)


def look(url: str, context: dict[str, Any]) -> None:
    """List the tools."""
    agent_at(url).tools(token="none")


def shake_hands(url: str, context: dict[str, Any]) -> None:
    """List the tools of a server that answers without a look at the revision, in the one that is tested."""
    agent_at(url, handshake=True).tools(token="none")


def add(url: str, context: dict[str, Any]) -> None:
    """Call a tool that adds."""
    agent = agent_at(url)
    agent.tools(token="none")
    outcome = agent.call("add_numbers", {"a": 5, "b": 3}, token="none")
    assert outcome.allowed, outcome


def call_each(url: str, context: dict[str, Any]) -> None:
    """Call every tool that is listed, without arguments."""
    agent = agent_at(url, elicit=_untouched)
    for tool in agent.tools(token="none").tools:
        assert agent.call(tool.name, {}, token="none").allowed


def take_up_the_stream(url: str, context: dict[str, Any]) -> None:
    """Call a tool whose answer comes on another stream than it began on."""
    agent = agent_at(url, handshake=True)
    for tool in agent.tools(token="none").tools:
        outcome = agent.call(tool.name, {}, token="none")
        assert outcome.text == "Reconnection test completed successfully", outcome


def answer_with_defaults(url: str, context: dict[str, Any]) -> None:
    """Say yes to whatever is asked in mid-call, and leave the form as it is."""
    agent = agent_at(url, elicit=_untouched)
    for tool in agent.tools(token="none").tools:
        assert agent.call(tool.name, {}, token="none").allowed


def carry_on(url: str, context: dict[str, Any]) -> None:
    """Calls that ask back, with one that has nothing to do with them in between."""
    agent = agent_at(url, elicit=lambda request: {"confirmed": True})
    listed = {tool.name for tool in agent.tools(token="none").tools}
    for name in ("test_mrtr_echo_state", "test_mrtr_unrelated", "test_mrtr_no_state", "test_mrtr_no_result_type"):
        assert name in listed
        outcome = agent.call(name, {}, token="none")
        assert outcome.allowed, outcome


def mirror(url: str, context: dict[str, Any]) -> None:
    """The calls of the context, whose arguments go into headers as the list says."""
    agent = agent_at(url)
    agent.tools(token="none")
    for call in context["toolCalls"]:
        assert agent.call(call["name"], call["arguments"], token="none").allowed


def call_what_is_left(url: str, context: dict[str, Any]) -> None:
    """Call each tool that the agent's list still has."""
    agent = agent_at(url)
    listed = agent.tools(token="none")
    assert listed.left_out
    for tool in listed.tools:
        arguments = dict.fromkeys(tool.arguments, "us-west1")
        assert agent.call(tool.name, arguments, token="none").allowed


def echo_schema(url: str, context: dict[str, Any]) -> None:
    """Hand a tool's schema back as it was understood."""
    agent = agent_at(url)
    listed = agent.tools(token="none")
    schema = listed.schemas["json_schema_2020_12_tool"]
    assert agent.call("json_schema_echo", {"schema": schema}, token="none").allowed


def _untouched(request: ElicitationRequest) -> dict[str, Any]:
    return {}


CORE: dict[str, Scenario] = {
    "initialize": shake_hands,
    "tools_call": add,
    "elicitation-sep1034-client-defaults": answer_with_defaults,
    "sse-retry": take_up_the_stream,
    "request-metadata": call_each,
    "sep-2322-client-request-state": carry_on,
    "http-standard-headers": call_each,
    "http-custom-headers": mirror,
    "http-invalid-tool-headers": call_what_is_left,
    "json-schema-ref-no-deref": look,
    "json-schema-2020-12-preservation": echo_schema,
}
"""By the suite's name of the scenario."""
