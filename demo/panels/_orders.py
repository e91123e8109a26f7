"""Orders as anybody reads them who may list them: when, what, for whom, where to, and by whom."""

from __future__ import annotations

from rich.text import Text

from demo.evidence.shop import ListedOrder
from demo.panels.page import Canvas, Page
from demo.panels.people import Names, called
from demo.panels.values import clock, many, pad

NOBODY = "nobody"


def orders(given: tuple[ListedOrder, ...], names: Names = ()) -> Page:
    """A row for each order, newest last; what is cut is the oldest, and counted.

    Args:
        names: what the humans are called that the orders name by their ids.
    """

    def draw(canvas: Canvas) -> None:
        anonymous = sum(one.order.user is None for one in given)
        cancelled = sum(one.order.cancelled for one in given)
        ended = f", {cancelled} cancelled" if cancelled else ""
        if not given:
            canvas.title("none", "No orders yet")
        elif anonymous:
            canvas.title("unverified", f"{many(len(given), 'order')}, {_by_nobody(anonymous, len(given))}{ended}")
        else:
            canvas.title("allowed", f"{many(len(given), 'order')}, each with a human behind it{ended}")
        if given and not canvas.narrow:
            canvas.line((_head(canvas), "quiet"))
        drawn = [_row(one, names, canvas) for one in given]
        kept = len(drawn)
        while not canvas.narrow and kept > 1 and sum(map(len, drawn[-kept:])) + (kept < len(drawn)) > canvas.left:
            kept -= 1
        if kept < len(drawn):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(drawn) - kept, 'earlier order')}", "quiet"))
        for rows in drawn[len(drawn) - kept :]:
            canvas.lines.extend(rows)

    return Page(draw)


def _by_nobody(anonymous: int, every: int) -> str:
    return "and nobody knows by whom" if anonymous == every else f"{anonymous} by nobody"


def _columns(canvas: Canvas) -> tuple[int, int, int]:
    """Widths of who, what and for whom; the rest is where to."""
    return (22, 12, 24) if canvas.wide else (8, 9, 15)


def _head(canvas: Canvas) -> str:
    who, what, company = _columns(canvas)
    return "  ".join((pad("WHEN", 8), pad("WHO", who), pad("WHAT", what), pad("FOR", company), "WHERE TO"))


def _row(one: ListedOrder, names: Names, screen: Canvas) -> list[Text]:
    canvas = screen.apart(screen.width)
    order = one.order
    name, state = (called(order.user, names), "strong") if order.user else (NOBODY, "strong unverified")
    where = "cancelled, not paid" if order.cancelled else one.address
    size = f"shirt {order.size}" if order.size else order.item
    if canvas.narrow:
        canvas.line((clock(order.at), "quiet"), "  ", (canvas.short(name, canvas.room - 10), state))
        canvas.line(canvas.short(f"{size}, {order.company}", canvas.room - 8), indent=10)
        canvas.line((canvas.short(where or "no address given", canvas.room - 8), "quiet"), indent=10)
        return canvas.lines
    who, what, company = _columns(canvas)
    rest = canvas.room - 8 - who - what - company - 8
    lines = canvas.wrapped(where or "no address given", rest, 2) or [""]
    canvas.line(
        (pad(clock(order.at), 8), "quiet"),
        "  ",
        (canvas.cell(name, who), state),
        "  ",
        canvas.cell(size, what),
        "  ",
        canvas.cell(order.company, company),
        "  ",
        (lines[0], "strong" if where else "quiet"),
    )
    for line in lines[1:]:
        canvas.line((line, "strong" if where else "quiet"), indent=2 + canvas.room - rest)
    return canvas.lines
