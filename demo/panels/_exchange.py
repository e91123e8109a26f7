"""One HTTP request and its answer, as they were on the wire: the headers that matter, and what fits of the bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from rich.cells import cell_len

from demo.panels.body import body_lines
from demo.panels.page import MARGIN, Canvas, Page
from demo.panels.theme import State
from demo.panels.values import host, many, safe, span
from deputize.evidence import Exchange

ASKED = ("host", "authorization", "mcp-protocol-version", "mcp-method", "mcp-name", "content-type")
"""Request headers that the story is about, in the order told."""

ANSWERED = ("www-authenticate", "retry-after", "demo-audit-id", "content-type", "location")
"""Response headers that the story is about."""

_NAME = re.compile(r' *"[^"]+": (?=[^{[])')
"""What a line of JSON begins with where it has one value: its name stays whole where the value is shortened."""

FEWEST = 12
"""Columns in which a shortened value still has something to say."""

QUIETLY = frozenset({"content-type"})
"""Shown only where there is room to spare: the body below shows its type too."""

SPACIOUS = 16
"""Rows from which one side of an exchange has room to spare."""


def exchange(given: Exchange) -> Page:
    """Request line, headers and body, then status line, headers and body; lines left out of a body are counted."""

    def draw(canvas: Canvas) -> None:
        canvas.title(state_of(given), _answer(given), aside=span(given.seconds))
        if given.error:
            canvas.prose(given.error, "refused")
            canvas.gap()
        if canvas.wide:
            # An address of a challenge stands whole at its right.
            right = max((canvas.width - 2) // 2, min(74, canvas.width - 44))
            asked, answer = canvas.apart(canvas.width - 2 - right), canvas.apart(right)
            _request(given, asked, asked.left)
            _response(given, answer, answer.left)
            canvas.beside(asked, answer, gap=2)
            return
        room = 99 if canvas.narrow else canvas.left
        answer = canvas.apart(canvas.width)
        _response(given, answer, max(room - 9, 3))
        asked = canvas.apart(canvas.width)
        _request(given, asked, max(3, room - 1 - len(answer.lines)))
        canvas.lines += asked.lines
        canvas.gap()
        canvas.lines += answer.lines

    return Page(draw)


def status(given: Exchange) -> str:
    """The status with its phrase (RFC 9110 section 15), or that no answer came."""
    if given.status is None:
        return "No answer"
    try:
        return f"{given.status} {HTTPStatus(given.status).phrase}"
    except ValueError:
        return str(given.status)


def _answer(given: Exchange) -> str:
    """What the panel's title says: the status where it is an answer, else why there is none."""
    tool = next((value for name, value in given.request_headers if name.lower() == "mcp-name"), None)
    return f"{status(given)} for {tool or f'{given.method} {_path(given.url)}'}"


def state_of(given: Exchange) -> State:
    """The verdict of a status; RFC 8628 section 3.5 makes one kind of 400 a way of saying "wait"."""
    if given.status is None:
        return "refused"
    if given.status == 400:
        try:
            body = json.loads(given.response_body or "")
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict) and body.get("error") in ("authorization_pending", "slow_down"):
            return "waiting"
    return "refused" if given.status >= 400 else "allowed" if given.status >= 200 else "none"


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _request(given: Exchange, canvas: Canvas, rows: int) -> None:
    line = f"{canvas.glyphs.arrow} {given.method} {_path(given.url)}"
    canvas.line((canvas.short(line, canvas.room), "strong"))
    headers = _chosen(given.request_headers, ASKED)
    if not any(name == "host" for name, _ in headers):
        headers.insert(0, ("host", host(given.url)))
    if given.status == 401 and not any(name == "authorization" for name, _ in headers):
        headers.insert(1, ("authorization", "(none sent)"))
    _side(headers, given.request_headers, given.request_body, canvas, rows - 1)


def _response(given: Exchange, canvas: Canvas, rows: int) -> None:
    line = f"{canvas.glyphs.back} {status(given)}"
    canvas.line((canvas.short(line, canvas.room), f"strong {state_of(given)}"))
    headers = _chosen(given.response_headers, ANSWERED)
    _side(headers, given.response_headers, given.response_body, canvas, rows - 1)


def _side(
    headers: list[tuple[str, str]],
    every: Iterable[tuple[str, str]],
    body: str | None,
    canvas: Canvas,
    rows: int,
) -> None:
    """Headers, then as much of the body as `rows` leaves."""
    kind = next((value for name, value in every if name.lower() == "content-type"), "")
    lines = body_lines(body, kind, canvas.room)
    if lines and rows < SPACIOUS:
        headers = [header for header in headers if header[0] not in QUIETLY]
    canvas.label = 22
    start = len(canvas.lines)
    for name, value in headers[: max(1, rows - min(1, len(lines)))]:
        if name == "www-authenticate":
            _challenge(name, value, canvas, min(4, max(1, rows - 2)))
        else:
            # A masked credential has its beginning, its end and its length, and all three are looked at.
            canvas.field(name, value, prose=name == "authorization", at_most=3)
    left = rows - (len(canvas.lines) - start)
    kept = lines if len(lines) <= left else lines[: max(0, left - 1)]
    for line in kept:
        canvas.line(_shortened(line, canvas))
    if len(kept) < len(lines) and left > 0:
        canvas.line((f"{canvas.glyphs.ellipsis} {many(len(lines) - len(kept), 'more line')}", "quiet"))


def _shortened(line: str, canvas: Canvas) -> str:
    """A line of a body in the room that there is, the name of its value whole."""
    named = _NAME.match(line)
    name = safe(named[0], canvas.encoding) if named is not None else ""
    if named is None or cell_len(name) + FEWEST > canvas.room:
        return canvas.short(line, canvas.room)
    return name + canvas.short(line[named.end() :], canvas.room - cell_len(name))


def _challenge(name: str, value: str, canvas: Canvas, rows: int) -> None:
    """A challenge, a parameter a line, so that no address in it is cut; prose where that takes too many rows."""
    found = _PARAMETER.findall(value)
    lines: list[tuple[int, str]] = []
    for number, part in enumerate(found):
        if number == 0 and cell_len(part) <= canvas.room - canvas.label:
            lines.append((MARGIN + canvas.label, part))
        elif cell_len(part) <= canvas.room - 2:
            lines.append((2 * MARGIN, part))
        else:
            head, _, tail = part.partition("=")
            lines += [(2 * MARGIN, f"{head}="), (2 * MARGIN + 2, tail)]
    if len(lines) > rows or not found or lines[0][0] == 2 * MARGIN:
        canvas.field(name, value, prose=True, at_most=min(3, rows))
        return
    for number, (indent, line) in enumerate(lines):
        shown = canvas.short(line, canvas.width - indent - MARGIN)
        if number == 0:
            canvas.line((name.ljust(canvas.label), "quiet"), shown)
        else:
            canvas.line(shown, indent=indent)


_PARAMETER = re.compile(r'\s*((?:[A-Za-z]+ )?[\w-]+="[^"]*",?|[^\s,]+,?)')
"""A parameter of a challenge with its comma, the first one behind the scheme (RFC 9110 section 11.6.1)."""


def _chosen(headers: Iterable[tuple[str, str]], names: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [(name.lower(), value) for name, value in headers if name.lower() in names]
    return sorted(found, key=lambda header: names.index(header[0]))
