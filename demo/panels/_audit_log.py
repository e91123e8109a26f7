"""Orders written to WorkOS's audit log, and what the log has of each."""

from __future__ import annotations

from demo.evidence.audit import LoggedOrder
from demo.panels.page import Canvas, Page, Part
from demo.panels.people import Names, name_of
from demo.panels.values import clock, many

ANONYMOUS = "anonymous"


def audit_log(
    given: tuple[LoggedOrder, ...], events: tuple[tuple[str, int], ...], asked: str, names: Names = ()
) -> Page:
    """A row for each order: who, through whom, by which consent, and how often the log has it.

    Args:
        given: oldest first; what is cut is the oldest, and counted.
        events: what WorkOS saw happen by itself, each kind with how often.
        asked: whose API answered, by URL.
        names: what the agents are called that the log names by their ids.
    """
    software = dict(names)

    def draw(canvas: Canvas) -> None:
        _title(given, canvas)
        below = 5
        room = max(1, canvas.left - below - 1)
        kept = given if canvas.narrow or len(given) <= room else given[-max(1, room - 1) :]
        if given and not canvas.narrow:
            (who, order, agent), gap = _columns(canvas), _gap(canvas)
            head = [canvas.cell("WHEN", 11 - len(gap)), canvas.cell("ACTOR", who), canvas.cell("ORDER", order)]
            head += [canvas.cell("AGENT", agent), "CONSENT"]
            canvas.line((gap.join(head), "quiet"))
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'earlier order')}", "quiet"))
        for one in kept:
            _row(one, software.get(one.agent or "", one.agent or "-"), canvas)
        canvas.gap()
        seen = [f"{name} {canvas.glyphs.times}{count}" for name, count in events]
        canvas.list("WorkOS saw", seen, empty="nothing")
        canvas.field("asked", f"WorkOS's SDK, {asked}", "quiet")

    return Page(draw)


def _title(given: tuple[LoggedOrder, ...], canvas: Canvas) -> None:
    told = f"{many(len(given), 'order')} written to WorkOS's audit log, twice each"
    if not given:
        canvas.title("none", "No order to tell WorkOS's audit log of")
    elif any(one.on_record is None for one in given):
        canvas.title("unverified", f"{told}; not read back")
    elif (wrong := sum(one.on_record != 1 for one in given)) > 0:
        canvas.title("refused", f"{told}: {wrong} not on record once")
    else:
        canvas.title("allowed", f"{told}: on record once")


def _columns(canvas: Canvas) -> tuple[int, int, int]:
    return (18, 23, 24) if canvas.wide else (9, 18, 11)


def _gap(canvas: Canvas) -> str:
    """Between two columns; at the design size a consent has room only between narrow ones."""
    return "  " if canvas.wide else " "


def _row(one: LoggedOrder, agent: str, canvas: Canvas) -> None:
    state = "unverified" if one.on_record is None else "allowed" if one.on_record == 1 else "refused"
    mark = canvas.glyphs.unverified if one.on_record is None else canvas.glyphs.allowed
    mark = canvas.glyphs.refused if state == "refused" else mark
    when, name = canvas.cell(clock(one.at), 8), name_of(one.user or ANONYMOUS)
    if canvas.narrow:
        canvas.line((when, "quiet"), "  ", (mark, f"strong {state}"), " ", canvas.short(name, canvas.room - 12))
        return
    who, order, through = _columns(canvas)
    gap = _gap(canvas)
    rest = canvas.room - 8 - 3 - who - order - through - 3 * len(gap)
    parts: list[Part] = [
        (when, "quiet"),
        " ",
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, who), "strong unverified" if one.user is None else "strong"),
        gap,
        (canvas.cell(one.order, order), "quiet"),
        gap,
        canvas.cell(agent, through),
        gap,
        (canvas.short(one.consent or "none", rest), "quiet"),
    ]
    canvas.line(*parts)
