"""Something to take home: a QR code and the address beside it."""

from __future__ import annotations

from demo.evidence import Link
from demo.panels._page import MARGIN, Canvas, Page
from demo.panels._qr import qr

GAP = 3


def link(given: Link) -> Page:
    """Title, address and QR code; one that is not live says that it is described and not done."""

    def draw(canvas: Canvas) -> None:
        code = (
            qr(given.url, canvas.room, canvas.rows if not canvas.narrow else 40) if canvas.glyphs.top != "#" else None
        )
        if code is None or canvas.width - len(code[0]) - GAP - MARGIN < 30:
            for row in code or []:
                canvas.line((row, "scan"), indent=0 if len(row) + MARGIN > canvas.width else MARGIN)
            canvas.gap()
            _words(given, canvas, code is not None)
            return
        left = canvas.apart(MARGIN + len(code[0]))
        for row in code:
            left.line((row, "scan"))
        right = canvas.apart(canvas.width - left.width - GAP + MARGIN)
        right.lines = []
        _words(given, right, True)
        space = (len(code) - len(right.lines)) // 2
        for _ in range(max(0, space)):
            right.lines.insert(0, right.blank())
        canvas.beside(left, right, gap=GAP - MARGIN)

    return Page(draw)


def _words(given: Link, canvas: Canvas, coded: bool) -> None:
    if given.live:
        canvas.title("none", given.title)
    else:
        canvas.title("unverified", f"{given.title} (not live: described, not done)")
    canvas.line((canvas.short(given.url, canvas.room), "strong"))
    if given.note:
        canvas.gap()
        canvas.prose(given.note, at_most=4)
    if not coded:
        canvas.gap()
        canvas.prose("There is no room for its QR code here: type the address.", "quiet")
