"""A revocation: the same call just before and just after."""

from __future__ import annotations

from demo.evidence.grants import Revocation
from demo.evidence.shop import Decision
from demo.panels._decision import parties, state_of, through
from demo.panels.page import Canvas, Page
from demo.panels.people import Names, named
from demo.panels.values import clock, host, span

MOST_PUSHED = 2
"""Events, one for each shop; each is a line."""


def revocation(given: Revocation, names: Names = ()) -> Page:
    """Before and after side by side, the seconds between, and whether it was the very same token.

    Args:
        names: what the human and the agent are called.
    """

    def draw(canvas: Canvas) -> None:
        after = given.after
        if after is None:
            canvas.title("waiting", f"The {given.kind} is revoked; the next call is still to come")
        elif after.verdict == "allow":
            canvas.title("refused", f"The {given.kind} was revoked, and the next call was still allowed")
        else:
            canvas.title("allowed", f"Revoked: the next call was refused {span(given.seconds)} later")
        shown = given.before or after  # a refusal for a revoked grant no longer names the human by address
        if shown is None:
            canvas.field("revoked", given.id if given.id.startswith(given.kind) else f"{given.kind} {given.id}")
        elif given.kind == "agent":
            named(canvas, "suspended", through(shown, names), (given.id,))
        else:
            named(canvas, "revoked", f"the {given.kind}", (given.id,))
        if shown is not None:
            parties(shown, names, canvas, of="of")
        for one in given.delivered[:MOST_PUSHED]:
            came = "acknowledged" if one.acknowledged else "no answer"
            canvas.field("pushed", f"{came} in {span(one.seconds)}: {host(one.resource)}")
        canvas.gap()
        if canvas.narrow:
            _side("BEFORE", given.before, canvas)
            canvas.gap()
            _side("AFTER", after, canvas)
        else:
            left, right = canvas.apart((canvas.room - 2) // 2), canvas.apart((canvas.room - 2) // 2)
            _side("BEFORE", given.before, left)
            _side("AFTER", after, right)
            canvas.beside(left, right, gap=2)
        before = given.before
        if before is not None and after is not None and before.token_id and before.token_id == after.token_id:
            canvas.gap()
            canvas.prose("The same token both times: it did not expire, its authority was revoked.", "strong")

    return Page(draw)


def _side(name: str, given: Decision | None, canvas: Canvas) -> None:
    canvas.label = 7
    canvas.line((name, "quiet"))
    if given is None:
        canvas.line(("no call", "quiet"))
        return
    state = state_of(given)
    verdict = "allowed" if given.verdict == "allow" else "refused"
    canvas.line((f"{canvas.glyphs.mark(state)} {verdict}", f"strong {state}"))
    canvas.field("what", given.tool or "request")
    canvas.field("rule", given.rule)
    canvas.field("token", given.token_id or "none")
    canvas.field("at", clock(given.at))
    canvas.field("why", given.reason, prose=True, at_most=3)
