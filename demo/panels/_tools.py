"""What the server offers an agent, and the scope that each tool takes."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from demo.evidence.shop import Tool
from demo.panels.page import MARGIN, Canvas, Page
from demo.panels.values import many

_ABOUT = 24
"""Columns that a description must have to stand beside its tool's name."""


def tools(given: tuple[Tool, ...]) -> Page:
    """A row for each tool: name, scope, what it does or which arguments it takes."""

    def draw(canvas: Canvas) -> None:
        canvas.title("none", f"{many(len(given), 'tool')} that an agent can find here" if given else "No tools here")
        name = max(28 if canvas.wide else 24, *(cell_len(one.name) for one in given if canvas.typed(one.name)), 0)
        scopes = [one.scope or "-" for one in given]
        scope = max(16 if canvas.wide else 12, *(cell_len(one) for one in scopes if canvas.typed(one)), 0)
        kept, room = len(given), canvas.left
        rows = [_rows(tool, name, scope, 2, canvas) for tool in given]
        if sum(map(len, rows)) > room:
            rows = [_rows(tool, name, scope, 1, canvas) for tool in given]
        while not canvas.narrow and kept > 1 and sum(map(len, rows[:kept])) + (kept < len(rows)) > room:
            kept -= 1
        for row in rows[:kept]:
            canvas.lines.extend(row)
        if kept < len(rows):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(rows) - kept, 'more tool')}", "quiet"))

    return Page(draw)


def _brief(description: str, room: int) -> str:
    """A description, or only its first sentence where it is longer than `room` columns."""
    first = description.partition(". ")[0]
    return description if cell_len(description) <= room or first == description else f"{first}."


def _rows(tool: Tool, name: int, scope: int, at_most: int, canvas: Canvas) -> list[Text]:
    """A tool's line, or `at_most` lines where its description is long, in columns of `name` and `scope`. A name or
    scope that is too long for a column stands on a line of its own: both are typed, and so stand whole."""
    apart = canvas.apart(canvas.width)
    beside = canvas.room - name - scope - 4
    takes = f"({', '.join(tool.arguments)})" if tool.arguments else "no description"
    about = _brief(tool.description, 2 * beside) or takes
    if canvas.narrow or beside < _ABOUT:
        apart.whole(tool.name, "strong")
        apart.whole(tool.scope or "no scope given", "quiet", indent=4)
        if not canvas.narrow:
            apart.prose(about, "quiet", indent=4, at_most=1)
        return apart.lines
    words, *more = apart.wrapped(about, beside, at_most) or [""]
    parts = (
        (apart.cell(tool.name, name), "strong"),
        "  ",
        apart.cell(tool.scope or "-", scope),
        "  ",
        (words, "quiet"),
    )
    apart.line(*parts)
    for line in more:
        apart.line((line, "quiet"), indent=MARGIN + name + scope + 4)
    return apart.lines
