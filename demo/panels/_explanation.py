"""What the gates would say of a call that nobody made, and by which line of the policy."""

from __future__ import annotations

from demo.evidence.shop import GATES, Explanation, GateExplained
from demo.panels._decision import REFUSALS
from demo.panels.page import Canvas, Page
from demo.panels.people import named
from demo.panels.theme import State

MARKS: dict[str, State] = {"passed": "allowed", "refused": "refused", "not asked": "none"}


def explanation(given: Explanation) -> Page:
    """The verdict, then each gate with what it goes by, why, and what would make it pass."""

    def draw(canvas: Canvas) -> None:
        if given.verdict == "allow":
            canvas.title("allowed", f"It would pass: {given.tool}")
        else:
            why = REFUSALS.get(given.rule, f"Refused at the {given.gate} gate").removeprefix("Refused: ")
            canvas.title("refused", f"It would be refused: {why}")
        for one in given.gates:
            _gate(one, canvas)
        canvas.gap()
        canvas.field("why", given.reason, prose=True, at_most=2)
        if given.remedy:
            canvas.field("to pass", given.remedy, "strong", prose=True, at_most=2)
        canvas.gap()
        named(canvas, "who", given.username or given.user, (given.user,), "strong")
        named(canvas, "through", given.agent or given.client or "no agent", (given.client,), "strong")
        canvas.field("what", given.tool)
        canvas.field("needs", given.needs or "no scope")
        canvas.field("policy", given.source, "quiet")
        canvas.field("digest", given.digest, "quiet")

    return Page(draw)


def _gate(one: GateExplained, canvas: Canvas) -> None:
    by = f"line {one.line}  {one.text}" if one.line is not None and one.text else one.key or _others(one.gate)
    canvas.field(one.gate if one.gate in GATES else "gate", f"{one.said:<9}  {by}", MARKS.get(one.said, "none"))


def _others(gate: str) -> str:
    return {"token": "the authorization server's word", "standing": "the human's word, and the shop's ban"}.get(
        gate, "what the human consented to"
    )
