"""A server that asks in mid-call: answered where a program answers, told that nobody does where none does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.client.mcp.elicitation import ElicitationRequest
from deputize.errors import UsageError
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, result, words
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
KINDS = ["sdk_today", "sdk_session", "sdk_events"]


@pytest.fixture(params=KINDS)
def sdk(request: pytest.FixtureRequest) -> str:
    """A server of the SDK: stateless, with sessions, with a stream."""
    return str(request.getfixturevalue(request.param))


def test_an_answer_goes_back_and_the_call_goes_on(sdk: str, tmp_path: Path) -> None:
    asked: list[ElicitationRequest] = []

    def answer(request: ElicitationRequest) -> dict[str, Any]:
        asked.append(request)
        return {"size": "M"}

    outcome = agent_at(sdk, tmp_path, elicit=answer).call("shirt", {}, token="none")
    assert (outcome.status, outcome.text, outcome.is_error) == (200, "a red shirt in M", False)
    (request,) = asked
    assert request.message == "Which \u241b[31msize\u241b[0m?"  # safe to show, whatever the server sent
    assert list(request.schema["properties"]) == ["size", "colour"]
    assert (request.url, request.defaults) == (None, {"colour": "red"})


def test_no_is_an_answer(sdk: str, tmp_path: Path) -> None:
    outcome = agent_at(sdk, tmp_path, elicit=lambda _: None).call("shirt", {}, token="none")
    assert outcome.is_error and "shirt in" not in outcome.text


def test_without_anybody_to_ask_the_call_ends(sdk: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    outcome = agent_at(sdk, tmp_path).call("shirt", {}, token="none")
    assert outcome.is_error and "shirt in" not in outcome.text
    assert time.monotonic() - begun < HANGS


def test_whoever_answers_takes_their_time(sdk: str, tmp_path: Path) -> None:
    def slowly(request: ElicitationRequest) -> dict[str, Any]:
        time.sleep(2.5)
        return {"size": "S", "colour": "blue"}

    outcome = agent_at(sdk, tmp_path, elicit=slowly, timeout=2.0).call("shirt", {}, token="none")
    assert outcome.text == "a blue shirt in S"


def test_what_the_answering_program_raises_reaches_it(sdk: str, tmp_path: Path) -> None:
    def fail(request: ElicitationRequest) -> dict[str, Any]:
        raise LookupError("nobody is at home")

    with pytest.raises(LookupError, match="nobody"):
        agent_at(sdk, tmp_path, elicit=fail).call("shirt", {}, token="none")


def test_an_answer_that_cannot_be_sent_is_said_to_be_none(sdk_today: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        agent_at(sdk_today, tmp_path, elicit=lambda _: {"size": {"a": object()}}).call("shirt", {}, token="none")


def asks(name: str, state: str | None = None, **params: Any) -> dict[str, Any]:
    """A result that asks for more (SEP-2322)."""
    request = {"method": "elicitation/create", "params": params}
    given = {"resultType": "input_required", "inputRequests": {name: request}}
    return given if state is None else given | {"requestState": state}


FORM = {"type": "object", "properties": {"sure": {"type": "boolean"}}}


def test_the_state_goes_back_as_it_came_and_with_no_other_call(serve: Serve, tmp_path: Path) -> None:
    state = ' {"not": "ours\u202e to read"} '

    def ask(request: Request) -> Answer:
        if "inputResponses" in request.json["params"]:
            return result(request, words("sold"))
        return result(request, asks("q", state, message="Sure?", requestedSchema=FORM))

    fake = serve(ask)
    agent = agent_at(fake.url, tmp_path, elicit=lambda _: {"sure": True})
    assert agent.call("buy", {"size": "M"}, token="none").text == "sold"
    first, second = fake.asked("tools/call")
    assert "requestState" not in first.json["params"]
    assert second.json["params"]["requestState"] == state
    assert second.json["params"]["inputResponses"] == {"q": {"action": "accept", "content": {"sure": True}}}
    assert second.json["params"]["arguments"] == {"size": "M"}
    assert first.json["id"] != second.json["id"]
    agent.call("other", {}, token="none")
    assert not {"requestState", "inputResponses"} & set(fake.asked("tools/call")[2].json["params"])


def test_a_server_that_asks_without_end_is_left(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, asks("q", message="And now?", requestedSchema=FORM)))
    outcome = agent_at(fake.url, tmp_path, elicit=lambda _: {}).call("buy", {}, token="none")
    assert outcome.is_error and "more input" in outcome.text
    assert len(fake.asked("tools/call")) == 11


def test_a_question_for_a_model_is_not_answered(serve: Serve, tmp_path: Path) -> None:
    sampling = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
    waiting = {"resultType": "input_required", "inputRequests": {"m": sampling}}
    fake = serve(lambda request: result(request, waiting))
    outcome = agent_at(fake.url, tmp_path, elicit=lambda _: {}).call("buy", {}, token="none")
    assert outcome.is_error
    assert len(fake.asked("tools/call")) == 1


def test_a_page_to_open_is_named_and_never_opened(serve: Serve, tmp_path: Path) -> None:
    asked: list[ElicitationRequest] = []

    def page(request: Request) -> Answer:
        if "inputResponses" in request.json["params"]:
            return result(request, words("paid"))
        url = "https://shop.example/pay\u200b"
        return result(request, asks("p", mode="url", message="Pay", url=url, elicitationId="1"))

    fake = serve(page)
    agent = agent_at(fake.url, tmp_path, elicit=lambda request: asked.append(request) or {})
    assert agent.call("buy", {}, token="none").text == "paid"
    assert asked[0].url == "https://shop.example/pay<U+200B>"
    assert fake.asked("tools/call")[1].json["params"]["inputResponses"] == {"p": {"action": "accept"}}


def test_a_field_whose_name_drives_the_terminal_is_not_shown(serve: Serve, tmp_path: Path) -> None:
    form = {"type": "object", "properties": {"\x1b]0;owned\x07": {"type": "string"}}}

    def ask(request: Request) -> Answer:
        if "inputResponses" in request.json["params"]:
            return error(request, 200, -32000, "cancelled")
        return result(request, asks("q", message="Sure?", requestedSchema=form))

    fake = serve(ask)
    asked: list[ElicitationRequest] = []
    agent_at(fake.url, tmp_path, elicit=lambda request: asked.append(request) or {}).call("buy", {}, token="none")
    assert asked == []
    assert fake.asked("tools/call")[1].json["params"]["inputResponses"] == {"q": {"action": "cancel"}}


def test_an_agent_says_that_it_can_be_asked_only_where_it_can(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("yes")))
    agent_at(fake.url, tmp_path / "a").call("buy", {}, token="none")
    agent_at(fake.url, tmp_path / "b", elicit=lambda _: {}).call("buy", {}, token="none")
    told = [
        request.json["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        for request in fake.asked("tools/call")
    ]
    assert "elicitation" not in told[0] and "elicitation" in told[1]
