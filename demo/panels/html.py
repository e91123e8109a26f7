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

VERDICTS = ("allowed", "refused", "waiting", "unverified")
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
    classes = " ".join(roles_of(style)) if style is not None and text.strip() else ""
    shown = escape(text)
    if "scan" in classes:  # a QR code, which may stand beside words
        return f'<span class="{classes}" aria-hidden="true">{shown}</span>'
    return f'<span class="{classes}">{shown}</span>' if classes else shown


def roles_of(style: Style) -> tuple[str, ...]:
    """The theme's roles that make a style: the verdict by its colour, then what is strong or quiet; or `scan`."""
    return _roles_in(style, theme.current().name)


@cache
def _roles_in(style: Style, name: str) -> tuple[str, ...]:
    def colour(role: str) -> object:
        return Style.parse(theme.style(role)).color

    if style.bgcolor is not None and style.bgcolor == Style.parse(theme.style("scan")).bgcolor:
        return ("scan",)
    verdicts = [role for role in VERDICTS if style.color is not None and style.color == colour(role)]
    quiet = style.dim or (style.color is not None and style.color == colour("quiet"))
    return (*verdicts, *(("strong",) if style.bold else ()), *(("quiet",) if quiet else ()))
