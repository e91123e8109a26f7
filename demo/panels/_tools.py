"""What the server offers an agent, and the scope that each tool takes."""

from __future__ import annotations

from demo.evidence import Tool
from demo.panels._page import Canvas, Page
from demo.panels._values import many


def tools(given: tuple[Tool, ...]) -> Page:
    """A row for each tool: name, scope, what it does or which arguments it takes."""

    def draw(canvas: Canvas) -> None:
        canvas.title("none", f"{many(len(given), 'tool')} that an agent can find here" if given else "No tools here")
        room = max(1, canvas.left) if not canvas.narrow else len(given)
        kept = given if len(given) <= room else given[: room - 1]
        if canvas.narrow:
            for tool in kept:
                canvas.line((canvas.short(tool.name, canvas.room), "strong"))
                canvas.line((canvas.short(tool.scope or "no scope told", canvas.room - 2), "quiet"), indent=4)
        else:
            name, scope = (24, 12) if not canvas.wide else (28, 16)
            rest = canvas.room - name - scope - 4
            for tool in kept:
                takes = f"({', '.join(tool.arguments)})" if tool.arguments else ""
                about = canvas.wrapped(tool.description or takes or "no description", rest, 1)
                canvas.line(
                    (canvas.cell(tool.name, name), "strong"),
                    "  ",
                    canvas.cell(tool.scope or "-", scope),
                    "  ",
                    ("".join(about), "quiet"),
                )
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'more tool')}", "quiet"))

    return Page(draw)
