"""What went wrong, why, and what to do now."""

from __future__ import annotations

from rich.cells import cell_len

from demo.errors import advice
from demo.panels.page import Canvas, Page
from demo.panels.values import pad
from deputize.errors import ExplainedError


def failure(error: ExplainedError) -> Page:
    """An error as a reader can use it: never a traceback."""

    def draw(canvas: Canvas) -> None:
        canvas.label = 9
        canvas.title("refused", error.what or "Something went wrong")
        if error.why:
            canvas.field("why", error.why, prose=True, at_most=4)
        if do := advice(error):
            # Whole, and a word that is wider than the screen from its edge on, where it can be copied: this is the
            # command that helps.
            label = canvas.label
            for number, line in enumerate(canvas.wrapped(do, canvas.room - label, whole=True)):
                beside = cell_len(line) <= canvas.room - label
                if number == 0 or beside:
                    canvas.line(
                        (pad("do this" if number == 0 else "", label), "quiet"), (line if beside else "", "strong")
                    )
                if not beside:
                    canvas.line((line, "strong"), indent=0)

    return Page(draw)
