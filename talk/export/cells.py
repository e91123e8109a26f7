"""What a terminal would show, as lines of text with the roles of the theme: what HTML and SVG are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from demo.panels.fit import paper
from demo.panels.html import roles_of

if TYPE_CHECKING:
    from rich.console import RenderableType

DRAWN = frozenset("▀▄█░━─▌│┃ ")
"""Characters that draw: block letters, QR codes, bars and rules, which are no text to anyone who hears them."""


@dataclass(frozen=True)
class Span:
    """Text in one line that looks alike. `roles` are names of `demo.panels.theme`, e.g. ("refused", "strong")."""

    text: str
    roles: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """How many columns it takes."""
        return cell_len(self.text)


Line = tuple[Span, ...]


def lines_of(renderable: RenderableType, width: int, rows: int) -> list[Line]:
    """The lines that a renderable draws on a screen of `width` columns and `rows` rows."""
    console = paper(width, rows)
    segments = (one for one in console.render(renderable, console.options) if not one.control)
    lines = [_line(line) for line in Segment.split_lines(segments)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def plain(line: Line) -> str:
    """A line without its roles."""
    return "".join(span.text for span in line)


def is_drawn(line: Line) -> bool:
    """Whether a line draws something rather than says it."""
    text = plain(line)
    return bool(text.strip()) and set(text) <= DRAWN


def _line(segments: list[Segment]) -> Line:
    spans: list[Span] = []
    for segment in segments:
        roles = roles_of(segment.style) if segment.style is not None else ()
        if spans and spans[-1].roles == roles:
            spans[-1] = Span(spans[-1].text + segment.text, roles)
        elif segment.text:
            spans.append(Span(segment.text, roles))
    if spans and not (spans[-1].roles and "scan" in spans[-1].roles):
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].roles)
    return tuple(span for span in spans if span.text)
