"""Spans in a file: OTLP as JSON lines, which several processes write to, and collectors and viewers read.

The format is OpenTelemetry's OTLP File Exporter's (opentelemetry.io/docs/specs/otel/protocol/file-exporter): a line is
an ExportTraceServiceRequest in OTLP's JSON mapping, in which ids are hexadecimal (opentelemetry.io/docs/specs/otlp,
JSON Protobuf encoding).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

LONGEST: Final = 64 * 1024 * 1024
"""Bytes: nothing more is written to a file that is so long."""
_IDS: Final = ("traceId", "spanId", "parentSpanId")


class FileExporter(SpanExporter):
    """Appends to a file, a whole line at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one line; a file that cannot be written takes nothing from what is traced."""
        line = json.dumps(as_json(encode_spans(spans)), separators=(",", ":")) + "\n"
        try:
            written = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.fstat(written).st_size + len(line) > LONGEST:
                    return SpanExportResult.FAILURE
                os.write(written, line.encode())
            finally:
                os.close(written)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def as_json(message: Any) -> dict[str, Any]:
    """An OTLP message in its JSON mapping."""
    told: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for resource in told.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for name in _IDS:
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return told
