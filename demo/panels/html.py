"""A panel as HTML: text in a `pre`, a class for each meaning, and nothing else of how it looks.

The page that holds it says in its stylesheet what `allowed`, `refused`, `waiting`, `unverified`, `strong`, `quiet` and
`scan` look like. Everything is escaped; no attribute has a value that came from the evidence.
"""

from __future__ import annotations

from functools import cache
from html import escape

from rich.console import RenderableType
from rich.style import Style

from demo.panels import theme
from demo.panels.fit import paper

_DRAWN = "".join((*"█▀▄▌▐░▒▓ ",))
"""What block letters, bars and QR codes are drawn with; a screen reader would spell them."""


def fragment(panel: RenderableType, width: int = 80, rows: int = 60) -> str:
    """The lines of a panel as HTML, to be put into a `pre`.

    Args:
        width: columns to draw it for.
        rows: rows that it adapts to.
    """
    console, lines = paper(width, rows), []
    for line in console.render_lines(panel, pad=False):
        drawn = "".join(_span(segment.text, segment.style) for segment in line if not segment.control)
        text = "".join(segment.text for segment in line)
        hidden = text.strip() and not text.strip(_DRAWN)
        lines.append(f'<span aria-hidden="true">{drawn}</span>' if hidden else drawn)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)


def _span(text: str, style: Style | None) -> str:
    classes = _classes(style) if style is not None and text.strip() else ""
    shown = escape(text)
    if "scan" in classes:  # a QR code, which may stand beside words
        return f'<span class="{classes}" aria-hidden="true">{shown}</span>'
    return f'<span class="{classes}">{shown}</span>' if classes else shown


@cache
def _classes(style: Style) -> str:
    """The roles of `demo.panels.theme.STYLES` that a style is made of."""
    found = []
    for role in theme.STYLES:
        one = Style.parse(theme.style(role))
        colour = one.color is not None and one.color == style.color and one.bgcolor == style.bgcolor
        if colour or (one.bold and style.bold) or (one.dim and style.dim):
            found.append(role)
    return " ".join(found)
