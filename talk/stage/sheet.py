"""What is on the audience's screen at one moment, as plain data, and how it is laid out at any size of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.segment import Segment

from demo.panels import bigtype, closing
from demo.panels._header import RECORDED
from demo.panels.fit import DESIGN_ROWS, paper
from demo.panels.page import MARGIN, WIDEST, Canvas, Page
from talk.stage.screen import WHOLE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from demo.evidence.screen import BeatHeader

Size = Literal[-1, 0, 1]
"""Compact: all panels since the last pause, under a small title. Usual: larger letters where there is room for them.
Big: the newest panel alone."""
TALL_ROWS, VAST_ROWS = 32, 38
"""From so many rows on the title stands in block letters; from so many on it may take two lines of them."""
ASKS = ("device", "browser")
"""Panels that ask for something: what comes after them takes their place, and no sentence stands below them."""
_CLOSING_ROWS = 2
"""Kept free for the sentence at a beat's end, so that nothing moves when it comes."""
_GAUGE = 24
"""Columns of the line that fills while something is awaited."""

Line = list[Segment]


@dataclass(frozen=True)
class Sheet:
    """One moment of the audience's screen.

    Args:
        header: the beat; None before the first one.
        panels: what was shown since the last pause, each with its panel's name.
        closing: the sentence to say aloud at the beat's end.
        notes: lines about the performance itself.
        status: what is being done or awaited.
        share: how much of the time for that has gone, 0 to 1; None where nobody knows.
        awaits: whether the presenter is awaited.
    """

    header: BeatHeader | None = None
    panels: tuple[tuple[str, RenderableType], ...] = ()
    closing: str = ""
    notes: tuple[str, ...] = ()
    status: str = ""
    share: float | None = None
    awaits: bool = False


def paint(sheet: Sheet, width: int, height: int, *, size: Size = 0, encoding: str = "utf-8") -> list[Line]:
    """The screen as exactly `height` lines; of what has no room the newest is kept."""
    across, airy = min(width, WIDEST), height > DESIGN_ROWS
    draw = partial(_drawn, width=across, encoding=encoding)
    foot = _foot(sheet, draw)
    last = draw(closing(sheet.closing)) if sheet.closing else []
    room = max(0, height - len(foot) - len(last))
    asks = bool(sheet.panels) and sheet.panels[-1][0] in ASKS
    steady = room if asks else room - max(0, _CLOSING_ROWS - len(last))
    head, body = _head_and_body(sheet, draw, steady, height, size)
    spare = max(0, steady - len(head) - sum(map(len, body)))
    between = 1 if spare >= len(body) else 0
    spare -= between * max(0, len(body) - 1)
    lines = [*head, *([[]] * (spare // 3 if airy or sheet.header is None else min(1, spare)))]
    inset = [Segment(" " * _inset(body, across))]
    for number, block in enumerate(body):
        lines += [[]] * (between if number else 0) + [[*inset, *line] for line in block]
    lines = lines[:room]
    below = 1 if airy and len(lines) < room else 0
    lines += [[]] * (room - len(lines) - below) + last + [[]] * below + foot
    left = [Segment(" " * ((width - across) // 2))]
    return [[*left, *line] for line in lines[:height]]


def _head_and_body(
    sheet: Sheet, draw: partial[list[Line]], room: int, height: int, size: Size
) -> tuple[list[Line], list[list[Line]]]:
    """The title, and the panels below it: large letters never take the rows that a panel needs."""
    head = _head(sheet, draw)
    shown = list(sheet.panels[-1:] if size > 0 else sheet.panels)
    if shown and shown[-1][0] in WHOLE and not (sheet.header and sheet.header.recorded):  # then nobody acts on it
        whole = draw(shown[-1][1], rows=room)
        if len(whole) > room - len(head):
            return [], [whole]
    body = _body(shown, draw, room - len(head))
    if size > 0 or (size == 0 and height >= TALL_ROWS):
        large = _head(sheet, draw, at_most=2 if size > 0 or height >= VAST_ROWS else 1)
        if len(large) + sum(map(len, body)) + len(body) < room:
            head = large
    return head, body


def title_card(title: str, below: str = "") -> Page:
    """What stands on the screen before the first beat: the talk's title as large as the screen allows."""

    def drawing(canvas: Canvas) -> None:
        rows = _block_letters(title, canvas, 2)
        for row in rows or [canvas.short(title, canvas.room)]:
            canvas.line((row, "strong"))
        canvas.gap()
        canvas.prose(below, "quiet")

    return Page(drawing)


def _body(shown: Sequence[tuple[str, RenderableType]], draw: partial[list[Line]], room: int) -> list[list[Line]]:
    """The newest panels that fit together; the newest one always, in as few rows as it can do with."""
    if not shown:
        return []
    blocks: list[list[Line]] = []
    for _, panel in reversed(shown):
        block = draw(panel, rows=max(8, room))
        if blocks and sum(map(len, blocks)) + len(block) > room:
            break
        blocks.insert(0, block)
    return blocks


def _inset(body: Sequence[list[Line]], width: int) -> int:
    """Columns by which the panels are moved to the right, so that they stand in the middle of a wide screen."""
    used = max((_columns(line) for block in body for line in block), default=width)
    return max(0, (width - used - MARGIN) // 2) if width >= 100 else 0


def _columns(line: Line) -> int:
    return cell_len("".join(segment.text for segment in line).rstrip())


def _head(sheet: Sheet, draw: partial[list[Line]], *, at_most: int = 0) -> list[Line]:
    """The beat's title over a line that fills as the talk goes on; in block letters where at most so many lines of them
    hold it."""
    header = sheet.header
    if header is None:
        return []

    def drawing(canvas: Canvas) -> None:
        number = f"{header.number}/{header.of}" if header.of else "+"
        aside = RECORDED if header.recorded else header.speaker
        shown = canvas.short(aside, canvas.room // 3)
        role = "strong unverified" if header.recorded else "quiet"
        rows = _block_letters(header.title, canvas, at_most) if at_most else None
        if rows is not None:
            space = canvas.room - len(number) - cell_len(shown)
            canvas.line()
            canvas.line((number, "quiet"), " " * space, (shown, role))
            canvas.line()
            for row in rows:
                canvas.line((row, "quiet"))  # what the room looks at stands below it
            canvas.line()
        else:
            title = canvas.short(header.title, canvas.room - len(number) - cell_len(shown) - 4)
            space = canvas.room - len(number) - cell_len(title) - cell_len(shown) - 2
            canvas.line((number, "quiet"), "  ", (title, "strong"), " " * space, (shown, role))
        done = canvas.room * min(header.number, header.of) // max(1, header.of)
        canvas.line((canvas.glyphs.heavy * done, "strong"), (canvas.glyphs.rule * (canvas.room - done), "quiet"))

    return draw(Page(drawing), trimmed=False)


def _block_letters(text: str, canvas: Canvas, at_most: int) -> list[str] | None:
    """The text in block letters, over at most so many lines; None where it does not fit, or has other signs."""
    if canvas.glyphs.top == canvas.glyphs.bottom:
        return None
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and bigtype.columns(longer, bigtype.SMALL) <= canvas.room:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > at_most or any(bigtype.columns(line, bigtype.SMALL) > canvas.room for line in lines):
        return None
    rows: list[str] = []
    for line in lines:
        drawn = bigtype.big(line, bigtype.SMALL, blocks=True)
        if drawn is None:
            return None
        rows += [*([""] if rows else []), *drawn]
    return rows


def _foot(sheet: Sheet, draw: partial[list[Line]]) -> list[Line]:
    """The last row: what is awaited, quietly; above it the latest notes of this screen."""

    def drawing(canvas: Canvas) -> None:
        for note in sheet.notes[-2:]:
            for line in canvas.wrapped(note.replace("·", canvas.glyphs.dot), canvas.room, 2):
                canvas.line((line, "quiet"))
        gauge: tuple[tuple[str, str], ...] = ()
        if sheet.share is not None:
            done = round(_GAUGE * min(1.0, max(0.0, sheet.share)))
            gauge = ((canvas.glyphs.heavy * done, "quiet"), (canvas.glyphs.rule * (_GAUGE - done), "quiet"))
        mark = canvas.glyphs.head if sheet.awaits else ""
        status = canvas.short(sheet.status, canvas.room - (_GAUGE + 2 if gauge else 0) - 2)
        space = canvas.room - cell_len(status) - (_GAUGE if gauge else 0) - cell_len(mark)
        canvas.line((status, "quiet"), " " * space, *gauge, (mark, "quiet"))

    return draw(Page(drawing), trimmed=False) or [[]]


def _drawn(
    renderable: RenderableType, *, width: int, encoding: str, rows: int | None = None, trimmed: bool = True
) -> list[Line]:
    """The lines of a renderable, in colour, in `rows` rows where it can choose."""
    if rows is not None and hasattr(renderable, "within"):
        renderable = renderable.within(rows)
    console = paper(width, max(5, rows or DESIGN_ROWS))
    options = console.options.copy()
    options.encoding = encoding
    segments = (segment for segment in console.render(renderable, options) if not segment.control)
    lines = [Segment.adjust_line_length(line, width, pad=False) for line in Segment.split_lines(segments)]
    while lines and trimmed and not _columns(lines[-1]):
        lines.pop()
    return lines
