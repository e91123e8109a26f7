"""The second screen as a terminal draws it, to fill exactly the rows that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from demo.panels import bigtype
from demo.panels.page import Canvas, Page, Part
from demo.presenter.pace import told
from demo.presenter.view import NOT_NEEDED, Clock, Place, View
from talk.script.notes import SAY

if TYPE_CHECKING:
    from demo.panels.theme import State

MEASURE: Final = 84
"""Columns: prose wider than this is slow to read at a glance."""
PLAN_COLUMNS: Final = 44
"""What the running order takes where there is room for it beside the notes."""
TALL, TALL_WORDS = 36, 4
"""Rows from which there is room for so many of what is said in the next beat."""
PACE: Final[Mapping[str, State]] = MappingProxyType(
    {"on time": "allowed", "ahead": "waiting", "behind": "refused", "over": "none"}
)
KEYS: Final = (
    ("space", "next"),
    ("b", "back"),
    ("r", "again"),
    ("s", "skip"),
    (".", "blank"),
    ("g", "go to"),
    ("h", "hold"),
    ("q", "quit"),
)


@dataclass(frozen=True)
class Hand:
    """What the presenter does at this terminal.

    Args:
        scroll: rows of notes that are scrolled away.
        picking: what was typed of a beat to go to; None where none is picked.
        at: which of the beats that fit is chosen.
        notice: what the last key did.
    """

    scroll: int = 0
    picking: str | None = None
    at: int = 0
    notice: str = ""
    leaving: bool = False


def picked(shown: View, typed: str) -> tuple[Place, ...]:
    """The beats that fit what was typed: their number in the plan, or a part of their id or title."""
    if typed.isdecimal():
        return tuple(one for one in shown.beats if str(one.number).startswith(typed))
    wanted = typed.casefold()
    return tuple(one for one in shown.beats if wanted in f"{one.id} {one.title}".casefold())


def screen(shown: View, hand: Hand, rows: int) -> Page:
    """The second screen, drawn to fill exactly so many rows."""

    def draw(canvas: Canvas) -> None:
        below = _bottom(canvas, shown, hand, TALL_WORDS if rows >= TALL else 1)
        if shown.trouble:
            canvas.prose(shown.trouble, "strong", at_most=4)
        elif canvas.wide:
            plan = canvas.apart(PLAN_COLUMNS)
            _beside(plan, shown, rows - len(below.lines) - 1)
            notes = canvas.apart(canvas.width - PLAN_COLUMNS - 2)
            _middle(notes, shown, hand, rows - len(below.lines) - 1)
            canvas.beside(notes, plan, gap=2)
        else:
            _middle(canvas, shown, hand, rows - len(below.lines) - 1)
        while len(canvas.lines) < rows - len(below.lines):
            canvas.line()
        canvas.lines += below.lines
        for line in canvas.lines:
            line.truncate(canvas.width, overflow="crop")  # whatever a talk's texts are, a row is a row
        del canvas.lines[rows:]

    return Page(draw, rows)


def _middle(canvas: Canvas, shown: View, hand: Hand, rows: int) -> None:
    _head(canvas, shown)
    if hand.picking is not None:
        _picker(canvas, shown, hand, rows)
        return
    width = min(MEASURE, canvas.room)
    for number, line in enumerate(canvas.wrapped(shown.sentence, width - 2, 3)):
        canvas.line((canvas.glyphs.bar if number == 0 else " ", "quiet"), " ", (line, "strong"))
    canvas.gap()
    lines: list[tuple[Part, ...]] = []
    for passage in shown.notes:
        if passage.label and passage.label != SAY:
            lines.append(((canvas.short(passage.label.upper(), width), "quiet"),))
        lines += [(line,) for line in canvas.wrapped(passage.text, width)]
        lines.append(())
    room = max(1, rows - len(canvas.lines))
    top = max(0, min(hand.scroll, len(lines) - room))
    here = lines[top : top + room]
    if top + room < len(lines):
        here = [*here[:-1], ((f"{canvas.glyphs.down} {len(lines) - top - room + 1} more rows: j", "quiet"),)]
    for parts in here:
        canvas.line(*parts)


def _head(canvas: Canvas, shown: View) -> None:
    here = shown.current
    where = f"{here.number}/{_count(shown)}" if here and here.number else "+" if here else "0"
    title = here.title if here else f"{shown.plan}: not begun"
    title = canvas.short(title, canvas.room - cell_len(where) - 2)
    canvas.line((where, "quiet"), "  ", (title, "strong"))
    name = canvas.room // 3
    who: list[Part] = [(f"{canvas.short(shown.speaker, name)} speaks", "strong")] if shown.speaker else []
    who += [(f"  then {canvas.short(shown.then, name)}", "quiet")] if shown.then else []
    canvas.line(*who)
    # On a row of its own, empty or not: what stands below it must not move from one step to the next.
    state, words = _state(shown)
    canvas.line(*([(canvas.short(f"{canvas.glyphs.mark(state)} {words}", canvas.room), state)] if words else []))
    if canvas.rows >= TALL:
        canvas.line()


def _state(shown: View) -> tuple[State, str]:
    """What the stage is at, in words."""
    doing = shown.doing
    if shown.blank:
        return "waiting", "the screen is blank"
    if doing.words:
        return ("refused" if doing.kind == "trouble" else "none" if doing.kind == "step" else "waiting"), doing.words
    if shown.recorded:
        return "unverified", "a recorded take"
    if shown.state == "none":
        return "none", "" if shown.detached else "the stage is open: next begins"
    if shown.state == "interrupted":
        return "waiting", "interrupted: the next command goes on with it"
    return "none", "played: say the sentence, then go on" if shown.state == "ended" else ""


def _picker(canvas: Canvas, shown: View, hand: Hand, rows: int) -> None:
    hint = "   a number or a name, then Enter; q: stay here"
    canvas.line(("Go to: ", "quiet"), (f"{hand.picking}_", "strong"), (hint, "quiet"))
    canvas.gap()
    found = picked(shown, hand.picking or "")
    room = max(1, rows - len(canvas.lines))
    top = max(0, min(hand.at - room // 2, len(found) - room))
    for at, one in enumerate(found[top : top + room], top):
        mark = canvas.glyphs.head if at == hand.at else " "
        line = f"{mark} {one.number or '+':>2}  {one.id:<20} "
        title = canvas.short(one.title, canvas.room - cell_len(line))
        canvas.line((line + title, "strong" if at == hand.at else ""))
    if not found:
        canvas.line("no beat fits")


def _beside(canvas: Canvas, shown: View, rows: int) -> None:
    """The talk's clock in block letters, and the running order."""
    clock = bigtype.big(told(shown.talk.gone), bigtype.SMALL, blocks=canvas.glyphs.bar != "|") or []
    for number, line in enumerate(clock):
        after = f"  of {told(shown.talk.planned)}" if number == len(clock) - 1 else ""
        canvas.line((line, "strong waiting" if shown.held else "strong"), (after, "quiet"))
    canvas.gap()
    at = shown.current.number if shown.current else 0
    beats = [one for one in shown.beats if one.number]
    lines: list[tuple[Part, ...]] = []
    section, here = "", 0
    for one in beats:
        if one.section != section:
            section = one.section
            lines.append(((canvas.short(section, canvas.room), "quiet"),))
        if one.number == at:
            here = len(lines)
        tail = f"{'may go ' if one.id in shown.pace.may_go else ''}{told(one.seconds)}"
        mark = canvas.glyphs.head if one.number == at else " "
        name = canvas.cell(one.id, canvas.room - cell_len(tail) - 7)
        role = "strong" if one.number == at else "quiet" if one.number < at else ""
        lines.append(((f"{mark} {one.number:>2}  {name} ", role), (tail, "waiting" if "may" in tail else "quiet")))
    room = max(1, rows - len(canvas.lines))
    top = max(0, min(here - room // 2, len(lines) - room))
    for parts in lines[top : top + room]:
        canvas.line(*parts)


def _bottom(canvas: Canvas, shown: View, hand: Hand, words: int) -> Canvas:
    below = canvas.apart(canvas.width)
    if not shown.trouble:
        _next(below, shown, words)
        below.gap()
        _clocks(below, shown)
    needless = [one.name for one in shown.health if one.word == NOT_NEEDED]
    lines = [(one.state, f"{one.name} {one.word}") for one in shown.health if one.word != NOT_NEEDED]
    lines += [("none", f"{', '.join(needless)} {NOT_NEEDED}")] if needless else []
    _row(below, [_health(below, *line) for line in lines])
    if hand.notice:
        below.line((below.short(hand.notice, below.room), "strong waiting"))
    elif shown.detached:
        below.line((below.short(f"{below.glyphs.warning} {shown.detached}", below.room), "waiting"))
    else:
        names = {"hold": "resume"} if shown.held else {}
        _row(below, [[(key, "strong"), (f" {names.get(name, name)}", "quiet")] for key, name in KEYS], gap=2)
    return below


def _next(canvas: Canvas, shown: View, words: int) -> None:
    if shown.following is None:
        canvas.line(("next  ", "quiet"), "nothing: this is the last beat" if shown.current else "")
        return
    one = shown.following
    tail = f"  {canvas.short(one.speaker, canvas.room // 4)}  {told(one.seconds)}{'  optional' if one.optional else ''}"
    head = f"{one.number}  "
    title = canvas.short(one.title, canvas.room - 6 - cell_len(head) - cell_len(tail))
    canvas.line(("next  ", "quiet"), head, (title, "strong"), (tail, "quiet"))
    for line in canvas.wrapped(one.first, min(MEASURE, canvas.room - 6), words):
        canvas.line(" " * 6, (line, "quiet"))


def _clocks(canvas: Canvas, shown: View) -> None:
    clocks = (("talk", shown.talk), ("section", shown.section), ("beat", shown.beat))
    _row(canvas, [_clock(name, clock) for name, clock in clocks])
    if shown.held:
        words = f"held for questions: {told(shown.held_seconds)} in all, and the clock stands (h: go on)"
        canvas.line((canvas.short(words, canvas.room), "strong waiting"))
        return
    state = PACE[shown.pace.state]
    canvas.line((canvas.short(f"{canvas.glyphs.mark(state)} {shown.pace.words}", canvas.room), f"strong {state}"))


def _clock(name: str, clock: Clock) -> list[Part]:
    late = "waiting" if clock.planned and clock.over else ""
    return [
        (f"{name} ", "quiet"),
        (told(clock.gone), f"strong {late}".strip()),
        (f" of {told(clock.planned)}", "quiet"),
    ]


def _health(canvas: Canvas, state: State, words: str) -> list[Part]:
    words = canvas.short(words, canvas.room - 2)
    return [(canvas.glyphs.mark(state), state), (f" {words}", "quiet" if state in ("allowed", "none") else state)]


def _row(canvas: Canvas, groups: Sequence[Sequence[Part]], *, gap: int = 3) -> None:
    """Groups side by side, on as many lines as they take; none is broken in two."""
    line: list[Part] = []
    used = 0
    for group in groups:
        width = sum(cell_len(part if isinstance(part, str) else part[0]) for part in group)
        if line and used + gap + width > canvas.room:
            canvas.line(*line)
            line, used = [], 0
        if line:
            line.append(" " * gap)
            used += gap
        line += group
        used += width
    if line:
        canvas.line(*line)


def _count(shown: View) -> int:
    return sum(one.number > 0 for one in shown.beats)
