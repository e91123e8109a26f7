"""Whether this machine is ready for the stage: a row for each check, the fix below what is not."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from demo.panels.page import MARGIN, Canvas, Page
from demo.panels.theme import State
from demo.panels.values import many

Check = tuple[str, str, str, str | None]
"""(mark: ok, warn, bad or skip; name; detail; fix)"""

STATES: dict[str, State] = {"ok": "allowed", "warn": "waiting", "bad": "refused", "skip": "none"}
WEIGHT = {"skip": 0, "ok": 1, "warn": 2}
"""The lightest are left out first; whatever is not named here goes last."""


def checklist(rows: Sequence[Check]) -> Page:
    """The checks in order. Where they do not all fit, the ones that passed are counted instead of listed."""

    def draw(canvas: Canvas) -> None:
        bad = sum(row[0] not in ("ok", "warn", "skip") for row in rows)
        warned = sum(row[0] == "warn" for row in rows)
        if bad:
            canvas.title("refused", f"Not ready: {many(bad, 'thing')} to fix")
        elif warned:
            canvas.title("waiting", f"Ready, with {many(warned, 'warning')}")
        else:
            canvas.title("allowed", f"Ready: {many(len(rows), 'check')}")
        # Each row is drawn once and measured: how high it is does not depend on the others.
        kept = [(WEIGHT.get(row[0], 3), _check(row, canvas)) for row in rows]
        while (
            not canvas.narrow
            and sum(len(lines) for _, lines in kept) + (len(kept) < len(rows)) > canvas.left
            and len(kept) > 1
        ):
            lightest = min(weight for weight, _ in kept)
            kept.pop(max(index for index, (weight, _) in enumerate(kept) if weight == lightest))
        for _, lines in kept:
            canvas.lines.extend(lines)
        if len(kept) < len(rows):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(rows) - len(kept), 'more check')} not shown", "quiet"))

    return Page(draw)


def _check(row: Check, screen: Canvas) -> list[Text]:
    canvas = screen.apart(screen.width)
    given, name, detail, fix = row
    state = STATES.get(given, "refused")
    mark = canvas.glyphs.warning if given == "warn" else canvas.glyphs.mark(state)
    width = 12 if canvas.narrow else 18
    rest = canvas.room - width - 4
    about = canvas.wrapped(detail, rest, 2) or [""]
    plain = "quiet" if state == "none" else ""
    canvas.line((mark, f"strong {state}"), " ", (canvas.cell(name, width), plain), "  ", (about[0], "quiet"))
    indent = MARGIN + 2 + width + 2
    for line in about[1:]:
        canvas.line((line, "quiet"), indent=indent)
    arrow = f"{canvas.glyphs.arrow} "
    for number, line in enumerate(canvas.wrapped(fix or "", rest - len(arrow), 2)):
        canvas.line((arrow if number == 0 else " " * len(arrow), "quiet"), (line, "strong"), indent=indent)
    return canvas.lines
