"""A collector on loopback: an OTLP/HTTP receiver that decodes what it is sent (opentelemetry.io/docs/specs/otlp)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span as a collector has it."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    """Where it is, and what came."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)

    def trace_with(self, holds: Callable[[Seen], bool], complete: Callable[[list[Seen]], bool]) -> list[Seen]:
        """The spans of the newest trace with such a span, awaited until they are complete."""
        deadline = time.monotonic() + 60
        while True:
            ids = [span.trace for span in self.spans if holds(span)]
            found = [span for span in self.spans if ids and span.trace == ids[-1]]
            if complete(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.02)


@contextmanager
def collector() -> Iterator[Collector]:
    """One, for as long as it is needed."""
    seen = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.raw.append(body)
            seen.keys.add(self.headers.get("x-key"))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
                for scope in resource.scope_spans:
                    seen.spans += [_seen(span, service) for span in scope.spans]
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()


def _seen(span: Any, service: str) -> Seen:
    attributes = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
    return Seen(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, service, attributes)
