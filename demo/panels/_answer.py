"""The human's answer, in block letters: yes, no, or none in time."""

from __future__ import annotations

from demo.evidence.grants import Answer
from demo.panels import bigtype
from demo.panels.grants import in_words, one_purchase
from demo.panels.page import Canvas, Page
from demo.panels.people import name_of
from demo.panels.theme import State

_SAID: dict[str, tuple[State, str]] = {
    "yes": ("allowed", "yes"),
    "no": ("refused", "no"),
    "nothing": ("waiting", "no answer"),
    "other": ("unverified", "another yes"),
}
"""What was said to the verdict that it is, and how it is written large."""


def answer(given: Answer) -> Page:
    """Who said what to whom, large; what that gave, or that it gave nothing."""

    def draw(canvas: Canvas) -> None:
        human, agent = name_of(given.human) or "the human", given.agent or "the agent"
        state, word = _SAID[given.said]
        _large(f"{human} said {word}" if given.said in ("yes", "no") else word, word, state, canvas)
        canvas.title(
            state,
            {
                "yes": f"{human} said yes: {agent} may act for {human} now",
                "no": f"{human} said no: {agent} gets nothing",
                "nothing": f"{human} did not answer in time: {agent} gets nothing",
                "other": f"{human} said yes, and was not the one that was asked",
            }[given.said]
            if given.purchase is None
            else {
                "yes": f"{human} said yes, to this purchase and no other",
                "no": f"{human} said no: {agent} does not buy, and keeps what it had",
                "nothing": f"{human} did not answer in time: {agent} does not buy",
                "other": f"{human} said yes, and was not the one that was asked",
            }[given.said],
        )
        if given.purchase is not None:
            one_purchase(given.purchase, canvas)
        elif given.said == "yes":
            limit = f"up to {given.amount}" if given.amount else "nothing: no limit was granted"
            canvas.field("may spend", limit, "strong")
            in_words(given.scopes, canvas)

    return Page(draw)


def _large(sentence: str, word: str, state: State, canvas: Canvas) -> None:
    blocks = canvas.glyphs.top != canvas.glyphs.bottom
    for text, size in ((sentence, bigtype.TALL), (word, bigtype.HUGE), (word, bigtype.SMALL)):
        rows = bigtype.big(text, size, blocks=blocks)
        if rows is not None and bigtype.columns(text, size) <= canvas.room and len(rows) + 8 <= canvas.rows:
            for row in rows:
                canvas.line((row, f"strong {state}"))
            canvas.gap()
            return
