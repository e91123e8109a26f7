"""A human as WorkOS knows them, held against what their own console lists."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.grants import UserView
from demo.panels.page import Canvas, Page
from demo.panels.people import name_of, named
from demo.panels.values import many, span


def user(given: UserView, now: float) -> Page:
    """Who the human is, which sessions and consents stand, and whether both lists say the same.

    Args:
        now: POSIX seconds.
    """

    def draw(canvas: Canvas) -> None:
        who = canvas.short(name_of(given.email) or given.name or given.id or "somebody", canvas.room // 2)
        agree = "they disagree" if given.differences else "both agree"
        counts = f"{many(len(given.sessions), 'session')}, {many(len(given.consents), 'consent')}"
        canvas.title("refused" if given.differences else "allowed", f"{who}: {counts}, {agree}")
        named(canvas, "user", given.name or given.email or given.id, (given.email, given.id))
        signed_in = "never" if given.signed_in_at is None else f"{span(now - given.signed_in_at)} ago"
        canvas.field("signed in", signed_in)
        canvas.gap()
        _sessions(given, canvas)
        _consents(given, canvas)
        canvas.gap()
        canvas.field("asked", f"WorkOS's SDK, {given.asked}", "quiet")
        canvas.field("against", given.against, "quiet", prose=True)
        if given.differences:
            canvas.field("differ in", ", ".join(given.differences), "strong refused", prose=True)

    return Page(draw)


def _sessions(given: UserView, canvas: Canvas) -> None:
    for number, (id, through) in enumerate(given.sessions[:_ROWS]):
        _named("sessions" if number == 0 else "", f"through {through}" if through else "the human's own", id, canvas)
    _left_out(len(given.sessions), canvas)
    if not given.sessions:
        canvas.field("sessions", "none")


def _consents(given: UserView, canvas: Canvas) -> None:
    for number, (id, software, scopes) in enumerate(given.consents[:_ROWS]):
        _named("consents" if number == 0 else "", software or "unnamed", id, canvas)
        if not canvas.narrow:
            canvas.list("", scopes, at_most=2, empty="no scopes")
    _left_out(len(given.consents), canvas)
    if not given.consents:
        canvas.field("consents", "none: nobody was deputized")


def _named(label: str, who: str, id: str, canvas: Canvas) -> None:
    """What a session or consent is called, and its id, which is typed: beside it, or whole on a line of its own."""
    width = 22
    beside = canvas.room - canvas.label - width - 2
    if beside > 0 and (cell_len(id) <= beside or not canvas.typed(id)):
        canvas.line(
            (f"{label:<{canvas.label}}", "quiet"),
            (canvas.cell(who, width), "strong"),
            "  ",
            (canvas.short(id, beside), "quiet"),
        )
        return
    canvas.field(label, who)
    canvas.field("", id, whole=True)


_ROWS = 2
"""Of each list; the rest is counted."""


def _left_out(count: int, canvas: Canvas) -> None:
    if count > _ROWS:
        canvas.field("", f"{canvas.glyphs.ellipsis} {count - _ROWS} more", "quiet")
