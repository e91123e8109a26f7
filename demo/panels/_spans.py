"""One trace, as its spans tell it: what was done where, below what called it, and when."""

from __future__ import annotations

from typing import Final

from demo.evidence.audit import TracedSpan
from demo.panels.page import Canvas, Page, Part
from demo.panels.theme import State
from demo.panels.values import many
from demo.tracing.reading import tree

_BAR: Final = 14
_SERVICE: Final = 13
_TIME: Final = 8
_TOLD: Final = (
    ("user", "user.id"),
    ("agent", "gen_ai.agent.id"),
    ("client", "demo.client"),
    ("session", "session.id"),
    ("consent", "demo.consent"),
    ("order", "demo.order_id"),
    ("audit id", "demo.audit_id"),
)


def spans(given: tuple[TracedSpan, ...]) -> Page:
    """A row for each span of one trace, with its place in time; below it who it was for, as the gates wrote it."""
    begun = min((span.at for span in given), default=0.0)
    whole = max((span.at + span.seconds - begun for span in given), default=0.0)
    gates = [span for span in given if span.attribute("demo.verdict") and span.service != "agent"]

    def draw(canvas: Canvas) -> None:
        decided = gates[-1] if gates else None
        verdict = decided.attribute("demo.verdict") if decided is not None else None
        services = many(len({span.service for span in given}), "service")
        rule = (decided.attribute("demo.rule") if decided is not None else None) or ""
        said = {"allow": "allowed", "deny": f"refused by {rule}"}.get(verdict or "", "nothing was decided")
        state: State = "allowed" if verdict == "allow" else "refused" if verdict == "deny" else "none"
        canvas.title(state, f"One trace through {services}: {said}", aside=_milliseconds(whole))
        told = [(label, decided.attribute(name) or "") for label, name in _TOLD] if decided is not None else []
        told = [*((label, value) for label, value in told if value), ("trace", given[0].trace if given else "")]
        rows = list(tree(given))
        fits = max(3, canvas.left - len(told) - 2)
        for depth, span in rows if len(rows) <= fits else rows[: fits - 1]:
            _row(depth, span, begun, whole, canvas)
        if len(rows) > fits:
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(rows) - fits + 1, 'more span')}", "quiet"))
        canvas.gap()
        for label, value in told:
            canvas.field(label, canvas.short(value, min(48, canvas.room - canvas.label)))

    return Page(draw)


def _row(depth: int, span: TracedSpan, begun: float, whole: float, canvas: Canvas) -> None:
    wide = canvas.room - _SERVICE - _TIME - 3 - (0 if canvas.narrow else _BAR + 1)
    indent = min(2 * depth, max(0, wide - 24))
    name = canvas.cell(span.name, max(8, wide - indent))
    # The shop and its authorization server are told from the agent by where they stand, not by colour.
    service = canvas.cell({"authorization-server": "auth server"}.get(span.service, span.service), _SERVICE)
    parts: list[Part] = [(" " * indent + name, "refused" if span.failed else ""), " ", (service, "quiet"), " "]
    if not canvas.narrow:
        parts += [(_bar(span, begun, whole, canvas), "quiet"), " "]
    canvas.line(*parts, f"{canvas.short(_milliseconds(span.seconds), _TIME):>{_TIME}}")


def _bar(span: TracedSpan, begun: float, whole: float, canvas: Canvas) -> str:
    scale = _BAR / whole if whole > 0 else 0.0
    start = min(_BAR - 1, int((span.at - begun) * scale))
    length = max(1, min(_BAR - start, round(span.seconds * scale)))
    return " " * start + canvas.glyphs.heavy * length + " " * (_BAR - start - length)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
