"""OpenTelemetry's SDK, set up: a tracer for each service of this process, and where their spans go.

Nobody waits for an exporter: spans are sent from a thread of their own, of too many the oldest are dropped, and the end
of a process waits only for as long as sending goes well.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo import __version__
from demo.tracing.wanted import Wanted
from deputize.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Span as OTelSpan

    from demo.tracing import Kind, Span, Value

SOON: Final = 200.0
"""Milliseconds between two sendings, unless `OTEL_BSP_SCHEDULE_DELAY` says: a viewer is looked at meanwhile."""
TICK: Final = 0.01


class _Trouble(logging.Handler):
    """What OpenTelemetry says that went wrong: kept, and never printed, since stdout and stderr are not its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said first: the later is its consequence."""
        self.said = self.said or record.getMessage()


class Tracing:
    """The tracing of one process.

    Raises:
        UsageError: OpenTelemetry's SDK is not installed, or the file cannot be written.
    """

    def __init__(self, wanted: Wanted, services: Sequence[str], *, only_parts: bool = False) -> None:
        try:
            from opentelemetry import propagate, trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

            from demo.tracing.reduced import OURS, reduced
        except ImportError as missing:
            raise UsageError(
                "a trace was asked for, and OpenTelemetry's SDK is not installed",
                why=str(missing),
                do="pip install 'machine-identity-demo[trace]', or leave --trace and OTEL_... out",
            ) from None
        self.wanted = wanted
        self._trouble = _Trouble()
        said = logging.getLogger("opentelemetry")
        said.addHandler(self._trouble)
        said.propagate = False
        # A server was told of them by who started it: there they are read from the environment, too.
        os.environ.update(wanted.variables)
        delay = None if "OTEL_BSP_SCHEDULE_DELAY" in wanted.variables else SOON

        class Batches(BatchSpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                super().on_end(reduced(span))

        self._processors = [Batches(one, schedule_delay_millis=delay) for one in _exporters(wanted)]
        sampler = ParentBased(ALWAYS_OFF) if only_parts and not wanted.otlp else None
        self._providers: dict[str, TracerProvider] = {}
        for service in services:
            about = Resource.create({"service.name": service, "service.version": __version__})
            provider = TracerProvider(sampler=sampler, resource=about, shutdown_on_exit=False)
            for processor in self._processors:
                provider.add_span_processor(processor)
            self._providers[service] = provider
        self._first = services[0]
        trace.set_tracer_provider(self._providers[self._first])  # of it the MCP SDK's spans are
        self._tracers = {name: one.get_tracer(OURS, __version__) for name, one in self._providers.items()}
        self._trace, self._propagate = trace, propagate
        self._kinds = {
            "internal": trace.SpanKind.INTERNAL,
            "client": trace.SpanKind.CLIENT,
            "server": trace.SpanKind.SERVER,
        }

    def provider(self) -> TracerProvider:
        """The first service's tracer provider."""
        return self._providers[self._first]

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        service: str | None,
        within: Iterable[tuple[bytes, bytes]] | None,
        attributes: Mapping[str, Value | None],
    ) -> Iterator[Span]:
        """See `demo.tracing.span`."""
        context = None
        if within is not None:
            context = self._propagate.extract({key.decode("latin-1"): value.decode("latin-1") for key, value in within})
        # What went wrong may be told in words that hold what must not be in a trace: only its kind is.
        with self._tracers[service or self._first].start_as_current_span(
            name,
            context=context,
            kind=self._kinds[kind],
            attributes=_known(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as started:
            try:
                yield _Lasting(started)
            except BaseException as error:
                failed(started, type(error).__qualname__)
                raise

    def carried(self) -> dict[str, str]:
        """See `demo.tracing.carried`."""
        headers: dict[str, str] = {}
        self._propagate.inject(headers)
        return headers

    def lasts(self) -> bool:
        """Whether this is part of a trace."""
        return self._trace.get_current_span().get_span_context().is_valid

    def beside(self, name: str, attributes: Mapping[str, Value | None]) -> tuple[OTelSpan, dict[str, str]]:
        """A span of a request that is sent, which ends wherever its answer is read; and the headers that it carries."""
        started = self._tracers[self._first].start_span(name, kind=self._kinds["client"], attributes=_known(attributes))
        headers: dict[str, str] = {}
        self._propagate.inject(headers, context=self._trace.set_span_in_context(started))
        return started, headers

    def end(self, seconds: float) -> str | None:
        """See `demo.tracing.end`."""
        done = threading.Event()

        def send() -> None:
            for processor in self._processors:
                processor.force_flush()
            done.set()

        threading.Thread(target=send, daemon=True, name="last spans").start()
        left = seconds
        while left > 0 and self._trouble.said is None and not done.wait(TICK):
            left -= TICK
        if self._trouble.said is None and not done.is_set():
            return f"it was not sent within {seconds:.0f} s"
        return None if self._trouble.said is None else plainly(self._trouble.said)


def plainly(said: str) -> str:
    """What OpenTelemetry says that went wrong, fit for one line: of an exception in an exception its reason."""
    why = re.search(r"\[Errno -?\d+\] ([^'\")>\]]+)", said) or re.search(r"(Read timed out)", said)
    if why is not None:
        return f"the collector cannot be reached: {why[1].strip()}; see OTEL_EXPORTER_OTLP_ENDPOINT"
    # A collector's address may hold who may write to it.
    return re.sub(r"//[^/@\s]+@", "//***@", said)[:300]


class _Lasting:
    """One span of OpenTelemetry's, while it lasts."""

    def __init__(self, started: OTelSpan) -> None:
        self._started = started

    def add(self, attributes: Mapping[str, Value | None]) -> None:
        """See `demo.tracing.Span`."""
        given = _known(attributes)
        self._started.set_attributes(given)
        if "error.type" in given:
            failed(self._started, str(given["error.type"]))


def failed(span: OTelSpan, kind: str) -> None:
    """Say that a span failed, and by what kind of failure."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def _known(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _exporters(wanted: Wanted) -> Iterator[Any]:
    if wanted.otlp:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        yield OTLPSpanExporter()
    if wanted.file is not None:
        from demo.tracing.file import FileExporter

        yield FileExporter(_writable(wanted.file))


def _writable(file: Path) -> Path:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written", why=error.strerror or str(error), do="name another file with --trace FILE"
        ) from None
    return file
