"""Panels as an SVG picture of a terminal, for the README; it loads nothing from the network."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, RenderableType

MONOSPACE = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


def picture(
    renderables: Iterable[RenderableType], path: Path, *, title: str, width: int = 80, height: int = 24
) -> None:
    """Draw the renderables below each other and write the picture to `path`.

    Args:
        renderables: panels, with an empty line wherever the picture should have one (`""`).
        path: the SVG file, overwritten.
        title: what stands in the window's title bar.
        width: columns.
        height: rows that panels adapt to; the picture is as high as what is drawn.

    The same panels give the same bytes, so that a picture in a repository changes only when what it shows does.
    """
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        legacy_windows=False, highlight=False, markup=False, _environ={},
    )  # fmt: skip
    for renderable in renderables:
        console.print(renderable)
    svg = console.export_svg(title=title, unique_id="demo")
    # Rich's template asks a web server for its font; a picture in a repository must not.
    svg = re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg)
    svg = re.sub(r"font-family:\s*Fira Code,\s*monospace", f"font-family: {MONOSPACE}", svg)
    path.write_text(svg, encoding="utf-8")
