"""The top of the screen while a beat plays: where we are, what it is called, who speaks and how long."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.screen import BeatHeader
from demo.panels.page import Canvas, Page

RECORDED = "RECORDED"


def header(beat: BeatHeader) -> Page:
    """The beat's header: two rows, the second one a line filled as far as the talk has come. What is a take of another
    performance says so in front: nothing of it was verified here and now."""

    def draw(canvas: Canvas) -> None:
        number, minutes = (f"{beat.number}/{beat.of}", f"{beat.minutes:g} min") if beat.of else ("+", "")
        mark = f"{RECORDED} " if beat.recorded else ""
        aside = f" {canvas.glyphs.dot} ".join(filter(None, (beat.speaker, minutes)))
        if canvas.narrow:
            title = canvas.short(beat.title, canvas.room - len(mark) - len(number) - 1)
            canvas.line((mark, "strong unverified"), (number, "quiet"), " ", (title, "strong"))
            canvas.line((canvas.short(aside, canvas.room), "quiet"))
            return
        aside = canvas.short(aside, canvas.room // 3)
        title = canvas.short(beat.title, canvas.room - len(mark) - len(number) - cell_len(aside) - 5)
        space = canvas.room - len(mark) - len(number) - cell_len(title) - cell_len(aside) - 2
        canvas.line(
            (mark, "strong unverified"), (number, "quiet"), "  ", (title, "strong"), " " * space, (aside, "quiet")
        )
        done = canvas.room * min(beat.number, beat.of) // max(1, beat.of)
        canvas.line((canvas.glyphs.heavy * done, "strong"), (canvas.glyphs.rule * (canvas.room - done), "quiet"))

    return Page(draw)
