"""The whole trail: consents, what was handed on, decisions and revocations, in the order in which they happened."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len

from demo.evidence.audit import TrailEvent
from demo.panels._audit import POLICY
from demo.panels._decision import AFTER, NOBODY, state_of
from demo.panels.page import Canvas, Page
from demo.panels.people import names_of
from demo.panels.theme import State
from demo.panels.values import clock, many

_STATES: Final[dict[str, State]] = {
    "granted": "allowed",
    "approved": "allowed",
    "delegated": "allowed",
    "denied": "refused",
    "revoked": "waiting",
    **{rule.removeprefix("dispatch."): state for rule, state in AFTER.items()},
}


def trail(given: tuple[TrailEvent, ...], unknown: str | None = None) -> Page:
    """A row for each event, newest last; where they do not all fit, the oldest are counted.

    Args:
        unknown: why the consents are not all there.
    """
    people = {event.user: event.username for event in given if event.user and event.username}
    called = names_of(people.get(event.user or "") or event.username or event.user or NOBODY for event in given)

    def draw(canvas: Canvas) -> None:
        _title(given, canvas)
        kept = given[-max(1, canvas.left - 2 - (2 if unknown else 0)) :]
        if given and not canvas.narrow:
            canvas.line((_head(canvas), "quiet"))
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'older event')}", "quiet"))
        for event in kept:
            name = called[people.get(event.user or "") or event.username or event.user or NOBODY]
            shops = event.decision is not None and event.decision.gate == POLICY
            _row(event, "the shop" if shops else name, canvas)
        if unknown:
            canvas.gap()
            canvas.prose(f"Not known: {unknown}.", "quiet")

    return Page(draw)


def _title(given: tuple[TrailEvent, ...], canvas: Canvas) -> None:
    said = [event.said for event in given if event.kind != "purchase"]
    bought = [event.said for event in given if event.kind == "purchase"]
    consents = many(said.count("granted"), "consent")
    approved = f", {many(bought.count('approved'), 'approval')}" if "approved" in bought else ""
    approved += f", {many(bought.count('denied'), 'purchase')} denied" if "denied" in bought else ""
    denied = f", {said.count('denied')} denied" if "denied" in said else ""
    handed = f", {said.count('delegated')} handed on" if "delegated" in said else ""
    decisions = many(said.count("allow") + said.count("deny"), "decision")
    refused = f", {said.count('deny')} refused" if "deny" in said else ""
    revoked = many(said.count("revoked"), "revocation")
    revoked += f"; {many(said.count('cancelled'), 'order')} cancelled" if "cancelled" in said else ""
    answer = (
        f"{consents}{denied}{handed}{approved}; {decisions}{refused}; {revoked}"
        if given
        else "Nothing of this has happened yet"
    )
    canvas.title("none", answer, aside="newest last" if given else "")


def _row(event: TrailEvent, name: str, canvas: Canvas) -> None:
    state = _STATES.get(event.said) or (state_of(event.decision) if event.decision is not None else "none")
    mark, when = canvas.glyphs.mark(state), clock(event.at) if event.at is not None else ""
    what, through = (
        _what(event, canvas.wide),
        event.agent_name or event.client_name or event.client or event.agent or "-",
    )
    if canvas.narrow:
        who = canvas.short(name, canvas.room - 12)
        canvas.line((canvas.cell(when, 8), "quiet"), "  ", (mark, f"strong {state}"), " ", who)
        canvas.line((_cut(what, canvas.room - 12, canvas), state), indent=14)
        return
    across, agent, room = _widths(canvas)
    if cell_len(what) > room and event.said == "deny" and event.decision is not None:
        what = f"{event.what}: {event.decision.gate}"  # a rule that is cut off says nothing
    canvas.line(
        (canvas.cell(when, 8), "quiet"),
        " ",
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, across), "unverified" if name == NOBODY else ""),
        "  ",
        canvas.cell(through, agent),
        "  ",
        (_cut(what, room, canvas), f"strong {state}" if event.kind != "decision" else state),
    )


def _what(event: TrailEvent, wide: bool) -> str:
    limit = f" up to {event.spending_limit}" if event.spending_limit is not None else ""
    if event.kind == "purchase":
        return f"one purchase {event.said}" + (f": {event.spending_limit}" if event.spending_limit is not None else "")
    if event.kind in ("consent", "delegation"):
        scopes = f": {' '.join(event.scopes)}" if wide else ""
        given = "handed on" if event.kind == "delegation" else event.said
        return f"{given}{limit}, {many(len(event.scopes), 'scope')}{scopes}"
    if event.kind == "revocation":
        return f"revoked: {event.what}"
    decision = event.decision
    if decision is None:
        return event.what
    if event.kind == "dispatch":
        return f"{event.what}: {event.said}"
    if decision.gate == POLICY:
        return f"policy {'in force' if decision.verdict == 'allow' else 'not taken'}"
    if decision.bought_nothing:
        return f"{event.what}: allowed, no order"
    return f"{event.what}: {(decision.order_id or 'allowed') if event.said == 'allow' else decision.rule}"


def _widths(canvas: Canvas) -> tuple[int, int, int]:
    who, agent = (18, 18) if canvas.wide else (12, 14)
    return who, agent, canvas.room - 11 - who - 2 - agent - 2


def _head(canvas: Canvas) -> str:
    who, agent, _ = _widths(canvas)
    return "  ".join(
        (canvas.cell("WHEN", 8), canvas.cell(" WHO", who + 1), canvas.cell("THROUGH", agent), "WHAT HAPPENED")
    )


def _cut(what: str, room: int, canvas: Canvas) -> str:
    """As many of its words as fit: the scopes at its end are counted before them."""
    return canvas.wrapped(what, room, 1)[0] if what.strip() else ""
