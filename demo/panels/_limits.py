"""How much of each limit is used: a bar each, and the tightest one in the title."""

from __future__ import annotations

from demo.evidence.shop import LimitUse
from demo.panels import bigtype
from demo.panels.page import Canvas, Page
from demo.panels.values import many, span
from deputize.evidence import Money

NAMES = {"rate": "calls", "purchases": "purchases", "spending": "spending"}


def limits(given: tuple[LimitUse, ...], now: float, status: int | None = None) -> Page:
    """Used, left and until when, a bar for each limit.

    Args:
        given: the limits as the shop gave them.
        now: POSIX seconds, for the time until a window ends.
        status: the HTTP status of a call that a limit refused, which then stands large above them.
    """

    def draw(canvas: Canvas) -> None:
        out = [use for use in given if use.left == 0]
        if status is not None:
            _refused(f"{status} too many" if status == 429 else str(status), canvas)
        if not given:
            canvas.title("unverified", "No limits: nothing here stops an agent")
        elif out:
            canvas.title("refused", "At the limit: " + ", ".join(NAMES.get(use.name, use.name) for use in out))
        else:
            canvas.title("allowed", "Within every limit")
        kept = given if canvas.narrow else given[: max(1, canvas.left // 4)]
        for use in kept:
            canvas.gap()
            _limit(use, now, canvas)
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'more limit')}", "quiet"))

    return Page(draw)


def _refused(words: str, canvas: Canvas) -> None:
    blocks = canvas.glyphs.top != canvas.glyphs.bottom
    size = bigtype.SMALL if blocks else bigtype.TALL
    rows = bigtype.big(words, size, blocks=blocks)
    if rows is None or bigtype.columns(words, size) > canvas.room or canvas.rows < 14 + len(rows):
        return
    for row in rows:
        canvas.line((row, "strong refused"))
    canvas.gap()


def _limit(use: LimitUse, now: float, canvas: Canvas) -> None:
    spent = use.left == 0
    name = canvas.cell(NAMES.get(use.name, use.name), canvas.label)
    canvas.line(
        (name, "strong"),
        (
            canvas.short(f"{amount(use, use.left)} left", canvas.room - canvas.label),
            "strong refused" if spent else "strong",
        ),
    )
    width = canvas.room - canvas.label
    canvas.line(" " * canvas.label, *canvas.bar(use.used, use.limit, width, "refused" if spent else "allowed"))
    canvas.line(
        " " * canvas.label,
        (canvas.short(f"{_bare(use)} of {amount(use, use.limit)} used, {_until(use, now)}", width), "quiet"),
    )


def amount(use: LimitUse, value: int) -> str:
    """A quantity in the limit's own unit: "3 calls", "35.00 USD"."""
    if use.unit in ("calls", "purchases"):
        return many(value, use.unit.removesuffix("s"))
    return str(Money(value, use.unit))


def _bare(use: LimitUse) -> str:
    """What is used, without the unit that stands behind the limit anyway."""
    if use.unit in ("calls", "purchases"):
        return f"{use.used:,}"
    return str(Money(use.used, use.unit)).removesuffix(f" {use.unit}")


def _until(use: LimitUse, now: float) -> str:
    if use.resets_at is not None:
        return f"again in {span(use.resets_at - now)}" if use.resets_at > now else "its window is over"
    if use.window is not None:
        return f"in any {span(use.window)}"
    return "for as long as the consent"
