"""The same facts before and after something happened."""

from __future__ import annotations

from demo.evidence.screen import Comparison
from demo.panels.page import Canvas, Page
from demo.panels.values import many


def comparison(given: Comparison) -> Page:
    """A row for each fact, before and after, and whether it is still the same."""

    def draw(canvas: Canvas) -> None:
        canvas.title("none", given.title or "Before and after")
        tail = 3 if given.conclusion else 0
        room = max(1, canvas.left - 2 - tail) if not canvas.narrow else len(given.rows)
        kept = given.rows if len(given.rows) <= room else given.rows[: max(1, room - 1)]
        if canvas.narrow:
            for what, before, after in kept:
                canvas.line((canvas.short(what, canvas.room), "strong"))
                canvas.line(("before ", "quiet"), canvas.short(before, canvas.room - 9), indent=4)
                canvas.line(("after  ", "quiet"), canvas.short(after, canvas.room - 9), indent=4)
        else:
            name = 18
            side = (canvas.room - name - 13) // 2
            head = (canvas.cell("", name), canvas.cell("BEFORE", side), canvas.cell("AFTER", side))
            canvas.line(("  ".join(head), "quiet"))
            for what, before, after in kept:
                same = before == after
                canvas.line(
                    (canvas.cell(what, name), "quiet"),
                    "  ",
                    canvas.cell(before, side),
                    "  ",
                    (canvas.cell(after, side), "" if same else "strong"),
                    "  ",
                    ("same" if same else "changed", "quiet" if same else "strong"),
                )
        if len(kept) < len(given.rows):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given.rows) - len(kept), 'more fact')}", "quiet"))
        if given.conclusion:
            canvas.gap()
            canvas.prose(given.conclusion, "strong", at_most=2)

    return Page(draw)
