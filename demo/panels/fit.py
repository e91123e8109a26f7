"""Whether a renderable fits a screen, told before the stage finds out."""

from __future__ import annotations

import io
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.segment import Segment

from demo.panels.values import may_break, shorten

DESIGN_ROWS = 24
"""The design size is 80 columns by 24 rows."""

WIDER = 2_000
"""Columns at which nothing needs to be broken: what stands there is what the words really are."""


def paper(width: int, rows: int, *, colour: bool = True) -> Console:
    """A console of this size that shows nobody what it draws: its segments are read."""
    return Console(
        width=width, height=rows, file=io.StringIO(), force_terminal=True, legacy_windows=False, _environ={},
        color_system="truecolor" if colour else None, highlight=False, markup=False, emoji=False,
    )  # fmt: skip


def drawn(renderable: RenderableType, width: int, rows: int = DESIGN_ROWS) -> list[str]:
    """The lines a renderable draws, as plain text without colour, not cropped to `width`.

    Args:
        renderable: anything that Rich prints.
        width: columns of the screen.
        rows: rows of the screen, which some panels adapt to.
    """
    console = paper(width, rows, colour=False)
    segments = (segment for segment in console.render(renderable, console.options) if not segment.control)
    lines = ["".join(part.text for part in line).rstrip() for line in Segment.split_lines(segments)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def measure(renderable: RenderableType, width: int, rows: int = DESIGN_ROWS) -> tuple[int, int]:
    """(columns, rows) that a renderable really uses on a screen of `width` columns and `rows` rows."""
    lines = drawn(renderable, width, rows)
    return max(map(cell_len, lines), default=0), len(lines)


def overflow(renderable: RenderableType, width: int, height: int) -> str | None:
    """Why a renderable does not fit in `width` columns and `height` rows, naming the line; None where it fits.

    A line that is too long, too many lines, and a word broken or cropped in the middle all count.
    """
    lines = drawn(renderable, width, max(DESIGN_ROWS, height))
    for number, line in enumerate(lines, 1):
        if cell_len(line) > width:
            return f"line {number} takes {cell_len(line)} columns of {width}: {_quote(line)}"
    broken = _broken(lines, drawn(renderable, WIDER, max(DESIGN_ROWS, height)))
    if broken:
        return broken
    if len(lines) > height:
        return f"{len(lines)} rows where {height} are free; the first line too many is {_quote(lines[height])}"
    return None


def _broken(lines: list[str], wide: list[str]) -> str | None:
    """The first word that is broken over two lines, or cropped, judged by the words as they stand when drawn wide."""
    whole = {word for line in wide for word in line.split() if any(map(str.isalnum, word))}
    for number, (line, following) in enumerate(pairwise([*lines, ""]), 1):
        next_words = following.split()
        for word in line.split():
            if word in whole or not any(map(str.isalnum, word)):
                continue
            stem = word.rstrip("….") if word.endswith(("…", "..")) else None
            if (
                stem
                and not {"…", ".."} & {stem[:1], stem[:2]}
                and any(other.startswith(stem) and other != stem for other in whole)
            ):
                return f"line {number} crops a value: {_quote(word)}"
            for rest in next_words:
                if may_break(word[-1], rest[0]):
                    continue
                # An ellipsis is no rest of a word, though a longer line may be cropped right behind this one.
                if any(map(str.isalnum, rest)) and any(other.startswith(word + rest) for other in whole):
                    return f"line {number} breaks a value in the middle: {_quote(word)} and {_quote(rest)}"
    return None


def _quote(line: str) -> str:
    return f'"{shorten(line.strip(), 48)}"'
