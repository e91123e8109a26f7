"""`scripted_model.py`: a model of three vendors' documented APIs that decides one thing: to buy a shirt.

Asked with a tool of the shop's whose name ends in `buyMcpShopItem`, it calls that, once; then it says what it read. It
says `{"ready": URL}` when it listens. The shapes are those of Anthropic's Messages, OpenAI's Responses and Google's
`streamGenerateContent`, each as server-sent events, as far as Claude Code, Codex and Gemini CLI read them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUY = "buyMcpShopItem"
SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}
Event = tuple[str | None, dict[str, Any]]


def messages(asked: dict[str, Any]) -> Iterator[Event]:
    """Anthropic's Messages, streamed (docs.anthropic.com, "Streaming messages")."""
    name = _named(tool["name"] for tool in asked.get("tools", []))
    blocks = [block for message in asked["messages"] for block in _list(message["content"])]
    read = [block["content"] for block in blocks if block.get("type") == "tool_result"]
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model"), "content": []}
    usage = {"input_tokens": 1, "output_tokens": 1}
    yield "message_start", {"type": "message_start", "message": {**about, "usage": usage, "stop_reason": None}}
    if name and not read:
        block: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(SHIRT)}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": _said(read)}
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
    yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    why = "tool_use" if block["type"] == "tool_use" else "end_turn"
    yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": why}, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def responses(asked: dict[str, Any]) -> Iterator[Event]:
    """OpenAI's Responses, streamed (platform.openai.com, "Streaming API responses")."""
    found = [(tool.get("name"), None) for tool in asked.get("tools", []) if tool.get("type") == "function"]
    for space in asked.get("tools", []):
        found += [(tool["name"], space["name"]) for tool in space.get("tools", []) if space["type"] == "namespace"]
    name, space = next(((name, space) for name, space in found if str(name).endswith(BUY)), (None, None))
    given = [item for item in asked["input"] if isinstance(item, dict)]
    read = [item["output"] for item in given if item.get("type") == "function_call_output"]
    item: dict[str, Any]
    if name and not read:
        item = {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": name,
            "arguments": json.dumps(SHIRT),
        }
        item |= {"namespace": space} if space else {}
    else:
        text = {"type": "output_text", "text": _said(read), "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": [item]}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    yield "response.created", {"type": "response.created", "response": {"id": "resp_1"}}
    yield "response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield "response.completed", {"type": "response.completed", "response": {**response, "usage": usage}}


def generated(asked: dict[str, Any]) -> Iterator[Event]:
    """Google's streamGenerateContent (ai.google.dev, "Generating content")."""
    tools = [one for tool in asked.get("tools", []) for one in tool.get("functionDeclarations", [])]
    name = _named(tool["name"] for tool in tools)
    parts = [part for content in asked.get("contents", []) for part in content.get("parts", [])]
    read = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    part = {"functionCall": {"name": name, "args": SHIRT}} if name and not read else {"text": _said(read)}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    yield None, {"candidates": [candidate], "usageMetadata": usage}


def _named(names: Any) -> str | None:
    return next((name for name in names if str(name).endswith(BUY)), None)


def _list(content: Any) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _said(read: list[Any]) -> str:
    return f"I read: {json.dumps(read)}" if read else "OK"


class Model(BaseHTTPRequestHandler):
    """Answers one request of any of the three."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        shape = {"messages": messages, "responses": responses}.get(path.rsplit("/", 1)[-1])
        if shape is None and path.endswith("streamGenerateContent"):
            shape = generated
        if path.endswith(":generateContent"):
            ((_, answer),) = generated(body)
            return self._json(200, answer)
        if shape is None:
            return self._json(404, {"error": {"type": "not_found_error", "message": path}})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event, data in shape(body):
            named = f"event: {event}\n" if event else ""
            self.wfile.write(f"{named}data: {json.dumps(data)}\n\n".encode())
        return None

    def _json(self, status: int, answer: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def do_GET(self) -> None:
        self._json(404, {"error": {"type": "not_found_error", "message": self.path}})

    def log_message(self, format: str, *args: Any) -> None:
        """Say on stderr what was asked, for whom a test fails."""
        sys.stderr.write(f"model: {format % args}\n")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    sys.stdout.write(f"{json.dumps({'ready': f'http://127.0.0.1:{server.server_port}'})}\n")
    sys.stdout.flush()
    server.serve_forever()
