"""One HTTP exchange as it is on the wire: filled while it is under way, and parsed once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deputize.errors import ExplainedError
    from deputize.evidence import Exchange

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_END_OF_LINE = re.compile(r"\r\n|\n|\r")

_cause: ContextVar[object | None] = ContextVar("cause", default=None)


@contextmanager
def on_behalf_of(cause: object) -> Iterator[None]:
    """While it lasts, each exchange made here, or in a task begun here, is recorded with this `cause`.

    The MCP SDK sends each message in the context of the task that gave it the message, so that this tells the exchange
    of one request from the handshake's, from a look-up's, and from those of requests that are under way beside it.
    """
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def current_cause() -> object | None:
    """The cause that an exchange made now is recorded with."""
    return _cause.get()


@dataclass(eq=False)
class HttpExchange:
    """One exchange, secrets and all: for parsing, never for showing (`Recorder.show`).

    The sender of the request fills it in as the answer comes. Until `ended` it stands as far as it has come.
    """

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...] = field(repr=False)
    request_body: bytes | None = field(repr=False)
    status: int | None = None
    response_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    response_body: bytearray = field(default_factory=bytearray, repr=False)
    error: str | None = None
    late: bool = False
    """Whether it ended because somebody's time was over."""
    fault: ExplainedError | None = field(default=None, repr=False)
    """What on this machine kept it from being sent, None where nothing did."""
    ended: bool = False
    shown: Exchange | None = field(default=None, repr=False)
    """What may be seen of it, once it has ended."""
    traced: Callable[[HttpExchange], None] | None = field(default=None, repr=False)
    """What is told when it has ended, where it is part of a trace."""
    cause: object | None = field(default_factory=current_cause, repr=False)
    """The request on whose behalf it was made (`on_behalf_of`), None for what a session does by itself."""
    started_at: float = field(default_factory=time.time)
    _from: float = field(default_factory=time.perf_counter, repr=False)
    _seconds: float | None = field(default=None, repr=False)
    _events: list[Event] = field(default_factory=list, repr=False)
    _read: int = field(default=0, repr=False)

    def end(self, error: str | None = None, *, late: bool = False, fault: ExplainedError | None = None) -> None:
        """It has ended, whatever its end."""
        self.error, self.late, self.fault = error, late, fault
        self._seconds, self.ended = time.perf_counter() - self._from, True

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return time.perf_counter() - self._from if self._seconds is None else self._seconds

    def headers(self, name: str) -> tuple[str, ...]:
        """Every response header called `name` (lower case)."""
        return tuple(value for key, value in self.response_headers if key.lower() == name)

    def header(self, name: str) -> str:
        """The first of them, or the empty string."""
        return next(iter(self.headers(name)), "")

    def request_header(self, name: str) -> str | None:
        """The first request header called `name` (lower case), None where there is none."""
        return next((value for key, value in self.request_headers if key.lower() == name), None)

    @cached_property
    def sent(self) -> dict[str, Any] | None:
        """The request's body as a JSON object, None where it is none."""
        return parse_object(self.request_body or b"")

    @property
    def text(self) -> str:
        """The answer's body. It is UTF-8 (RFC 8259 section 8.1), whatever charset a header claims."""
        return self.response_body.decode("utf-8", errors="replace")

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return "text/event-stream" in self.header("content-type").lower()

    @property
    def json(self) -> dict[str, Any] | None:
        """The answer's body as a JSON object, None where it is none."""
        return self._json if self.ended else parse_object(self.response_body)

    @cached_property
    def _json(self) -> dict[str, Any] | None:
        return parse_object(self.response_body)

    def events(self) -> list[Event]:
        """The events with a JSON object as their data that have come, where the answer is a stream of them.

        Each is parsed once, also while the stream goes on. What stands at the end of one without the empty line that
        ends an event counts too: some servers leave that out.
        """
        while (end := _END_OF_EVENT.search(self.response_body, self._read)) is not None:
            self._events += _event(bytes(self.response_body[self._read : end.start()]))
            self._read = end.end()
        rest = bytes(self.response_body[self._read :])
        if not self.ended:
            return [*self._events, *_event(rest)]
        self._events += _event(rest)
        self._read = len(self.response_body)
        return self._events


@dataclass(frozen=True)
class Event:
    """One event of a stream: as it came, and the JSON object that is its data."""

    text: str
    message: dict[str, Any]


def events(text: str) -> list[Event]:
    """The events in a stream that have a JSON object as their data."""
    return [event for part in _END_OF_EVENT.split(text.encode()) for event in _event(part)]


def _event(part: bytes) -> list[Event]:
    text = part.decode("utf-8", errors="replace")
    data = [re.sub("^data: ?", "", line) for line in _END_OF_LINE.split(text) if line.startswith("data:")]
    message = parse_object("\n".join(data)) if data else None
    return [] if message is None else [Event(text, message)]


def parse_object(text: str | bytes | bytearray) -> dict[str, Any] | None:
    """`text` as a JSON object, None where it is none (or is nested beyond reason).

    Bytes are UTF-8 (RFC 8259 section 8.1). A byte that is not spoils its own character and no more: some servers put a
    word of Latin-1 into an answer that is otherwise good. A byte order mark is ignored, as the same section allows.
    """
    if not isinstance(text, str):
        text = text.decode("utf-8", errors="replace")
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
