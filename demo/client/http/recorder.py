"""What was on the wire: the recorder of exchanges, and the HTTP client that feeds it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from demo.client.http.origins import Origin, origin
from demo.client.http.redaction import mask_body, mask_header, mask_text, mask_url
from demo.client.http.sanitizing import map_strings, safe_text
from demo.errors import DemoError
from demo.evidence import Exchange

if TYPE_CHECKING:
    import httpx2

BODY_IN_RECORD = 64 * 1024
"""Bytes of a body that a recorded exchange keeps."""

BODY_IN_MEMORY = 4 * 1024 * 1024
"""Bytes of an answer that are read at all; a longer one is a fault of the server."""

KEPT = 500
"""Exchanges that a recorder keeps when nobody takes them; the oldest go first."""


@dataclass(frozen=True)
class Raw:
    """One exchange as it was, secrets and all: for parsing, never for showing."""

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...] = field(repr=False)
    request_body: bytes | None = field(repr=False)
    status: int | None
    response_headers: tuple[tuple[str, str], ...] = field(repr=False)
    response_body: bytes | None = field(repr=False)
    started_at: float
    seconds: float
    error: str | None = None
    late: bool = False
    """Whether it ended because somebody's time was over."""
    under_way: bool = False
    """Whether it has not ended: the rest is as it stands."""
    cause: object | None = field(default=None, repr=False)
    """The request on whose behalf it was made (`on_behalf_of`), None for what a session does by itself."""
    fault: DemoError | None = field(default=None, repr=False)
    """What on this machine kept it from being sent, None where nothing did."""

    def headers(self, name: str) -> tuple[str, ...]:
        """Every response header called `name` (lower case)."""
        return tuple(value for key, value in self.response_headers if key.lower() == name)

    def header(self, name: str) -> str:
        """The first of them, or the empty string."""
        return next(iter(self.headers(name)), "")


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


@dataclass
class Recorder:
    """Every exchange of one agent, in the order in which they ended, secrets masked.

    `skews` is each origin's clock minus ours in seconds, from its last `Date` header (RFC 9110 section 6.6.1, whole
    seconds).
    """

    exchanges: list[Exchange] = field(default_factory=list)
    skews: dict[Origin, float] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set, repr=False)
    _collecting: list[list[Raw]] = field(default_factory=list, repr=False)
    _under_way: list[Callable[[], Raw]] = field(default_factory=list, repr=False)

    def take(self) -> tuple[Exchange, ...]:
        """The exchanges so far; the recorder is empty afterwards."""
        taken = tuple(self.exchanges)
        self.exchanges.clear()
        return taken

    def guard(self, *secrets: str | None) -> None:
        """Have these values masked wherever they appear, also where a server repeats them in a text."""
        self._known.update(secret for secret in secrets if secret and len(secret) >= 8)

    def masked(self, text: str) -> str:
        """A server's text, safe to show and without any secret that is known."""
        return safe_text(mask_text(text, frozenset(self._known)))

    def clean(self, value: Any) -> Any:
        """A server's JSON value with `masked` applied to every string in it."""
        return map_strings(value, self.masked)

    def data(self, value: Any) -> Any:
        """A server's JSON value as it is, but for secrets that are known: for machines, and never for a screen."""
        known = frozenset(self._known)
        return map_strings(value, lambda text: mask_text(text, known))

    @contextmanager
    def collect(self) -> Iterator[list[Raw]]:
        """While it lasts, each exchange is added to the list as it was."""
        collected: list[Raw] = []
        self._collecting.append(collected)
        try:
            yield collected
        finally:
            # By identity: two collections that saw the same are equal, and the other goes on.
            self._collecting = [one for one in self._collecting if one is not collected]

    def begin(self, so_far: Callable[[], Raw]) -> None:
        """An exchange is under way; `so_far` gives it as it stands. The same is given to `end`."""
        self._under_way.append(so_far)

    def under_way(self) -> list[Raw]:
        """The exchanges that have not ended, as they stand: without error, and without status before an answer.

        A stream of events goes on after the event that answers a request.
        """
        return [so_far() for so_far in self._under_way]

    def end(self, so_far: Callable[[], Raw]) -> None:
        """It is under way no longer."""
        self._under_way = [one for one in self._under_way if one != so_far]

    def add(self, raw: Raw) -> None:
        """Record one exchange that has ended, whatever its end."""
        for collected in self._collecting:
            collected.append(raw)
        self.exchanges.append(self.show(raw))
        del self.exchanges[:-KEPT]

    def heard(self, url: str, date: str, age: str = "") -> None:
        """Compare a `Date` header that has just arrived from `url` with our own clock; `age` is the `Age` beside it."""
        whose = origin(url)
        try:
            # RFC 9111 section 5.1: an answer out of a cache has an old date, and tells its age.
            told = parsedate_to_datetime(date).timestamp() + float(age or 0)
        except (ValueError, TypeError, OverflowError):
            return
        if whose is not None and math.isfinite(told):
            # `Date` is cut to whole seconds: half a second is the expected loss.
            self.skews[whose] = told + 0.5 - time.time()

    def skew(self, url: str) -> float | None:
        """The clock of the server at `url` minus ours in seconds, None before it has answered."""
        whose = origin(url)
        return None if whose is None else self.skews.get(whose)

    def show(self, raw: Raw) -> Exchange:
        """The exchange as evidence: masked, bounded, safe to print."""
        known = frozenset(self._known)

        def headers(given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple(
                (safe_text(name, one_line=True), safe_text(mask_header(name, value, known), one_line=True))
                for name, value in given
            )

        sent_type = next((value for name, value in raw.request_headers if name.lower() == "content-type"), "")
        return Exchange(
            method=raw.method,
            url=safe_text(mask_url(raw.url, known), one_line=True),
            request_headers=headers(raw.request_headers),
            request_body=_shown_body(raw.request_body, sent_type, known),
            status=raw.status,
            response_headers=headers(raw.response_headers),
            response_body=_shown_body(raw.response_body, raw.header("content-type"), known),
            started_at=raw.started_at,
            seconds=raw.seconds,
            error=None if raw.error is None else safe_text(mask_text(raw.error, known), one_line=True),
        )


def _shown_body(body: bytes | None, content_type: str, known: frozenset[str]) -> str | None:
    if not body:
        return None
    try:
        # A character may be cut where reading stopped: only that much is forgiven.
        text = body.decode("utf-8", errors="strict" if len(body) < BODY_IN_MEMORY else "replace")
    except UnicodeDecodeError:
        return f"[{len(body)} bytes that are not text]"
    # Masked before it is cut: a secret on the cut would no longer be recognised. Made safe only after it is cut: to
    # replace four million control characters takes seconds.
    masked = mask_body(text, content_type.lower(), known).replace("\r\n", "\n")
    shown = safe_text(masked[:BODY_IN_RECORD])
    return shown if len(masked) <= BODY_IN_RECORD else f"{shown}... [{len(body)} bytes in all]"


def connect(recorder: Recorder, *, seconds: float, kind: type[httpx2.AsyncClient] | None = None) -> httpx2.AsyncClient:
    """An HTTP client whose every exchange `recorder` sees. It follows no redirect by itself.

    Args:
        recorder: where the exchanges go.
        seconds: the bound on connecting and on each read; the caller bounds the whole.
        kind: the class to make it of, where a transport has something to say to each answer.
    """
    import httpx2

    from demo import __version__
    from demo.client.http.transport import RecordingTransport

    return (kind or httpx2.AsyncClient)(
        transport=RecordingTransport(recorder),
        timeout=seconds,
        follow_redirects=False,
        max_redirects=3,
        trust_env=False,
        headers={"accept-encoding": "identity", "user-agent": f"machine-identity-demo/{__version__}"},
    )
