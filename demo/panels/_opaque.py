"""A token that only its authority can read: what was told with it, what asking told, and what nobody here can know."""

from __future__ import annotations

from demo.evidence import TokenView
from demo.panels._page import Canvas
from demo.panels._values import left, many
from demo.panels.theme import State

CANNOT = (
    ("sub", "who the human is"),
    ("client_id", "which agent it was given to"),
    ("aud", "where it is good"),
    ("scope", "what it may be used for"),
    ("exp", "when it ends"),
)
"""What a readable token would say, by claim, in the order in which people ask."""


def opaque(given: TokenView, now: float, canvas: Canvas) -> None:
    """Draw an opaque token: masked, with each thing that is known of it by whose word, and what stays unknown.

    Args:
        given: a view whose `kind` is "opaque"; a claim that is not verified was told by the token response.
        now: POSIX seconds.
    """
    state, answer = _answer(given, now)
    time = left(given.expires_at, now) if given.expires_at is not None else ""
    canvas.title(state, answer, aside="" if canvas.narrow or "expired" in answer else time)
    if canvas.narrow and time:
        canvas.field("time", time)
    canvas.field("token", f"{given.masked}, {many(given.length, 'character')}", "quiet")
    canvas.field("asked", given.told_by or "nobody: no introspection and no userinfo answered", "quiet")
    canvas.gap()
    missing = [(name, words) for name, words in CANNOT if given.claim(name) is None]
    tail = 3 + len(missing)
    room = len(given.claims) if canvas.narrow else max(2, canvas.left - tail)
    kept = given.claims if len(given.claims) <= room else given.claims[: room - 1]
    for claim in kept:
        _row(canvas, "allowed" if claim.verified else "unverified", claim.name, claim.value)
    if len(kept) < len(given.claims):
        canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given.claims) - len(kept), 'more claim')}", "quiet"))
    for name, words in missing:
        _row(canvas, "none", name, f"not to be known here: {words}", "quiet")
    canvas.gap()
    if any(claim.verified for claim in given.claims):
        _legend("allowed", "told by its authority when asked just now", canvas)
    if any(not claim.verified for claim in given.claims):
        _legend("unverified", "told with the token when it was issued, checked by nobody since", canvas)


def _answer(given: TokenView, now: float) -> tuple[State, str]:
    # The first problem of an opaque token is that it is opaque: no fault of its own.
    if given.active is False:
        return "refused", "Not to be used: its authority says that it does not stand"
    if len(given.problems) > 1:
        return "refused", f"Not to be trusted: {given.problems[1]}"
    if given.expires_at is not None and given.expires_at <= now:
        return "refused", f"Not to be trusted: {left(given.expires_at, now)}"
    if given.active:
        return "allowed", "Opaque, and its authority says that it stands"
    if given.told_by:
        return "unverified", "Opaque: its authority tells who, not whether it stands"
    return "unverified", "Opaque: only its authority can say what it is worth"


def _row(canvas: Canvas, state: State, name: str, value: str, roles: str = "") -> None:
    width = 12 if canvas.narrow else 16
    canvas.line(
        (f"{canvas.glyphs.mark(state):<3}", state),
        (canvas.cell(name, width), "quiet"),
        " ",
        (canvas.short(value or "(empty)", canvas.room - 4 - width), roles),
    )


def _legend(state: State, words: str, canvas: Canvas) -> None:
    mark = f"{canvas.glyphs.mark(state)}  "
    canvas.line((mark, state), ("".join(canvas.wrapped(words, canvas.room - len(mark), 1)), "quiet"))
