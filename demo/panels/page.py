"""The sheet a panel is drawn on: it learns its width, rows and encoding only when it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

from demo.panels import theme
from demo.panels.values import NO_BREAK, pad, safe, shorten, words, wrap

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

MARGIN = 2
"""Columns left free at the left edge, and at least as many at the right."""

AROUND = 4
"""Rows of the screen that are not the panel's: the header above it, and the line that waits for the presenter."""

LONGEST_TYPED = 160
"""Characters: MCP allows the name of a tool 128, and an address is about as long. What is longer nobody types."""

WIDEST = 140
"""A line wider than this is no longer read as one."""

Part = str | tuple[str, str]
"""Text, or text and its roles (see `demo.panels.theme.STYLES`)."""


class Canvas:
    """Lines being drawn, top to bottom. Whatever is written is text: never markup, never an escape sequence."""

    def __init__(self, width: int, rows: int, encoding: str = "utf-8") -> None:
        self.width = max(MARGIN + 8, width)
        self.rows = rows
        self.encoding = encoding
        self.glyphs = theme.glyphs(encoding)
        self.lines: list[Text] = []
        self.label = 12
        self.beside_code = False

    @property
    def room(self) -> int:
        """Columns between the margins."""
        return self.width - 2 * MARGIN

    @property
    def left(self) -> int:
        """Rows of the budget not yet used."""
        return self.rows - len(self.lines)

    @property
    def narrow(self) -> bool:
        """Whether things that stand side by side at the design size must stack."""
        return self.width < 64

    @property
    def wide(self) -> bool:
        """Whether there is room for a second column."""
        return self.width >= 110

    def short(self, value: str, width: int) -> str:
        """The value made harmless and shortened to `width` columns, its own length given."""
        return shorten(safe(value, self.encoding), width, ellipsis=self.glyphs.ellipsis, length=len(value))

    def cell(self, value: str, width: int) -> str:
        """`short`, padded to exactly `width` columns: a cell of an aligned column."""
        return pad(self.short(value, width), width)

    def typed(self, value: str) -> bool:
        """Whether somebody can type the value; one that holds other signs is shortened like anything else."""
        longest = LONGEST_TYPED if value.isascii() else self.room
        return 0 < cell_len(value) <= longest and safe(value, self.encoding) == value

    def pieces(self, value: str, width: int) -> list[str]:
        """The value whole, in pieces of at most `width` columns, where it can be typed: of that nothing is cut."""
        return chop_cells(value, max(1, width)) if self.typed(value) else [self.short(value, width)]

    def wrapped(self, prose: str, width: int, at_most: int | None = None, *, whole: bool = False) -> list[str]:
        """Prose made harmless and wrapped between words; with `whole` a line may be wider."""
        # Made harmless part by part: what keeps two words on one line is a space that `safe` would make breakable.
        harmless = (NO_BREAK.join(safe(part, self.encoding) for part in word.split(NO_BREAK)) for word in words(prose))
        return wrap(" ".join(harmless), width, at_most=at_most, ellipsis=self.glyphs.ellipsis, whole=whole)

    def line(self, *parts: Part, indent: int = MARGIN) -> None:
        """One line of parts; the caller makes sure that they fit."""
        text = Text(" " * indent if parts else "", no_wrap=True, overflow="ignore", end="")
        for part in parts:
            value, roles = (part, "") if isinstance(part, str) else part
            text.append(safe(value, self.encoding), theme.style(roles))
        text.rstrip()
        self.lines.append(text)

    @staticmethod
    def blank() -> Text:
        """An empty line that is not yet anywhere."""
        return Text("", no_wrap=True, overflow="ignore", end="")

    def gap(self) -> None:
        """An empty line, unless there is one already or nothing above."""
        if self.lines and self.lines[-1].plain:
            self.line()

    def title(self, state: theme.State, answer: str, *, aside: str = "") -> None:
        """The panel's answer: the mark and the colour of its verdict, then an empty line; `aside` at its right."""
        mark = self.glyphs.mark(state) + " " if state != "none" else ""
        aside = self.short(aside, self.room // 3)
        hang = MARGIN + cell_len(mark)
        taken = cell_len(aside) + 2 if aside else 0
        for number, line in enumerate(self.wrapped(answer, self.width - hang - MARGIN - taken, 2)):
            space = " " * (self.width - hang - MARGIN - cell_len(line) - cell_len(aside))
            tail: list[Part] = [space, (aside, "quiet")] if aside and number == 0 else []
            self.line((mark * (number == 0) + line, f"strong {state}"), *tail, indent=MARGIN if number == 0 else hang)
        self.gap()

    def whole(self, value: str, roles: str = "", *, indent: int = MARGIN) -> None:
        """A value that somebody types, on lines of its own, never shortened."""
        for piece in self.pieces(value, self.width - indent):
            self.line((piece, roles), indent=indent)

    def prose(self, prose: str, roles: str = "", *, indent: int = MARGIN, at_most: int = 2) -> None:
        """A sentence or two, wrapped between words."""
        for line in self.wrapped(prose, self.width - indent - MARGIN, at_most):
            self.line((line, roles), indent=indent)

    def field(
        self,
        label: str,
        value: str,
        roles: str = "",
        *,
        at_most: int = 1,
        prose: bool = False,
        whole: bool = False,
    ) -> None:
        """A label and its value, aligned with the fields around it.

        A value stays on one line and is shortened in the middle; `prose` wraps it over `at_most` lines; what somebody
        types is `whole`, and goes on below where it is wider than the screen.
        """
        room = self.room - self.label
        shown = self.pieces(value, room) if whole else [self.short(value, room)]
        if prose:
            shown = self.wrapped(value, room, at_most)
        for number, line in enumerate(shown or [""]):
            self.line((pad(label if number == 0 else "", self.label), "quiet"), (line, roles))

    def list(self, label: str, values: Sequence[str], *, at_most: int = 2, empty: str = "none") -> None:
        """A label and many short values in a row, as many as fit in `at_most` lines, the rest counted."""
        room, shown = self.room - self.label, [self.short(value, self.room - self.label) for value in values]
        kept = len(shown)
        while kept and len(_rows(shown[:kept], _more(len(shown) - kept), room)) > at_most:
            kept -= 1
        lines = _rows(shown[:kept], _more(len(shown) - kept), room) if shown else [empty]
        for number, line in enumerate(lines):
            self.line((pad(label if number == 0 else "", self.label), "quiet"), line)

    def bar(self, used: float, limit: float, width: int, roles: str) -> tuple[Part, Part]:
        """A bar `width` columns long, filled to `used` of `limit`; anything used shows, and so does anything left."""
        share = min(1.0, max(0.0, used / limit)) if limit > 0 else 1.0
        filled = round(share * width)
        filled = max(1, filled) if share > 0 else 0
        filled = min(width - 1, filled) if share < 1 else width
        return (self.glyphs.used * filled, roles), (self.glyphs.rest * (width - filled), "quiet")

    def apart(self, width: int) -> Canvas:
        """An empty canvas of another width, to be put beside this one's drawing."""
        return Canvas(width, self.left, self.encoding)

    def beside(self, left: Canvas, right: Canvas, *, gap: int = 0) -> None:
        """Two drawings side by side."""
        for number in range(max(len(left.lines), len(right.lines))):
            text = left.lines[number].copy() if number < len(left.lines) else Text(end="")
            if number < len(right.lines) and right.lines[number].plain:
                text.append(" " * max(0, left.width + gap - text.cell_len))
                text.append_text(right.lines[number])
            self.lines.append(text)


def _more(count: int) -> list[str]:
    return [f"+{count} more"] if count else []


def _rows(values: Sequence[str], tail: Sequence[str], room: int) -> list[str]:
    lines: list[str] = []
    for value in [*values, *tail]:
        if lines and cell_len(lines[-1]) + 2 + cell_len(value) <= room:
            lines[-1] += "  " + value
        else:
            lines.append(value)
    return lines


@dataclass(frozen=True)
class Made:
    """Of what a page was made: its panel's name, and the evidence by parameter. A recording keeps this."""

    panel: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """A panel: a Rich renderable that draws itself for the width, height and encoding it is printed to."""

    draw: Callable[[Canvas], None]
    rows: int | None = None
    made: Made | None = None

    def within(self, rows: int) -> Page:
        """The same panel, drawn to use at most `rows` rows where it has something it can leave out."""
        return replace(self, rows=rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = self.rows or options.height or max(8, options.max_height - AROUND)
        canvas = Canvas(min(options.max_width, WIDEST), rows, options.encoding)
        self.draw(canvas)
        while canvas.lines and not canvas.lines[-1].plain:
            canvas.lines.pop()
        for text in canvas.lines:
            yield from text.render(console)
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(40, options.max_width), options.max_width)
