"""What went wrong, why, and what to do now."""

from __future__ import annotations

from demo.errors import DemoError
from demo.panels._page import Canvas, Page


def failure(error: DemoError) -> Page:
    """An error as a reader can use it: never a traceback."""

    def draw(canvas: Canvas) -> None:
        canvas.label = 9
        canvas.title("refused", error.what or "Something went wrong")
        if error.why:
            canvas.field("why", error.why, prose=True, at_most=4)
        if error.do:
            canvas.field("do this", error.do, "strong", prose=True, at_most=4)

    return Page(draw)
