"""What an agent asks a human for, and what it was given, in the words of the consent page."""

from __future__ import annotations

from collections.abc import Sequence

from demo.evidence.shop import Purchase
from demo.panels.page import Canvas
from demo.scopes import SCOPES


def asking(scopes: Sequence[str], held: Sequence[str]) -> str:
    """What it asks, in words: to act, or for more than it has."""
    more = [scope for scope in scopes if scope not in held]
    if not held or not more:
        return "to act for you"
    return "for one thing more" if len(more) == 1 else f"for {len(more)} things more"


def one_purchase(given: Purchase, canvas: Canvas) -> None:
    """The purchase that is to be approved, or was: how much, what, and where it is sent."""
    canvas.field("spend", f"{given.price}, once", "strong")
    canvas.field("on", canvas.short(f"{given.item}, size {given.size}", canvas.room - canvas.label))
    for number, line in enumerate(canvas.wrapped(f"{given.company}, {given.address}", canvas.room - canvas.label, 2)):
        canvas.field("sent to" if number == 0 else "", line)


def in_words(
    scopes: Sequence[str], canvas: Canvas, *, label: str = "may", roles: str = "", at_most: int | None = None
) -> None:
    """What scopes allow, as the consent page says it; one that this shop does not know stands by its own name.

    Args:
        at_most: rows; by default as many as are left. What has no room is counted.
    """
    known = [scope for scope in SCOPES if scope in scopes]
    words = [SCOPES.get(scope, scope) for scope in (*known, *(one for one in scopes if one not in SCOPES))]
    room = canvas.room - canvas.label
    shown = [canvas.wrapped(one, room, 2) or [""] for one in words]
    rows = max(1, canvas.left if at_most is None else at_most)
    kept = len(shown)
    while kept > 1 and sum(map(len, shown[:kept])) + (kept < len(shown)) > rows:
        kept -= 1
    lines = [line for one in shown[:kept] for line in one] or ["nothing in particular"]
    for number, line in enumerate(lines):
        canvas.line(((label if number == 0 else "").ljust(canvas.label), "quiet"), (line, roles))
    if kept < len(shown):
        canvas.field("", f"{canvas.glyphs.ellipsis} and {len(shown) - kept} more", "quiet")


def wishes(scopes: Sequence[str], held: Sequence[str], canvas: Canvas, *, at_most: int | None = None) -> None:
    """What is asked for: all of it, or what is new apart from what the agent has.

    Args:
        at_most: rows; by default as many as are left.
    """
    more = [scope for scope in scopes if scope not in held]
    if not scopes:
        canvas.field("may", canvas.short("whatever is granted unasked", canvas.room - canvas.label))
    elif not held or not more:
        in_words(scopes, canvas, at_most=at_most)
    else:
        rows = max(2, canvas.left if at_most is None else at_most)
        in_words(more, canvas, label="new", roles="strong waiting", at_most=rows - 1)
        canvas.list("has", [scope for scope in scopes if scope in held], at_most=max(1, min(2, canvas.left)))
