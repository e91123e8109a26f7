"""Servers that are odd, old or hostile, on real sockets: byte for byte what a test says."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import HANGS

Answer = bytes | Iterable[bytes] | None
"""What a fake sends: bytes, bytes one after the other, or nothing at all while it holds the line."""


@dataclass(frozen=True)
class Request:
    """What a fake was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass
class BytesFake:
    """A server on loopback that does what its `answer` says, byte for byte."""

    answer: Callable[[Request], Answer]
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Listen on a free port."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        """Let go of everything."""
        self._stop.set()
        # To close it would leave the thread in `accept`, of a number that is another socket's next (Linux, close(2)).
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._accepting.join(HANGS)
        self._socket.close()

    def asked(self, method: str) -> list[Request]:
        """The JSON-RPC requests with this method, in order."""
        return [request for request in self.requests if request.json.get("method") == method]

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            line.settimeout(600)
            while (request := _read(line)) is not None:
                self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    self._stop.wait(600)
                    return
                whole = isinstance(answer, bytes)
                for part in [answer] if isinstance(answer, bytes) else answer:
                    if self._stop.is_set():
                        return
                    line.sendall(part)
                if not whole:
                    return


def _read(line: socket.socket) -> Request | None:
    held = b""
    while b"\r\n\r\n" not in held:
        if not (part := line.recv(65536)):
            return None
        held += part
    head, _, body = held.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += line.recv(65536)
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)


def http(status: int, body: bytes | str = b"", kind: str = "application/json", **headers: str) -> bytes:
    """An HTTP answer; `_` in a header's name stands for `-`."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Any", f"content-length: {len(content)}", f"content-type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def told(status: int, value: Any, **headers: str) -> bytes:
    """An HTTP answer in JSON."""
    return http(status, json.dumps(value), **headers)


def result(request: Request, value: Any, **headers: str) -> bytes:
    """A JSON-RPC result."""
    return told(200, {"jsonrpc": "2.0", "id": request.json.get("id"), "result": value}, **headers)


def error(request: Request, status: int, code: int, message: str, **headers: str) -> bytes:
    """A JSON-RPC error."""
    given = {"code": code, "message": message}
    return told(status, {"jsonrpc": "2.0", "id": request.json.get("id"), "error": given}, **headers)


def words(text: str) -> dict[str, Any]:
    """A tool's result that is a text."""
    return {"content": [{"type": "text", "text": text}], "resultType": "complete"}
