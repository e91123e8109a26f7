"""Orders told to WorkOS's audit log, and what the log has of each."""

from __future__ import annotations

from demo.evidence import LoggedOrder
from demo.panels.page import Canvas, Page, Part
from demo.panels.values import clock, many

ANONYMOUS = "anonymous"


def audit_log(given: tuple[LoggedOrder, ...], events: tuple[tuple[str, int], ...], asked: str) -> Page:
    """A row for each order: who, through whom, by which consent, and how often the log has it.

    Args:
        given: oldest first; what is cut is the oldest, and counted.
        events: what WorkOS saw happen by itself, each kind with how often.
        asked: whose API answered, by URL.
    """

    def draw(canvas: Canvas) -> None:
        _title(given, canvas)
        below = 5
        room = max(1, canvas.left - below - 1)
        kept = given if canvas.narrow or len(given) <= room else given[-max(1, room - 1) :]
        if given and not canvas.narrow:
            who, order, agent = _columns(canvas)
            head = [canvas.cell("WHEN", 8), canvas.cell(" ACTOR", who + 1), canvas.cell("ORDER", order)]
            head += [canvas.cell("AGENT", agent), "CONSENT"]
            canvas.line(("  ".join(head), "quiet"))
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'earlier order')}", "quiet"))
        for one in kept:
            _row(one, canvas)
        canvas.gap()
        seen = [f"{name} {canvas.glyphs.times}{count}" for name, count in events]
        canvas.list("saw itself", seen, empty="nothing")
        canvas.field("asked", f"WorkOS's SDK, {asked}", "quiet")

    return Page(draw)


def _title(given: tuple[LoggedOrder, ...], canvas: Canvas) -> None:
    told = f"{many(len(given), 'order')} told to WorkOS's audit log, twice each"
    if not given:
        canvas.title("none", "No order to tell WorkOS's audit log of")
    elif any(one.on_record is None for one in given):
        canvas.title("unverified", f"{told}; not read back")
    elif (wrong := sum(one.on_record != 1 for one in given)) > 0:
        canvas.title("refused", f"{told}: {wrong} not on record once")
    else:
        canvas.title("allowed", f"{told}: on record once")


def _columns(canvas: Canvas) -> tuple[int, int, int]:
    return (26, 23, 24) if canvas.wide else (17, 13, 13)


def _row(one: LoggedOrder, canvas: Canvas) -> None:
    state = "unverified" if one.on_record is None else "allowed" if one.on_record == 1 else "refused"
    mark = canvas.glyphs.unverified if one.on_record is None else canvas.glyphs.allowed
    mark = canvas.glyphs.refused if state == "refused" else mark
    when, name = canvas.cell(clock(one.at), 8), one.user or ANONYMOUS
    if canvas.narrow:
        canvas.line((when, "quiet"), "  ", (mark, f"strong {state}"), " ", canvas.short(name, canvas.room - 12))
        return
    who, order, agent = _columns(canvas)
    rest = canvas.room - 8 - 3 - who - order - agent - 6
    parts: list[Part] = [
        (when, "quiet"),
        " ",
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, who), "unverified" if one.user is None else ""),
        "  ",
        canvas.cell(one.order, order),
        "  ",
        (canvas.cell(one.agent or "-", agent), "quiet"),
        "  ",
        (canvas.short(one.consent or "none", rest), "quiet"),
    ]
    canvas.line(*parts)
