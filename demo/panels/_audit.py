"""The audit trail: who authorized what, when, through which agent."""

from __future__ import annotations

from dataclasses import dataclass

from demo.evidence.shop import Decision
from demo.panels._decision import NOBODY, state_of
from demo.panels.page import Canvas, Page, Part
from demo.panels.people import Names, names_of
from demo.panels.values import clock, many

POLICY = "policy"
"""The gate of an entry about the shop's policy, which nobody asked for."""
DISPATCH = "dispatch"
"""The gate of an entry about an order behind the shop."""
CANCELLED = f"{DISPATCH}.cancelled"


@dataclass(frozen=True)
class _Row:
    """Entries that say the same one after the other: the latest of them, how many they are, and their tools."""

    entry: Decision
    times: int
    tools: tuple[str, ...]


def audit(given: tuple[Decision, ...], names: Names = ()) -> Page:
    """A row for each decision, newest last, refusals and orders marked. Where they do not all fit, every order stays,
    then the latest of the others; what is cut is counted.

    Args:
        names: what the humans and agents are called that the entries name by their ids.
    """
    people = dict(names) | {entry.user: entry.username for entry in given if entry.user and entry.username}
    called = names_of(people.get(entry.user or "") or entry.username or entry.user or NOBODY for entry in given)

    def who(entry: Decision) -> str:
        if entry.gate == POLICY:
            return "the shop"
        return called[people.get(entry.user or "") or entry.username or entry.user or NOBODY]

    def draw(canvas: Canvas) -> None:
        _title(given, canvas)
        rows = _runs(given, same_tool=True)
        fits = max(1, canvas.left - 1)
        if len(rows) > fits:
            rows = _runs(given, same_tool=False)
        kept = rows if len(rows) <= fits else _telling(rows, max(1, fits - 1))
        if given:
            canvas.line((_head(canvas), "quiet"))
        if len(kept) < len(rows):
            cut = sum(row.times for row in rows) - sum(row.times for row in kept)
            canvas.line((f"{canvas.glyphs.ellipsis} {many(cut, 'other entry', 'other entries')}", "quiet"))
        first = {entry.order_id: entry.audit_id for entry in reversed(given) if entry.order_id}
        for row in kept:
            placed = first.get(row.entry.order_id or "", row.entry.audit_id)
            found_again = row.entry.gate != DISPATCH and placed != row.entry.audit_id
            _entry(row, who(row.entry), _through(row.entry, names, canvas), canvas, found_again=found_again)

    return Page(draw)


def _runs(given: tuple[Decision, ...], *, same_tool: bool) -> list[_Row]:
    """Entries that say the same one after the other as one row; orders stand alone.

    Args:
        same_tool: whether the calls of one row are of one tool.
    """
    rows: list[_Row] = []
    for entry in given:
        tool = entry.tool or {"event": "grant", POLICY: "policy", DISPATCH: "order"}.get(entry.gate, "request")
        if rows and not entry.order_id and _said(rows[-1].entry, same_tool) == _said(entry, same_tool):
            rows[-1] = _Row(entry, rows[-1].times + 1, tuple(dict.fromkeys((*rows[-1].tools, tool))))
        else:
            rows.append(_Row(entry, 1, (tool,)))
    return rows


def _said(entry: Decision, same_tool: bool) -> tuple[object, ...]:
    who = (entry.user or entry.username, entry.agent, entry.client, entry.door)
    return (
        entry.verdict,
        entry.rule,
        entry.order_id,
        entry.bought_nothing,
        *who,
        *((entry.tool, entry.consent) if same_tool else ()),
    )


def _telling(rows: list[_Row], room: int) -> list[_Row]:
    """The rows that tell the most: the latest orders, then the latest of the others, all in their order."""
    by_weight = sorted(range(len(rows)), key=lambda at: (rows[at].entry.order_id is None, -at))
    return [rows[at] for at in sorted(by_weight[:room])]


def _title(given: tuple[Decision, ...], canvas: Canvas) -> None:
    # That something was revoked, a policy not taken, or an order not sent, is no refusal of a request.
    asked = [entry for entry in given if entry.gate not in ("event", POLICY, DISPATCH)]
    ended = {entry.order_id for entry in given if entry.rule == CANCELLED}
    refused = many(sum(entry.verdict != "allow" for entry in asked), "refusal")
    bought = {entry.order_id: entry.user for entry in given if entry.order_id and entry.verdict == "allow"}
    cancelled = f", {len(ended)} cancelled" if ended else ""
    nobody = sum(user is None for user in bought.values())
    if not given:
        canvas.title("none", "Nothing has been decided yet")
    elif not bought:
        canvas.title("none", f"No orders yet, {refused}", aside="newest last")
    elif nobody:
        orders = (
            f"{many(len(bought), 'order')}: {len(bought) - nobody} with a human behind, {nobody} by nobody{cancelled}"
        )
        canvas.title("unverified", f"{orders}; {refused}", aside="newest last")
    else:
        orders = many(len(bought), "order") + cancelled
        canvas.title("allowed", f"Every order has a human behind it: {orders}; {refused}", aside="newest last")


def _columns(canvas: Canvas) -> tuple[int, int, int, int]:
    """Widths of who, through, what and how it went; a wide line has room for the consent too."""
    if canvas.wide:
        return 18, 16, 20, 18
    return 14, canvas.room - 17 - 14 - 20 - 11, 20, 11


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


def _through(entry: Decision, names: Names, canvas: Canvas) -> str:
    known = dict(names)
    found = known.get(entry.agent or "") or known.get(entry.client or "") or entry.agent or entry.client or "-"
    # An agent's id, cut in the middle, says less than what its software is called.
    return entry.client if entry.client and found == entry.agent and len(found) > _columns(canvas)[1] else found


def _entry(row: _Row, name: str, through: str, canvas: Canvas, *, found_again: bool) -> None:
    entry = row.entry
    state = state_of(entry)
    when, mark = canvas.cell(clock(entry.at), 8), canvas.glyphs.mark(state)
    bold = "strong " if entry.order_id or state == "refused" else ""
    outcome = "same order" if found_again and not canvas.wide else _outcome(entry, canvas)
    outcome += f"{canvas.glyphs.times}{row.times}" if row.times > 1 else ""
    tool = row.tools[0] if len(row.tools) == 1 else many(len(row.tools), "tool")
    if canvas.narrow:
        canvas.line((when, "quiet"), "  ", (mark, f"strong {state}"), " ", canvas.short(name, canvas.room - 12))
        about = f"{tool}, {outcome}"
        canvas.line((canvas.short(about, canvas.room - 12), f"{bold}{state}"), indent=14)
        return
    who, agent, what, how = _columns(canvas)
    parts: list[Part] = [
        (when, "quiet"),
        " ",
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, who), f"{bold}unverified" if name == NOBODY else bold),
        "  ",
        canvas.cell(through, agent),
        "  ",
        (canvas.cell(tool, what), "" if entry.order_id else "quiet"),
        "  ",
        (canvas.cell(outcome, how), f"{bold}{state}"),
    ]
    if canvas.wide:
        rest = canvas.room - 19 - who - agent - what - how
        parts += ["  ", (canvas.short(entry.consent or "no consent", rest), "quiet")]
    canvas.line(*parts)


def _outcome(entry: Decision, canvas: Canvas) -> str:
    """What came of it: on a wide line the rule or the order, else which gate refused, or that it was bought."""
    if entry.gate == POLICY:
        return "in force" if entry.verdict == "allow" else "not taken"
    if entry.gate == DISPATCH:
        return entry.rule.removeprefix(f"{DISPATCH}.")
    if entry.bought_nothing:  # the gates' verdict is in the mark
        return "allowed, no order" if canvas.wide or canvas.narrow else "no order"
    if entry.verdict == "allow":
        return "allowed" if not entry.order_id else entry.order_id if canvas.wide else "bought"
    shown = "revoked" if entry.gate == "event" else entry.gate
    return entry.rule if canvas.wide or canvas.narrow else shown
