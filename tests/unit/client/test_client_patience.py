"""A server that asks to come again: the refusal is the outcome, or with patience a bounded wait and another try."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from demo.client import Agent
from tests.conftest import HANGS
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, words

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]
PAGE = "<!DOCTYPE html><html>Slow down</html>"


def busy(times: int, refuse: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Refuse so many times, then answer."""
    count = itertools.count(1)
    return lambda request: refuse(request) if next(count) <= times else result(request, words("sold"))


def test_without_patience_the_refusal_is_the_outcome(serve: Serve, agent: Make) -> None:
    fake = serve(busy(1, lambda request: error(request, 429, -32029, "Slow down", retry_after="1")))
    outcome = agent(fake.url).call("buy", {}, token="none")
    assert (outcome.status, outcome.retry_after, len(fake.requests)) == (429, 1.0, 1)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("page", [False, True])
def test_with_patience_the_call_is_made_again_after_the_wait(
    status: int, page: bool, serve: Serve, agent: Make
) -> None:
    body, kind = (PAGE, "text/html") if page else ("busy", "text/plain")
    fake = serve(busy(1, lambda _: http(status, body, kind=kind, retry_after="1")))
    told: list[tuple[float, float, str]] = []
    begun = time.monotonic()
    outcome = agent(fake.url).call(
        "buy", {}, token="none", patience=5, on_wait=lambda left, state: told.append((time.monotonic(), left, state))
    )
    assert (outcome.status, outcome.text) == (200, "sold")
    assert time.monotonic() - begun >= 1.0
    assert len(fake.asked("tools/call")) == 2
    assert {state for _, _, state in told} == {"rate_limited" if status == 429 else "unavailable"}
    lefts = [left for _, left, _ in told]
    assert lefts == sorted(lefts, reverse=True) and lefts[0] > 0.9 and lefts[-1] == 0.0
    assert len(told) >= 5  # at least four times a second, and at the end


def test_a_server_that_names_no_time_is_asked_after_longer_and_longer_waits(
    serve: Serve, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("demo.client.mcp.calling.Patience._wait", lambda self, seconds, state: waits.append(seconds))
    fake = serve(busy(9, lambda _: http(429, "busy", kind="text/plain")))
    outcome = agent(fake.url).call("buy", {}, token="none", patience=60)
    assert (outcome.status, waits, len(fake.requests)) == (429, [1.0, 2.0], 3)


def test_patience_is_one_bound_for_all_waits_together(
    serve: Serve, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("demo.client.mcp.calling.Patience._wait", lambda self, seconds, state: waits.append(seconds))
    fake = serve(busy(9, lambda _: http(503, "busy", kind="text/plain", retry_after="6")))
    outcome = agent(fake.url).call("buy", {}, token="none", patience=10)
    assert (outcome.status, waits, len(fake.requests)) == (503, [6.0], 2)


@pytest.mark.parametrize("asked", ["3600", "99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_that_does_not_fit_in_is_not_begun(asked: str, serve: Serve, agent: Make) -> None:
    fake = serve(busy(1, lambda _: http(429, "busy", kind="text/plain", retry_after=asked)))
    begun = time.monotonic()
    outcome = agent(fake.url).call("buy", {}, token="none", patience=0.5)
    assert (outcome.status, len(fake.requests)) == (429, 1)
    assert time.monotonic() - begun < HANGS


def test_now_is_no_flood(serve: Serve, agent: Make) -> None:
    fake = serve(busy(9, lambda _: http(429, "busy", kind="text/plain", retry_after="0")))
    begun = time.monotonic()
    assert agent(fake.url).call("buy", {}, token="none", patience=5).status == 429
    assert len(fake.requests) == 3
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("status", [401, 403, 500, 502, 504])
def test_what_may_have_been_carried_out_is_not_sent_again(status: int, serve: Serve, agent: Make) -> None:
    fake = serve(busy(1, lambda request: error(request, status, -32603, "hm", retry_after="0")))
    outcome = agent(fake.url).call("buy", {}, token="none", patience=5)
    assert outcome.status == status
    assert len(fake.asked("tools/call")) == 1
