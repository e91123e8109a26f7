"""One call of the agent: how many frames and files it goes through, and how often an answer is parsed and masked."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from mcp.client.session import ClientSession

from demo.client import Agent
from deputize.http import recorder
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, error, http, result, told, words

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]
PRODUCT = str(Path(sys.modules["demo.client"].__file__ or "").parent.parent)
MARK = "a shirt that is sold once"


def frames_to_agent(frame: FrameType | None) -> Iterator[str]:
    """The files of our frames from here up to `Agent.call`, which is not one of them."""
    while frame is not None and frame.f_code is not Agent.call.__code__:
        if frame.f_code.co_filename.startswith(PRODUCT):
            yield frame.f_code.co_filename
        frame = frame.f_back


def test_between_a_call_and_the_sdk_are_seven_frames_in_eight_files(
    serve: Serve, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    original = ClientSession.send_request

    async def send_request(self: ClientSession, *given: Any, **named: Any) -> Any:
        seen.append(list(frames_to_agent(sys._getframe(1))))
        return await original(self, *given, **named)

    monkeypatch.setattr(ClientSession, "send_request", send_request)
    fake = serve(lambda request: result(request, words(MARK)))
    assert agent(fake.url).call("buy", {}, token="none").text == MARK
    (frames,) = seen
    assert len(frames) <= 7, frames
    assert len(set(frames)) <= 8, frames


def event(request: Request) -> Answer:
    message = {"jsonrpc": "2.0", "id": request.json["id"], "result": words(MARK)}
    return http(200, f"event: message\ndata: {json.dumps(message)}\n\n", kind="text/event-stream")


def with_a_secret(request: Request) -> Answer:
    return result(request, words(MARK) | {"structuredContent": {"sessionId": "session-0123456789"}})


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: result(request, words(MARK)),
        with_a_secret,
        event,
        lambda request: error(request, 200, -32602, MARK),
        lambda request: error(request, 403, -32003, MARK),
        lambda _: told(403, {"error": "forbidden", "error_description": MARK}),
    ],
    ids=["a result", "one with a secret in it", "an event", "an error", "a refusal", "a refusal by HTTP"],
)
def test_an_answer_is_parsed_and_masked_once(
    answer: Callable[[Request], Answer], serve: Serve, agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: Counter[str] = Counter()
    loads, mask_body = json.loads, recorder.mask_body

    def counting_loads(text: Any, **given: Any) -> Any:
        whole = bytes(text) if isinstance(text, (bytes, bytearray)) else str(text).encode()
        counted["parsed"] += MARK.encode() in whole
        return loads(text, **given)

    def counting_mask(text: str, *given: Any, **named: Any) -> str:
        counted["masked"] += MARK in text
        return mask_body(text, *given, **named)

    fake = serve(answer)
    one = agent(fake.url)
    monkeypatch.setattr(json, "loads", counting_loads)
    monkeypatch.setattr(recorder, "mask_body", counting_mask)
    assert MARK in one.call("buy", {}, token="none").text
    assert counted == {"parsed": 1, "masked": 1}
