"""What a human asked a model to do: which model decides, who reads along, and what the run may take at most."""

from __future__ import annotations

from demo.evidence.model import MadeBy, ModelTask
from demo.panels.page import Canvas, Page
from demo.panels.values import many, span

WHO: dict[MadeBy, str] = {"script": "A script", "recording": "A kept run", "model": "A model"}
"""Who decides, at the beginning of a title."""


def model_task(given: ModelTask) -> Page:
    """The task: the human's words, who decides, at which server with which tools, and the bounds."""

    def draw(canvas: Canvas) -> None:
        canvas.title("none", f"{WHO[given.made_by]} decides what the agent calls")
        canvas.field("asked", f'"{given.prompt}"', "strong", prose=True, at_most=3)
        canvas.gap()
        canvas.field("decides", decides(given.model, given.made_by), prose=True, at_most=2)
        canvas.field("reads along", given.where or "nobody: no model is asked", prose=True, at_most=2)
        canvas.gap()
        canvas.field("server", given.server)
        canvas.list("tools", given.tools, at_most=3, empty="none was listed")
        canvas.gap()
        bounds = given.bounds
        most = (many(bounds.steps, "answer"), many(bounds.calls, "call"), many(bounds.tokens, "token"))
        canvas.field("at most", ", ".join(most))
        canvas.field("", f"{span(bounds.seconds)}, {span(bounds.answer_seconds)} for each answer")
        own = f"{bounds.spending} in this run" if bounds.spending is not None else "what the human consented to"
        canvas.field("spends", own)

    return Page(draw)


def decides(model: str, made_by: MadeBy) -> str:
    """Who decides, by name and kind."""
    if made_by == "script":
        return f"the script {model}: written by hand, no model; its calls are real"
    if made_by == "recording":
        return f"the file {model}: what a model answered once; its calls are made now"
    return model
