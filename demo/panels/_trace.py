"""One order, traced: from the order, down through what the shop decided and by which token, to one human's consent."""

from __future__ import annotations

from typing import Final

from demo.evidence.audit import Dispatched, OrderTrace
from demo.panels.page import Canvas, Page
from demo.panels.people import name_of
from demo.panels.theme import State
from demo.panels.values import clock

_ENDED: Final[dict[str, tuple[State, str]]] = {
    "cancelled": ("waiting", "This order was cancelled before it was sent, its money counted back"),
    "unclear": ("unverified", "This order may be on its way: nobody knows whether it was sent"),
}
MOST_AGENTS = 4
"""Links of a chain that are shown."""


def trace(given: OrderTrace) -> Page:
    """A link of the chain in each row, the human last; each says where it was read."""
    decision, session, dispatched = given.decision, given.session, given.dispatched

    def draw(canvas: Canvas) -> None:
        person = name_of(decision.username or "") or decision.user or ""
        if not decision.user:
            canvas.title("unverified", "This order leads back to nobody: no token, no consent, no human")
        elif not given.verified:
            canvas.title("refused", "The audit log of this order does not verify: demo audit verify")
        elif session is None:
            canvas.title("unverified", f"The shop says {person}; no such session is listed")
        elif dispatched is not None and dispatched.state in _ENDED:
            canvas.title(*_ENDED[dispatched.state])
        else:
            canvas.title("allowed", f"This order leads back to one consent of {person}")
        links: list[tuple[str, str, str]] = [
            ("ORDER", given.order, f"placed {clock(decision.at)}"),
            ("DECISION", decision.audit_id, f"entry {given.seq}, {'verified' if given.verified else 'not verified'}"),
        ]
        if dispatched is not None:
            links.insert(0, _sent(dispatched))
        if decision.trace_id:
            links.append(("TRACE", decision.trace_id, "of the agent's call"))
        if decision.user:
            links += [
                ("TOKEN", decision.token_id or "none", "its jti"),
                ("SESSION", decision.session or "none", _standing(given)),
                ("CONSENT", decision.consent or "none", _granted(given)),
                *_agents(given),
                ("SOFTWARE", decision.client or "none", "its client id"),
                ("HUMAN", decision.username or decision.user, decision.user if decision.username else ""),
            ]
        else:
            links.append(("DOOR", decision.door, "it asks nobody"))
        for number, (label, value, aside) in enumerate(links):
            _link(label, value, aside, number == len(links) - 1, canvas)
        canvas.gap()
        if dispatched is not None and (why := _why_not(dispatched)):
            canvas.field("not sent", why, prose=True, at_most=2)
        if session is not None and session.scopes:
            canvas.list("may", session.scopes)

    return Page(draw)


def _agents(given: OrderTrace) -> list[tuple[str, str, str]]:
    """Who placed it, and from there who handed on to whom, up to the agent that the human consented to."""
    decision = given.decision
    chain = [decision.agent or "none", *(decision.handed_on_by or "").split()][:MOST_AGENTS]
    names = {one.id: one.name for one in (given.session.sub_agents if given.session is not None else ())}
    below = [("SUB-AGENT", one, names.get(one, "handed on to")) for one in chain[:-1]]
    return [*below, ("AGENT", chain[-1], given.software or decision.client or "")]


def _link(label: str, value: str, aside: str, last: bool, canvas: Canvas) -> None:
    if canvas.narrow:
        canvas.line((f"{label:<10}", "quiet"), (canvas.short(value, canvas.room - 10), "strong"))
        return
    mark = " " if last else canvas.glyphs.down
    wide = canvas.room - 13
    room = min(40, wide)
    canvas.line(
        (f"{label:<10}", "quiet"),
        (f"{mark}  ", "quiet"),
        (canvas.cell(value, room), "strong"),
        " ",
        (canvas.short(aside, wide - room - 1), "quiet"),
    )


def _sent(dispatched: Dispatched) -> tuple[str, str, str]:
    if dispatched.state == "sent":
        return "SENT BY", dispatched.txn or "an unknown token", f"own token, {clock(dispatched.at)}"
    words = {"waiting": "not yet", "unclear": "nobody knows"}
    return "SENT", words.get(dispatched.state, f"no: {dispatched.state}"), clock(dispatched.at)


def _why_not(dispatched: Dispatched) -> str:
    """Why it is not sent, and until when it waits."""
    if dispatched.state == "sent":
        return ""
    if dispatched.state != "waiting":
        return dispatched.why or ""
    until = f"; cancelled at {clock(dispatched.until)} if nothing sends it" if dispatched.until is not None else ""
    return (dispatched.why or "the warehouse is being told") + until


def _standing(given: OrderTrace) -> str:
    if given.session is None:
        return "not listed"
    revoked, created = given.session.revoked_at, given.session.created_at
    if revoked is not None:
        return f"revoked {clock(revoked)}"
    return f"since {clock(created)}" if created else "stands"


def _granted(given: OrderTrace) -> str:
    limit = given.session.spending_limit if given.session is not None else None
    return f"up to {limit}" if limit is not None else ""
