"""What a server supports, by standard: yes, no or not known, each row with the exchange that says so."""

from __future__ import annotations

from collections.abc import Sequence

from demo.evidence.shop import Capability
from demo.panels.page import Canvas, Page
from demo.panels.theme import State

SAYS: dict[bool | None, tuple[State, str]] = {
    True: ("allowed", "yes"),
    False: ("refused", "no"),
    None: ("unverified", "not known"),
}


def capabilities(given: Sequence[Capability], *, evidence: bool = True) -> Page:
    """A row for each capability with its standard; below it the request and what in the response settles it.

    Args:
        given: in the order to show.
        evidence: False leaves the evidence out where not everything fits: the rows alone are the overview.
    """

    def draw(canvas: Canvas) -> None:
        yes, no = (sum(one.supported is answer for one in given) for answer in (True, False))
        unknown = len(given) - yes - no
        canvas.title("none", f"What this server can do: {yes} yes, {no} no, {unknown} not known")
        each = 3 if evidence else 1
        room = len(given) if canvas.narrow else max(1, canvas.left // each)
        kept = given if len(given) <= room else given[: max(1, (canvas.left - 1) // each)]
        for one in kept:
            _row(one, canvas)
            if evidence:
                _evidence(one, canvas)
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {len(given) - len(kept)} more; --json has them all", "quiet"))

    return Page(draw)


def _row(one: Capability, canvas: Canvas) -> None:
    state, word = SAYS[one.supported]
    mark = canvas.glyphs.mark(state)
    if canvas.narrow:
        canvas.line((f"{mark} ", f"strong {state}"), (canvas.short(one.what, canvas.room - 2), "strong"))
        canvas.line((canvas.short(f"{word}, {one.standard}", canvas.room - 2), "quiet"), indent=4)
        return
    standard, verdict = 16, 10
    about = canvas.room - 2 - standard - verdict - 2  # two columns of space between the three
    canvas.line(
        (f"{mark} ", f"strong {state}"),
        (canvas.cell(one.what, about), "strong"),
        " ",
        (canvas.cell(word, verdict), state),
        " ",
        (canvas.cell(one.standard, standard), "quiet"),
    )


def _evidence(one: Capability, canvas: Canvas) -> None:
    room = canvas.room - 4
    for mark, words in ((canvas.glyphs.arrow, one.request), (canvas.glyphs.back, one.response)):
        if words:
            shown = canvas.short(words, room - len(mark))
            canvas.line((f"{mark} ", "quiet"), (shown, "quiet"), indent=4)
