"""The audit trail: who authorized what, when, through which agent."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence import Decision
from demo.panels._decision import NOBODY, state_of
from demo.panels.page import Canvas, Page, Part
from demo.panels.values import clock, many


def audit(given: tuple[Decision, ...]) -> Page:
    """A row for each decision, newest last, refusals and orders marked; what is cut is the oldest, and counted."""

    def draw(canvas: Canvas) -> None:
        _title(given, canvas)
        rows = _runs(given)
        fits = max(1, canvas.left - 1)
        kept = rows if len(rows) <= fits else rows[-max(1, fits - 1) :]
        if given:
            canvas.line((_head(canvas), "quiet"))
        if len(kept) < len(rows):
            cut = sum(times for _, times in rows[: len(rows) - len(kept)])
            canvas.line((f"{canvas.glyphs.ellipsis} {many(cut, 'earlier entry', 'earlier entries')}", "quiet"))
        first = {entry.order_id: entry.audit_id for entry in reversed(given) if entry.order_id}
        for entry, times in kept:
            found_again = first.get(entry.order_id or "", entry.audit_id) != entry.audit_id
            _entry(entry, times, canvas, found_again=found_again)

    return Page(draw)


def _runs(given: tuple[Decision, ...]) -> list[tuple[Decision, int]]:
    """Entries that say the same one after the other as one row, with how many they are; orders stand alone."""
    rows: list[tuple[Decision, int]] = []
    for entry in given:
        if rows and not entry.order_id and _said(rows[-1][0]) == _said(entry):
            rows[-1] = (entry, rows[-1][1] + 1)
        else:
            rows.append((entry, 1))
    return rows


def _said(entry: Decision) -> tuple[object, ...]:
    who = (entry.user, entry.username, entry.agent, entry.client, entry.consent)
    return (entry.verdict, entry.rule, entry.tool, entry.order_id, entry.door, *who)


def _title(given: tuple[Decision, ...], canvas: Canvas) -> None:
    nobody = sum(entry.verdict == "allow" and not entry.user for entry in given)
    refused = sum(entry.verdict != "allow" for entry in given)
    orders = len({entry.order_id for entry in given if entry.order_id and entry.verdict == "allow"})
    if not given:
        canvas.title("none", "Nothing has been decided yet")
        return
    counts = f"{many(orders, 'order')}, {many(refused, 'refusal')}"
    if nobody == len(given):
        canvas.title("unverified", f"{many(nobody, 'call')}, {counts}: nobody can say who", aside="newest last")
    elif nobody:
        canvas.title("unverified", f"{counts}; {many(nobody, 'call')} by nobody", aside="newest last")
    elif not orders:
        canvas.title("none", f"No orders yet: {counts}", aside="newest last")
    else:
        canvas.title("allowed", f"Every order has a human behind it: {counts}", aside="newest last")


def _columns(canvas: Canvas) -> tuple[int, int, int, int]:
    """Widths of who, through, what and how it went; a wide line has room for the consent too."""
    if canvas.wide:
        return 18, 12, 20, 18
    how = 10
    return canvas.room - 17 - 12 - 20 - how, 12, 20, how


def _head(canvas: Canvas) -> str:
    who, agent, what, how = _columns(canvas)
    if canvas.narrow:
        return "WHEN        WHO, WHAT"
    cells = [
        canvas.cell("WHEN", 8),
        canvas.cell(" WHO", who + 1),
        canvas.cell("THROUGH", agent),
        canvas.cell("WHAT", what),
    ]
    return "  ".join(cells) + "  " + canvas.cell("OUTCOME", how) + ("  CONSENT" if canvas.wide else "")


def _entry(entry: Decision, times: int, canvas: Canvas, *, found_again: bool) -> None:
    state = state_of(entry)
    when, mark = canvas.cell(clock(entry.at), 8), canvas.glyphs.mark(state)
    name = entry.username or entry.user or NOBODY
    bold = "strong " if entry.order_id or state == "refused" else ""
    outcome = "same order" if found_again and not canvas.wide else _outcome(entry, canvas)
    outcome += f"{canvas.glyphs.times}{times}" if times > 1 else ""
    tool = entry.tool or "request"
    if canvas.narrow:
        canvas.line((when, "quiet"), "  ", (mark, f"strong {state}"), " ", canvas.short(name, canvas.room - 12))
        about = f"{tool}, {outcome}"
        canvas.line((canvas.short(about, canvas.room - 12), f"{bold}{state}"), indent=14)
        return
    who, through, what, how = _columns(canvas)
    agent = entry.agent or entry.client or "-"
    if cell_len(agent) > through and entry.client:
        agent = entry.client
    parts: list[Part] = [
        (when, "quiet"),
        " ",
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, who), "unverified" if name == NOBODY else ""),
        "  ",
        (canvas.cell(agent, through), "quiet"),
        "  ",
        canvas.cell(tool, what),
        "  ",
        (canvas.cell(outcome, how), f"{bold}{state}"),
    ]
    if canvas.wide:
        rest = canvas.room - 19 - who - through - what - how
        parts += ["  ", (canvas.short(entry.consent or "no consent", rest), "quiet")]
    canvas.line(*parts)


def _outcome(entry: Decision, canvas: Canvas) -> str:
    """What came of it: on a wide line the rule or the order, else which gate refused, or that it was bought."""
    if entry.verdict == "allow":
        return "allowed" if not entry.order_id else entry.order_id if canvas.wide else "bought"
    return entry.rule if canvas.wide or canvas.narrow else entry.gate
