"""What was bought, for whom, through whom, and what that leaves of the limit the human set."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.shop import Order
from demo.panels.page import Canvas, Page
from demo.panels.people import Names, called, named
from demo.panels.values import clock
from deputize.evidence import Money


def order(given: Order, names: Names = ()) -> Page:
    """An order: what, price, who, through whom, under which consent; the balance of the spending limit as a bar.

    A replayed order says that nothing was bought twice; an anonymous one that nobody bought it.

    Args:
        names: what the human and the agent are called that it names by their ids.
    """

    def draw(canvas: Canvas) -> None:
        what = f"{given.item}, size {given.size}, {given.price}" if given.size else f"{given.item}, {given.price}"
        if given.cancelled:
            canvas.title("waiting", "That order was cancelled before it was sent: nothing is paid")
        elif given.replayed:
            canvas.title("allowed", "The same order, nothing bought twice")
        elif given.user is None:
            canvas.title("unverified", f"Bought, by nobody: {what}")
        else:
            canvas.title("allowed", f"Bought: {what}")
        if given.replayed:
            canvas.field("what", what)
        _party("who", given.user, "nobody: no human stands behind this order", names, canvas)
        _party("through", given.agent, "nobody: any program could have sent it", names, canvas)
        if given.consent:
            canvas.field("consent", given.consent, "quiet", whole=True)
        else:
            canvas.field("consent", "none: nobody was asked", "unverified")
        canvas.field("for", given.company or "no company given")
        canvas.field("order", f"{given.id}, {clock(given.at)}", "quiet", whole=True)
        _balance(given, canvas)

    return Page(draw)


def _party(label: str, id: str | None, nobody: str, names: Names, canvas: Canvas) -> None:
    if not id:
        canvas.field(label, nobody, "unverified")
        return
    name = called(id, names)
    if name == id:
        canvas.field(label, id, whole=True)
    else:
        named(canvas, label, name, (dict(names).get(id), id))


def _balance(given: Order, canvas: Canvas) -> None:
    canvas.gap()
    if given.balance is None or given.spending_limit is None:
        canvas.field("limit", "none: nothing stops the next order", "unverified", prose=True)
        return
    limit, left = given.spending_limit, given.balance
    spent = Money(max(0, limit.amount - left.amount), limit.currency)
    canvas.line(*canvas.bar(spent.amount, limit.amount, canvas.room, "allowed" if left.amount > 0 else "refused"))
    third = canvas.room if canvas.narrow else (canvas.room - 3) // 3
    words = [canvas.short(word, third) for word in (f"spent {spent}", f"left {left}", f"of {limit}")]
    if canvas.narrow:
        for word in words:
            canvas.line(word)
        return
    space = " " * max(2, canvas.room - cell_len(words[0]) - cell_len(words[1]) - cell_len(words[2]) - 1)
    canvas.line((words[0], "strong"), space, (words[1], "strong"), " ", (words[2], "quiet"))
