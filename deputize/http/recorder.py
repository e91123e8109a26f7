"""The log of one agent's HTTP exchanges: what was on the wire, secrets masked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from deputize.evidence import Exchange
from deputize.http.exchange import HttpExchange
from deputize.http.origins import Origin, origin
from deputize.http.redaction import mask_body, mask_header, mask_text, mask_url
from deputize.http.sanitizing import map_strings, safe_text

BODY_IN_RECORD = 64 * 1024
"""Bytes of a body that a recorded exchange keeps."""

BODY_IN_MEMORY = 4 * 1024 * 1024
"""Bytes of an answer that are read at all; a longer one is a fault of the server."""

KEPT = 500
"""Exchanges that a recorder keeps when nobody takes them; the oldest go first."""


@dataclass
class Recorder:
    """Every exchange of one agent, in the order in which they ended, secrets masked.

    `skews` is each origin's clock minus ours in seconds, from its last `Date` header (RFC 9110 section 6.6.1, whole
    seconds).
    """

    exchanges: list[Exchange] = field(default_factory=list)
    skews: dict[Origin, float] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set, repr=False)
    _collecting: list[list[HttpExchange]] = field(default_factory=list, repr=False)
    _under_way: dict[int, HttpExchange] = field(default_factory=dict, repr=False)

    def take(self) -> tuple[Exchange, ...]:
        """The exchanges so far; the recorder is empty afterwards."""
        taken = tuple(self.exchanges)
        self.exchanges.clear()
        return taken

    def guard(self, *secrets: str | None) -> None:
        """Have these values masked wherever they appear, also where a server repeats them in a text."""
        self._known.update(secret for secret in secrets if secret and len(secret) >= 8)

    def guard_only(self, secrets: Iterable[str]) -> None:
        """The same for these, and no longer for those before: for anyone who records for days, and renews tokens."""
        self._known.clear()
        self.guard(*secrets)

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
    def collect(self) -> Iterator[list[HttpExchange]]:
        """While it lasts, each exchange that ends is added to the list."""
        collected: list[HttpExchange] = []
        self._collecting.append(collected)
        try:
            yield collected
        finally:
            # By identity: two collections that saw the same are equal, and the other goes on.
            self._collecting = [one for one in self._collecting if one is not collected]

    def begin(self, exchange: HttpExchange) -> None:
        """An exchange is under way."""
        self._under_way[id(exchange)] = exchange

    def under_way(self) -> list[HttpExchange]:
        """The exchanges that have not ended: without error, and without status before an answer.

        A stream of events goes on after the event that answers a request.
        """
        return list(self._under_way.values())

    def add(self, exchange: HttpExchange) -> None:
        """Record one exchange that has ended."""
        self._under_way.pop(id(exchange), None)
        for collected in self._collecting:
            collected.append(exchange)
        exchange.shown = self._masked(exchange, exchange.response_body)
        self.exchanges.append(exchange.shown)
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

    def show(self, exchange: HttpExchange, *, event: str | None = None) -> Exchange:
        """The exchange as evidence: masked, bounded, safe to print.

        Args:
            event: shown as the answer's body, where only this one of a stream is meant.
        """
        if event is not None:
            return self._masked(exchange, f"{event}\n\n".encode())
        return exchange.shown or self._masked(exchange, exchange.response_body)

    def _masked(self, exchange: HttpExchange, body: bytes | bytearray) -> Exchange:
        known = frozenset(self._known)

        def headers(given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple(
                (safe_text(name, one_line=True), safe_text(mask_header(name, value, known), one_line=True))
                for name, value in given
            )

        sent_type = exchange.request_header("content-type") or ""
        return Exchange(
            method=exchange.method,
            url=safe_text(mask_url(exchange.url, known), one_line=True),
            request_headers=headers(exchange.request_headers),
            request_body=_shown_body(exchange.request_body, sent_type, known, lambda: exchange.sent),
            status=exchange.status,
            response_headers=headers(exchange.response_headers),
            response_body=_shown_body(
                body, exchange.header("content-type"), known, lambda: None if exchange.is_stream else exchange.json
            ),
            started_at=exchange.started_at,
            seconds=exchange.seconds,
            error=None if exchange.error is None else safe_text(mask_text(exchange.error, known), one_line=True),
        )


def _shown_body(
    body: bytes | bytearray | None,
    content_type: str,
    known: frozenset[str],
    parsed: Callable[[], dict[str, Any] | None] = lambda: None,
) -> str | None:
    if not body:
        return None
    try:
        # A character may be cut where reading stopped: only that much is forgiven.
        text = body.decode("utf-8", errors="strict" if len(body) < BODY_IN_MEMORY else "replace")
    except UnicodeDecodeError:
        return f"[{len(body)} bytes that are not text]"
    # Masked before it is cut: a secret on the cut would no longer be recognised. Made safe only after it is cut: to
    # replace four million control characters takes seconds.
    masked = mask_body(text, content_type.lower(), known, parsed=parsed).replace("\r\n", "\n")
    shown = safe_text(masked[:BODY_IN_RECORD])
    return shown if len(masked) <= BODY_IN_RECORD else f"{shown}... [{len(body)} bytes in all]"
