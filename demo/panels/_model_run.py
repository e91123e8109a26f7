"""A whole run of a model: what it tried, what came of each, why it ended, and what it took."""

from __future__ import annotations

from demo.evidence.model import CallMade, Ending, ModelEnd, ModelStep, ModelTask
from demo.panels._model_step import MARKED, WORST, came_to, telling
from demo.panels._model_task import decides
from demo.panels.page import Canvas, Page
from demo.panels.theme import State
from demo.panels.values import many, span, told_first

BOUNDS: dict[Ending, str] = {
    "steps": "Ended: it has answered as often as it may",
    "calls": "Ended: it has called as often as it may",
    "tokens": "Ended: its tokens are used up",
    "seconds": "Ended: its time is over",
    "spending": "Ended: this run may spend no more",
    "repeats": "Ended: it tries again what was refused",
    "mistakes": "Ended: its calls come to nothing",
    "human": "Ended: the human did not say yes",
    "model": "Ended: the model gave no answer",
    "server": "Ended: the server is in the way",
    "script": "Ended: the script cannot go on",
    "interrupted": "Interrupted",
}
"""Why a run ended, but for one that was done by itself."""
UNSENT: frozenset[Ending] = frozenset(("spending",))
"""Endings before a call is sent. In any other its answer may be what is missing, and what it did is not known."""


NO_ANSWER = "no answer came: it may have been done"


def model_run(task: ModelTask, steps: tuple[ModelStep, ...], end: ModelEnd) -> Page:
    """A run: a line for each call with its verdict, then the end."""

    def draw(canvas: Canvas) -> None:
        made = [one for step in steps for one in step.calls]
        state, answer = _answer(end, made)
        unanswered = end.reason not in UNSENT and any(came_to(one)[0] == "waiting" for one in made)
        canvas.title(state, answer, aside=MARKED[task.made_by])
        canvas.field("asked", f'"{task.prompt}"', prose=True, at_most=2)
        canvas.field("decided", decides(task.model, task.made_by), prose=True, at_most=2)
        canvas.gap()
        room = max(1, canvas.left - 6)
        shown = made if len(made) <= room else [made[at] for at in told_first([telling(one) for one in made], room - 1)]
        width = min(max([len(one.call.tool) for one in shown] or [1]), canvas.room // 2)
        for one in shown:
            verdict, words = came_to(one)
            if verdict == "waiting":  # the run ended before it, or before its answer
                verdict, words = ("none", "not made") if end.reason in UNSENT else ("unverified", NO_ANSWER)
            mark = canvas.glyphs.mark(verdict)
            rest = canvas.room - width - 4
            canvas.line((f"{mark} {canvas.cell(one.call.tool, width)}  ", verdict), canvas.short(words, rest))
        if len(shown) < len(made):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(made) - len(shown), 'more call')}", "quiet"))
        if not made:
            canvas.line(("it called nothing", "quiet"))
        canvas.gap()
        canvas.field("ended", end.why, prose=True, at_most=2)
        tokens = f", {end.tokens_read} tokens read, {end.tokens_written} written" if task.made_by == "model" else ""
        canvas.field("took", f"{many(end.steps, 'answer')}, {many(end.calls, 'call')}, {span(end.seconds)}{tokens}")
        spent = str(end.spent) if end.spent is not None else "nothing"
        canvas.field("spent", f"{spent}, without the call that has no answer" if unanswered else spent, "strong")

    return Page(draw)


def _answer(end: ModelEnd, made: list[CallMade]) -> tuple[State, str]:
    if end.reason != "done":
        return ("refused" if end.reason in ("human", "repeats") else "none"), BOUNDS[end.reason]
    if not made:
        return "none", "Done: no call"
    states = [came_to(one)[0] for one in made]
    failed = states.count("unverified")
    tried = f"{many(len(made), 'call')}, {end.refused} refused" + (f", {failed} failed" if failed else "")
    return next(state for state in WORST if state in (*states, "none")), f"Done: {tried}"
