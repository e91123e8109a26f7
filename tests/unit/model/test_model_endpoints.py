"""A model behind an API, in the documented shapes; and everything that a bad model, or a bad endpoint, may do.

Each ends by itself, within its bound, with a reason; nothing that it wrote reaches the terminal as it is.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from demo import model
from demo.client import Agent
from demo.evidence.model import ModelBounds, ModelRead, ModelWords
from demo.model.choosing import Api
from deputize.errors import AuthorizationRefused, ExplainedError, ServerUnreachable, UsageError
from deputize.tokens.stored import Secret
from tests.conftest import HANGS
from tests.unit.model.endpoints import APIS, Fake, Handler, openai

BUY = json.dumps({"company": "Example", "mailingAddress": "1 Main Street", "tshirtSize": "M"})
KEY = Secret("sk-test-0123456789abcdef")


def driven(agent: Agent, fake: Fake, bounds: ModelBounds | None = None, *, api: Api = "openai") -> model.Drive:
    """A run of the model behind this endpoint."""
    url = fake.url if api == "openai" else fake.url.removesuffix("/v1")
    return model.drive(agent, "buy me a shirt", model.Endpoint(api, "tiny", url, KEY), bounds)


def shopping(read: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """Looks, buys, and is done."""
    if not read:
        return "I look first.", [("listMcpShopInventory", "{}")]
    return ("Now I buy.", [("buyMcpShopItem", BUY)]) if len(read) == 1 else ("It is ordered.", [])


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_a_model_drives_in_the_documented_shapes(agent: Agent, endpoint: Fake, api: Api) -> None:
    endpoint.answer = APIS[api](shopping)
    run = driven(agent, endpoint, api=api)
    assert run.end.reason == "done" and [order.size for order in run.orders] == ["M"]
    assert (run.end.steps, run.end.tokens_read, run.end.tokens_written) == (3, 300, 30)
    assert run.task.made_by == "model" and endpoint.url.startswith(run.task.where)
    first, last = endpoint.asked[0], endpoint.asked[-1]
    assert first.path == {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[api]
    # The model is told of the server's tools, and of no idempotency key: that is the run's own to give.
    if api == "openai":
        told = {one["function"]["name"]: one["function"]["parameters"] for one in first.body["tools"]}
        assert [one["role"] for one in last.body["messages"]] == [
            "system", "user", "assistant", "tool", "assistant", "tool",
        ]  # fmt: skip
    else:
        told = {one["name"]: one["input_schema"] for one in first.body["tools"]}
        assert [one["role"] for one in last.body["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert set(told["buyMcpShopItem"]["properties"]) == {"company", "mailingAddress", "tshirtSize"}
    # Its key goes to it, and what the agent holds does not.
    held = agent.stored()
    assert held is not None
    assert any(KEY.value in value for value in first.headers.values())
    assert all(held.access_token not in json.dumps([one.body, one.headers]) for one in endpoint.asked)


def test_a_refusal_is_read_by_the_model_as_data_and_is_not_an_end(agent: Agent, endpoint: Fake) -> None:
    def brain(read: list[str]) -> tuple[str, list[tuple[str, str]]]:
        return ("", [("setDemoMode", '{"mode": "banned"}')]) if not read else (f"It said: {read[-1]}", [])

    endpoint.answer = openai(brain)
    run = driven(agent, endpoint)
    assert run.end.reason == "done" and run.end.refused == 1
    told = json.loads(next(event.text for event in run.events if isinstance(event, ModelRead)))
    assert told["refused"] is True and told["rule"] == "scope.insufficient" and told["reason"] and told["to_pass"]


def always(*calls: tuple[str, str], words: str = "") -> Any:
    """A model that has one idea."""
    return openai(lambda read: (words, list(calls)))


@pytest.mark.parametrize(
    ("answer", "bounds", "reason"),
    [
        (always(("listMcpShopInventory", "{}")), ModelBounds(steps=3), "steps"),
        (always(*[("listMcpShopInventory", "{}")] * 9), ModelBounds(calls=4), "calls"),
        (always(("listMcpShopInventory", "{}")), ModelBounds(tokens=300), "tokens"),
        (always(("setDemoMode", '{"mode": "banned"}')), ModelBounds(), "repeats"),
        (always(("transferMoney", "{}")), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", '{"company": ')), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", '["M"]')), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", "[" * 5000)), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", '{"company": "\\ud800", "tshirtSize": "M"}')), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", '{"company": NaN}')), ModelBounds(), "mistakes"),
        (always(("buyMcpShopItem", '{"company": 3, "mailingAddress": [], "tshirtSize": {}}')), ModelBounds(steps=2),
         "steps"),
        (openai(lambda read: ("I will now buy", []), cut=True), ModelBounds(), "model"),
        (always(), ModelBounds(), "done"),
    ],
    ids=[
        "loops", "calls-many-at-once", "uses-tokens-up", "repeats-what-is-refused", "no-such-tool", "no-json",
        "no-object", "too-deep", "half-a-character", "no-number", "wrong-types", "is-cut-off", "says-nothing",
    ],
)  # fmt: skip
def test_a_model_that_goes_astray_ends_at_a_bound_and_buys_nothing(
    agent: Agent, endpoint: Fake, answer: Any, bounds: ModelBounds, reason: str
) -> None:
    endpoint.answer = answer
    run = driven(agent, endpoint, bounds)
    assert run.end.reason == reason and run.end.why
    assert not run.orders and run.fault is None
    assert len(endpoint.asked) <= max(bounds.steps, 4)


def test_half_a_character_of_a_model_ends_nothing(agent: Agent, endpoint: Fake) -> None:
    half = "half \ud800"
    endpoint.answer = openai(lambda read: ("", []) if read else (half, [(half, BUY), ("buyMcpShopItem", half)]))
    run = driven(agent, endpoint)
    assert (run.end.reason, run.end.calls, run.fault) == ("done", 2, None)
    assert not run.orders


def test_what_does_not_fit_a_tool_is_the_servers_to_say_and_the_model_reads_it(agent: Agent, endpoint: Fake) -> None:
    def brain(read: list[str]) -> tuple[str, list[tuple[str, str]]]:
        small = BUY.replace('"M"', '"small"')
        return (
            ("", [("buyMcpShopItem", small)]) if not read else ("", [("buyMcpShopItem", BUY)] if len(read) < 2 else [])
        )

    endpoint.answer = openai(brain)
    run = driven(agent, endpoint)
    reads = [event for event in run.events if isinstance(event, ModelRead)]
    assert [one.is_error for one in reads] == [True, False] and len(run.orders) == 1


def test_nothing_that_a_model_writes_reaches_the_terminal_as_it_is(agent: Agent, endpoint: Fake) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    endpoint.answer = openai(
        lambda read: (evil, [(f"x{evil}", json.dumps({evil: evil})), (f"y{evil}", evil)]) if not read else ("", [])
    )
    run = driven(agent, endpoint)
    shown = json.dumps([vars(event) for event in run.events], default=str, ensure_ascii=False)
    assert isinstance(next(event for event in run.events if isinstance(event, ModelWords)), ModelWords)
    assert not any(sign in shown for sign in "\x1b\x07\u202e") and "\\u001b" not in shown.replace("\\\\", "")


def bytes_of(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Any:
    """An endpoint that answers this."""
    return lambda handler, _: handler.say(status, body, kind, **headers)


ERROR = json.dumps({"error": {"message": "as the vendor says it", "type": "x", "code": "y"}}).encode()
PAGE = b"<!doctype html><title>Sign in to the network</title>"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (bytes_of(401, ERROR), AuthorizationRefused, 4),
        (bytes_of(403, ERROR), AuthorizationRefused, 4),
        (bytes_of(404, ERROR), UsageError, 2),
        (bytes_of(400, ERROR), ServerUnreachable, 5),
        (bytes_of(429, ERROR, retry_after="0"), ServerUnreachable, 5),
        (bytes_of(500, ERROR), ServerUnreachable, 5),
        (bytes_of(502, PAGE, "text/html"), ServerUnreachable, 5),
        (bytes_of(200, PAGE, "text/html"), ServerUnreachable, 5),
        (bytes_of(200, b'{"choices": []}'), ServerUnreachable, 5),
        (bytes_of(200, b"{"), ServerUnreachable, 5),
        (bytes_of(200, b"[" * 100_000), ServerUnreachable, 5),
        (bytes_of(200, b"null"), ServerUnreachable, 5),
        (bytes_of(200, b'{"choices": [{"message": {"tool_calls": 7}}]}'), ServerUnreachable, 5),
        (bytes_of(200, b'data: {"choices": []}\n\ndata: [DONE]\n\n', "text/event-stream"), ServerUnreachable, 5),
    ],
    ids=[
        "wrong-key", "forbidden", "no-such-model", "not-taken", "out-of-quota", "in-trouble", "bad-gateway",
        "captive-portal", "no-choices", "half-json", "deep-json", "null", "wrong-shape", "a-stream",
    ],
)  # fmt: skip
@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_an_endpoint_that_gives_no_answer_is_an_end_that_says_what_to_do(
    agent: Agent, endpoint: Fake, answer: Any, kind: type[ExplainedError], code: int, api: Api
) -> None:
    endpoint.answer = answer
    run = driven(agent, endpoint, api=api)
    assert run.end.reason == "model" and run.end.calls == 0
    assert isinstance(run.fault, kind) and run.fault.exit_code == code
    assert run.fault.why and run.fault.do
    said = f"{run.fault.what} {run.fault.why} {run.fault.do}"
    assert KEY.value not in said and "<" not in said
    assert len(endpoint.asked) <= 2  # once more, and no oftener


def test_an_endpoint_that_repeats_the_key_does_not_have_it_shown(agent: Agent, endpoint: Fake) -> None:
    endpoint.answer = lambda handler, _: handler.say_json(401, {"error": {"message": f"bad key {KEY.value}"}})
    run = driven(agent, endpoint)
    assert run.fault is not None and "bad key" in run.fault.why and KEY.value not in run.fault.why


def test_an_endpoint_that_is_down_is_an_end(agent: Agent) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        run = driven(agent, Fake(url))
    assert run.end.reason == "model" and isinstance(run.fault, ServerUnreachable)
    assert run.end.steps == 0, "nothing was answered"


def silent(handler: Handler, _: Any) -> None:
    """Takes the request, and answers nothing."""
    time.sleep(600)


@pytest.mark.parametrize(
    ("answer", "bounds"),
    [
        (silent, ModelBounds(answer_seconds=0.5)),
        (lambda handler, _: handler.drip(b" "), ModelBounds(answer_seconds=0.5)),
        (lambda handler, _: handler.drip(b" " * 65536, 0), ModelBounds(answer_bytes=200_000)),
        (bytes_of(200, b'{"choices": ["' + b"x" * 10_000_000 + b'"]}'), ModelBounds()),
    ],
    ids=["silent", "slow-for-ever", "fast-for-ever", "ten-megabytes"],
)
def test_an_answer_is_bounded_in_time_and_bytes(agent: Agent, endpoint: Fake, answer: Any, bounds: ModelBounds) -> None:
    endpoint.answer = answer
    began = time.monotonic()
    run = driven(agent, endpoint, bounds)
    assert run.end.reason == "model" and run.end.why
    assert time.monotonic() - began < HANGS  # the fake would go on for longer


def test_the_whole_run_is_bounded_in_time_whatever_one_answer_may_take(agent: Agent, endpoint: Fake) -> None:
    endpoint.answer = silent
    run = driven(agent, endpoint, ModelBounds(seconds=0.5))
    assert run.end.reason == "seconds"
