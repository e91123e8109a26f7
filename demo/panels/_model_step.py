"""One answer of a model: what it said and decided to call, what the gates decided, and what it was given to read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from demo.evidence.model import CallMade, MadeBy, ModelStep
from demo.panels._decision import REFUSALS
from demo.panels.page import Canvas, Page
from demo.panels.theme import State
from demo.panels.values import many, told_first

MARKED: dict[MadeBy, str] = {"script": "scripted", "recording": "kept run", "model": "live model"}
"""What stands beside every step."""
WORST: tuple[State, ...] = ("refused", "waiting", "unverified", "allowed", "none")
"""Verdicts, in the order in which one of several is the one to show."""
MOST = 6
"""Arguments of a call that stand on lines of their own."""
EACH = 5
"""Rows that one of several calls takes, with the one above it."""


def model_step(given: ModelStep) -> Page:
    """One step: the model's words marked as the model's, then each call with its verdict."""

    def draw(canvas: Canvas) -> None:
        canvas.title(_state(given), _answer(given), aside=MARKED[given.made_by])
        if given.words:
            whose = "model says" if given.made_by != "script" else "script says"
            canvas.field(whose, f'"{given.words}"', prose=True, at_most=4 if not given.calls else 2)
        chosen = told_first([telling(one) for one in given.calls], max(1, canvas.left // EACH))
        for number, at in enumerate(chosen):
            if number and canvas.left < 8:
                break
            canvas.gap()
            _call(given.calls[at], canvas, long=len(given.calls) == 1)
        else:
            number = len(chosen)
        if number < len(given.calls):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given.calls) - number, 'more call')}", "quiet"))

    return Page(draw)


def came_to(made: CallMade) -> tuple[State, str]:
    """How a call ended, as a verdict with the words for it."""
    read = made.read
    if made.call.problem:
        return "unverified", f"not sent: {made.call.problem}"
    if read is None and made.asked is not None and made.asked.said != "yes":
        return "refused", "Not made: no human said yes"
    if read is None:
        return "waiting", "not decided yet"
    if read.decision is not None and read.decision.verdict == "deny":
        return "refused", REFUSALS.get(read.decision.rule, f"Refused: {read.decision.rule}")
    if read.status is not None and read.status >= 400:
        return "refused", f"Refused: HTTP {read.status}"
    if read.is_error:
        return "unverified", "allowed, and the tool failed"
    if read.order is not None:
        before = "the order was cancelled before" if read.order.cancelled else "the same order as before"
        again = before if read.order.replayed else f"bought for {read.order.price}"
        return "allowed", f"Allowed: {again}"
    # A server that says nothing of gates has let it through all the same.
    return "allowed", "Allowed"


def telling(made: CallMade) -> bool:
    """Whether a call is one that a reader must see where there is no room for all: no mere yes to a question."""
    return came_to(made)[0] != "allowed" or (made.read is not None and made.read.order is not None)


def _state(given: ModelStep) -> State:
    states = {came_to(made)[0] for made in given.calls}
    return next((state for state in WORST if state in states), "none")


def _answer(given: ModelStep) -> str:
    who = "The script" if given.made_by == "script" else "The model"
    if not given.calls:
        return f"{who} has the last word" if given.words else f"{who} says and calls nothing"
    if len(given.calls) == 1:
        made = given.calls[0]
        state, words = came_to(made)
        if state == "waiting":
            return f"{who} wants to call {made.call.tool}"
        return f"{who} calls {made.call.tool}: {'refused' if state == 'refused' else words.partition(':')[0].lower()}"
    refused = sum(came_to(made)[0] == "refused" for made in given.calls)
    return f"{who} makes {many(len(given.calls), 'call')}: {refused} refused"


def _call(made: CallMade, canvas: Canvas, *, long: bool) -> None:
    canvas.field("calls", made.call.tool, "strong")
    arguments = list(_arguments(made.call.arguments))
    if arguments and not long:
        canvas.field("with", ", ".join(f"{name}: {value}" for name, value in arguments), prose=True, at_most=2)
    elif not arguments or len(arguments) > MOST:
        if made.call.arguments not in ("", "{}"):
            canvas.field("with", made.call.arguments)
    else:
        for number, (name, value) in enumerate(arguments):
            canvas.field("with" if number == 0 else "", f"{name}: {value}")
    if made.asked is not None:
        what = "to approve this one call" if made.asked.approval else f"for {' '.join(made.asked.scopes) or 'a login'}"
        said = "did not answer" if made.asked.said == "nothing" else f"said {made.asked.said}"
        canvas.field("human", f"{said}, asked {what}", prose=True, at_most=2 if long else 1)
    state, words = came_to(made)
    canvas.field("came of it", f"{canvas.glyphs.mark(state)} {words}", f"strong {state}", prose=True, at_most=2)
    decision = made.read.decision if made.read is not None else None
    if decision is not None and decision.verdict == "deny":
        canvas.field("why", decision.reason, prose=True, at_most=2)
        if long and decision.remedy:
            canvas.field("to pass", decision.remedy, prose=True, at_most=2)
    if long and made.read is not None and canvas.left > 2:
        canvas.gap()
        canvas.field("it reads", " ".join(made.read.text.split()), "quiet", prose=True, at_most=min(4, canvas.left - 1))
    if decision is not None and long and canvas.left > 1:
        canvas.field("on record", decision.audit_id, "quiet")


def _arguments(written: str) -> Iterator[tuple[str, str]]:
    """The arguments of a call by name, where they are a JSON object of single values."""
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        return
    if not isinstance(read, dict) or any(isinstance(value, dict | list) for value in read.values()):
        return
    for name, value in read.items():
        yield name, value if isinstance(value, str) else json.dumps(value)
