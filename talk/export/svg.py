"""Screens as SVG: one picture, or many that follow each other by CSS alone. Nothing is loaded, and no script runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from demo.panels import theme
from talk.export.cells import Line, Span

FONT_SIZE = 16
COLUMN = 9.6
"""Width of a column: 0.6 em, which is what monospaced fonts have; each run of text is held to it by `textLength`."""
ROW = 19
HAIR = 0.4
EDGE, BAR = 14, 30
"""Pixels around the text; of the title bar."""
BLOCKS = frozenset("▀▄█ ")
MONOSPACE = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
INKS = ("allowed", "refused", "waiting", "unverified", "quiet")
_STILL = "@media (prefers-reduced-motion:reduce){.f{animation:none}.f0{opacity:1}}"


def picture(lines: Sequence[Line], *, title: str, width: int, rows: int, described: str) -> str:
    """One screen as an SVG image.

    Args:
        lines: what is on the screen.
        title: what stands in the title bar.
        width, rows: the size of the screen in columns and rows.
        described: what the picture shows, for those who do not see it (`<desc>`).

    The same lines give the same bytes.
    """
    return _image([_lines(lines)], _style(()), title, width, rows, described)


def animation(
    frames: Sequence[tuple[Sequence[Line], float]], *, title: str, width: int, rows: int, described: str
) -> str:
    """Screens that follow each other, over and over; where the reader wants no motion, the first of them.

    Args:
        frames: the lines of each screen, and for how many seconds it is seen.
    """
    whole = sum(seconds for _, seconds in frames)
    rules = [f".f{{opacity:0;animation:{whole:.1f}s step-end infinite}}"]
    groups, begun = [], 0.0
    for number, (lines, seconds) in enumerate(frames):
        first, last = 100 * begun / whole, 100 * (begun + seconds) / whole
        begun += seconds
        # Steps, so that no two screens are ever mixed: each keyframe holds until the next.
        hidden = "0%{opacity:0}" if number else ""
        gone = f"{last:.2f}%{{opacity:0}}" if number < len(frames) - 1 else ""
        rules.append(
            f"@keyframes k{number}{{{hidden}{first:.2f}%{{opacity:1}}{gone}}}.f{number}{{animation-name:k{number}}}"
        )
        groups.append(f'<g class="f f{number}">{_lines(lines)}</g>')
    return _image(groups, _style([*rules, _STILL]), title, width, rows, described)


def _style(more: Sequence[str]) -> str:
    look = theme.current()
    ink = "".join(f".{role[0]}{{fill:{look.colours[role]}}}" for role in INKS)
    ink += f".n{{fill:{look.text}}}"
    plain = f"text{{font:{FONT_SIZE}px {MONOSPACE};fill:{look.text};white-space:pre}}"
    return f"{plain}{ink}.b{{font-weight:700}}" + "".join(more)


def _image(groups: Sequence[str], style: str, title: str, width: int, rows: int, described: str) -> str:
    across, down = round(width * COLUMN + 2 * EDGE), rows * ROW + BAR + 2 * EDGE
    look = theme.current()
    dot = look.colours["quiet"]
    dots = "".join(f'<circle cx="{20 + 18 * n}" cy="{BAR // 2 + 3}" r="5" fill="{dot}"/>' for n in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" role="img" '
        f'aria-labelledby="t d"><title id="t">{_text(title)}</title><desc id="d">{_text(described)}</desc>'
        f"<style>{style}</style>"
        f'<rect width="{across}" height="{down}" rx="10" fill="{look.background}"/>{dots}'
        f'<text x="{across // 2}" y="{BAR // 2 + 8}" text-anchor="middle" class="q">{_text(title)}</text>'
        f'<g transform="translate({EDGE} {BAR + EDGE})">{"".join(groups)}</g></svg>\n'
    )


def _lines(lines: Sequence[Line]) -> str:
    return "".join(_row(line, number) for number, line in enumerate(lines))


def _row(line: Line, number: int) -> str:
    """One row: each run of text begins at its own column, whatever the font makes of the one before it."""
    written, column = [], 0
    for span in line:
        if set(span.text) <= BLOCKS:
            if "scan" in span.roles:
                ground = f'x="{column * COLUMN:.4g}" y="{number * ROW}" width="{span.columns * COLUMN:.4g}"'
                written.append(f'<rect {ground} height="{ROW}" fill="#000"/>')
                written.append(_path("#fff", _blocks(span.text, column), number))
            elif span.text.strip():
                written.append(_path("", _blocks(span.text, column), number, span.roles))
        elif text := span.text.strip(" "):
            before = Span(span.text[: len(span.text) - len(span.text.lstrip(" "))]).columns
            written.append(_run(text, column + before, number, span.roles))
        column += span.columns
    return "".join(written)


def _run(text: str, column: int, row: int, roles: Sequence[str]) -> str:
    length = f' textLength="{Span(text).columns * COLUMN:.4g}" lengthAdjust="spacingAndGlyphs"'
    place = f'x="{column * COLUMN:.4g}" y="{row * ROW + FONT_SIZE - 1}"'
    return f"<text {place}{_class(roles)}{length}>{_text(text)}</text>"


def _class(roles: Sequence[str]) -> str:
    names = " ".join("b" if role == "strong" else role[0] for role in roles)
    return f' class="{names}"' if names else ""


def _blocks(text: str, column: int) -> list[tuple[int, int, int, int]]:
    """The rectangles of half blocks: (column, half row, columns, half rows)."""
    found = []
    for inks, top, height in (("█", 0, 2), ("▀", 0, 1), ("▄", 1, 1)):
        found += [(column + run.start(), top, len(run[0]), height) for run in re.finditer(f"{inks}+", text)]
    return found


def _path(fill: str, rectangles: Sequence[tuple[int, int, int, int]], row: int, roles: Sequence[str] = ()) -> str:
    """Rectangles as one shape: half blocks of a font leave gaps, which no camera forgives in a QR code. Each is larger
    by a hair on every side, so that no gap shows between two of them either, at any size of the picture."""
    shapes = []
    for column, top, columns, halves in rectangles:
        left, over = column * COLUMN - HAIR, row * ROW + top * ROW / 2 - HAIR
        across, down = columns * COLUMN + 2 * HAIR, halves * ROW / 2 + 2 * HAIR
        shapes.append(f"M{left:.4g} {over:.4g}h{across:.4g}v{down:.4g}h-{across:.4g}z")
    inks = [role for role in roles if role in INKS] or ["none"]
    filled = f' fill="{fill}"' if fill else _class(inks)
    return f'<path d="{"".join(shapes)}"{filled}/>' if shapes else ""


_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    """Text for XML 1.0, whose production 2 leaves out control characters and lone surrogates, escaped or not."""
    return escape(_XML.sub("\ufffd", text))
