"""What a model did: what it was asked, what a text told it, what it tried to call, and what the shop's gates said."""

from __future__ import annotations

import json

from demo.evidence.model import Driven, DrivenCall
from demo.panels.page import Canvas, Page
from demo.panels.theme import State
from demo.panels.values import many, pad, told_first

WHOSE = {
    "script": "scripted beforehand; its calls and their answers are real",
    "recording": "a kept run: what a model answered once; its calls are real",
    "model": "a real model, asked now",
}
"""By who decides in the model's place."""


def driven(given: Driven) -> Page:
    """One run of a model. Its title says what came of it; each call has a row, with the verdict on it."""

    def draw(canvas: Canvas) -> None:
        canvas.title(*_answer(given))
        canvas.field("asked", given.prompt, "strong", prose=True, at_most=2)
        canvas.field("by", f"{given.model}, {WHOSE[given.made_by]}" if given.model else WHOSE[given.made_by], "quiet")
        if given.lure:
            canvas.field("it read", f'"{given.lure}"', "unverified", prose=True, at_most=4)
        canvas.gap()
        _calls(given.calls, canvas)
        canvas.gap()
        if given.said and canvas.left > 1:
            canvas.field("it says", f'"{given.said}"', prose=True, at_most=max(1, min(2, canvas.left - 1)))
        if canvas.left > 0:
            canvas.field("ended", given.ended, "quiet")

    return Page(draw)


def _answer(given: Driven) -> tuple[State, str]:
    refused = sum(1 for one in given.calls if one.verdict == "deny")
    nothing = sum(1 for one in given.calls if one.verdict is None)
    who = "The scripted model" if given.made_by == "script" else "The model"
    bought = f"{many(given.orders, 'shirt')} bought" if given.orders else "nothing was bought"
    if any(one.luring for one in given.calls):
        harmed = any(one.luring and one.verdict != "deny" for one in given.calls)
        if harmed:
            return "refused", f"Fooled by what it read, and not all of it was refused: {bought}"
        return "refused", f"Fooled by what it read: {many(refused, 'call')} refused, {bought}"
    if refused:
        return "refused", f"{who} decided: {many(refused, 'call')} refused, {bought}"
    if not given.calls:
        return "none", f"{who} called nothing"
    if nothing:
        return "none", f"{who} decided: {many(nothing, 'call')} came to nothing, {bought}"
    return "allowed", f"{who} decided, and every call was allowed: {bought}"


def _calls(calls: tuple[DrivenCall, ...], canvas: Canvas) -> None:
    """A row for each call, in its order; where there is no room for all, those that a text led to or a gate refused."""
    room = max(2, canvas.left - 4)
    telling = [one.luring or one.verdict == "deny" for one in calls]
    shown = calls if len(calls) <= room else [calls[at] for at in told_first(telling, room - 1)]
    tool, verdict = min(20, canvas.room // 3), min(21, canvas.room // 3)
    given = canvas.room - tool - verdict - 2
    for one in shown:
        state, word = _verdict(one)
        mark = canvas.glyphs.mark(state)
        said = canvas.short(f"{mark} {word}" if state != "none" else word, verdict)
        arguments = _values(one.arguments)
        canvas.line(
            (canvas.cell(one.tool, tool), "strong"),
            " ",
            (canvas.cell(arguments, given), "unverified" if one.luring else "quiet"),
            " ",
            (pad(said, 0), state if state != "none" else "quiet"),
        )
    if len(shown) < len(calls):
        canvas.line((f"{canvas.glyphs.ellipsis} {many(len(calls) - len(shown), 'more call')}", "quiet"))


def _values(arguments: str) -> str:
    """The values of arguments, short ones first: of a purchase the size, for whom, and where to."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(given, dict):
        return arguments
    return ", ".join(sorted((str(value) for value in given.values()), key=len))


def _verdict(one: DrivenCall) -> tuple[State, str]:
    if one.verdict == "deny":
        return "refused", one.rule or "refused"
    return ("allowed", "allowed") if one.verdict == "allow" else ("none", "came to nothing")
