"""A server on loopback in the documented shapes of the two APIs that models are asked by, and what a bad one does.

OpenAI: API reference, "Chat" (create chat completion; the chat completion object; `tool_calls`), "Error codes".
Anthropic: API reference, "Messages" (create a message; `tool_use`, `tool_result`), "Errors".
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Brain = Callable[[list[str]], tuple[str, list[tuple[str, str]]]]
"""From what the tools have answered so far to words and calls: (tool, arguments as JSON text)."""


@dataclass
class Asked:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Fake:
    """The server: `answer` gets each request's body and writes the answer by itself."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Handler, dict[str, Any]], None] = field(default=lambda handler, body: handler.say(500, b""))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    fake: Fake

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.fake.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        with contextlib.suppress(OSError):  # whoever asked has had enough
            self.fake.answer(self, body)

    def say(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def say_json(self, status: int, body: Any, **headers: str) -> None:
        """A whole answer in JSON."""
        self.say(status, json.dumps(body).encode(), **headers)

    def drip(self, piece: bytes, pause: float = 0.05) -> None:
        """An answer that never ends."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        until = time.monotonic() + 600
        while time.monotonic() < until:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, *_: Any) -> None:
        """Nothing to the terminal."""


@contextlib.contextmanager
def faking() -> Iterator[Fake]:
    """A server while it lasts."""
    fake = Fake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


def openai(brain: Brain, *, cut: bool = False) -> Callable[[Handler, dict[str, Any]], None]:
    """Answers as a chat completion; with `cut` as one that may not be longer."""

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        words, calls = brain([one["content"] for one in body["messages"] if one["role"] == "tool"])
        message: dict[str, Any] = {"role": "assistant", "content": words or None, "refusal": None}
        if calls:
            message["tool_calls"] = [
                {"id": f"call_{number}", "type": "function", "function": {"name": tool, "arguments": arguments}}
                for number, (tool, arguments) in enumerate(calls, len(body["messages"]))
            ]
        handler.say_json(
            200,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_796_000_000,
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "logprobs": None,
                        "finish_reason": "length" if cut else "tool_calls" if calls else "stop",
                    }
                ],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            },
        )

    return answer


def anthropic(brain: Brain) -> Callable[[Handler, dict[str, Any]], None]:
    """Answers as a message."""

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        read = [
            block["content"] if isinstance(block["content"], str) else block["content"][0]["text"]
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == "tool_result"
        ]
        words, calls = brain(read)
        content: list[dict[str, Any]] = [{"type": "text", "text": words}] if words else []
        content += [
            {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": json.loads(arguments)}
            for number, (tool, arguments) in enumerate(calls, len(body["messages"]))
        ]
        handler.say_json(
            200,
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": content,
                "stop_reason": "tool_use" if calls else "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 100, "output_tokens": 10},
            },
        )

    return answer


APIS = {"openai": openai, "anthropic": anthropic}
