"""The one sentence to say aloud when a beat ends."""

from __future__ import annotations

from demo.panels.page import Canvas, Page


def closing(sentence: str) -> Page:
    """The sentence, behind a bar; two rows at the design size, three where its letters are wide."""

    def draw(canvas: Canvas) -> None:
        for line in canvas.wrapped(sentence, canvas.room - 2, 6 if canvas.narrow else 3):
            canvas.line((canvas.glyphs.bar, "quiet"), " ", (line, "strong"))

    return Page(draw)
