"""Something to take home: a QR code and the address beside it."""

from __future__ import annotations

from demo.evidence.screen import Link
from demo.panels.page import Canvas, Page
from demo.panels.qr import address, with_code


def link(given: Link) -> Page:
    """Title, address and QR code; one that is not live says that it is described and not done."""

    def draw(canvas: Canvas) -> None:
        def words(part: Canvas, coded: bool) -> None:
            _words(given, part, coded)

        with_code(canvas, given.url, given.url, words, middle=True)

    return Page(draw)


def _words(given: Link, canvas: Canvas, coded: bool) -> None:
    if given.live:
        canvas.title("none", given.title)
    else:
        canvas.title("unverified", f"{given.title} (not live: described, not done)")
    address(given.url, canvas)
    if given.note:
        canvas.gap()
        canvas.prose(given.note, at_most=7)
    if not coded:
        canvas.gap()
        canvas.prose("There is no room for its QR code here: type the address.", "quiet")
