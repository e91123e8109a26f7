"""A recording as the screens that its audience saw: each ends where the room stopped to look, or with its beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from demo import panels
from deputize.errors import UsageError
from talk.export.cells import Line, Span, lines_of
from talk.recording.reader import header_of, rebuild
from talk.stage.screen import WHOLE

if TYPE_CHECKING:
    from demo.evidence.screen import BeatHeader
    from demo.panels.page import Page
    from talk.recording.reader import Event, Take

LAST_SECONDS = 4.0
"""How long the last screen is taken to have been seen."""
HEAD, FRAME = 3, 6
"""Rows that a panel leaves free: for the header; as on a stage, for the sentence to say and the prompt as well."""


@dataclass(frozen=True)
class Part:
    """Something on a screen: a panel; a line about the performance (a step that was skipped); the sentence said."""

    kind: Literal["panel", "note", "said"]
    text: str = ""
    name: str = ""
    page: Page | None = None


@dataclass(frozen=True)
class Screen:
    """One screen. `at` and `until` in seconds from the beginning of the run; `first`: of its beat."""

    header: BeatHeader
    at: float
    until: float
    first: bool
    parts: tuple[Part, ...]


def screens(take: Take, beats: Sequence[str]) -> list[Screen]:
    """The screens of these beats of a recording, each beat as it was last played.

    Raises:
        UsageError: a beat is not in it, or the evidence of a panel is not what that draws.
    """
    found = [one for beat in beats for one in _of_beat(take.beat(beat))]
    if not found:
        raise UsageError(f"{take.path} shows nothing", why="no beat was played in it", do="record a run with: demo run")
    # A pause between two plays is not what was seen of the screen before it.
    ends = [after.at if not after.first else before.until for before, after in pairwise(found)]
    ends.append(found[-1].until)
    return [
        Screen(one.header, one.at, max(end, one.at), one.first, one.parts) for one, end in zip(found, ends, strict=True)
    ]


def _of_beat(events: tuple[Event, ...]) -> Iterator[Screen]:
    header = header_of(events[0])
    parts: list[Part] = []
    at, until, first = events[0].at, events[-1].at + LAST_SECONDS, True
    for event in events:
        if (part := _part(event)) is not None:
            parts.append(part)
        elif event.name == "go" and parts:
            yield Screen(header, at, event.at, first, tuple(parts))
            parts, at, first = [], event.at, False
    if parts or first:
        yield Screen(header, at, until, first, tuple(parts))


def _part(event: Event) -> Part | None:
    match event.name:
        case "panel":
            return Part("panel", name=event["name"], page=rebuild(event))
        case "closing":
            return Part("said", event["text"])
        case "result" if event.get("skipped"):
            return Part("note", f"skipped: {event['skipped']}")
        case "result" if not event.get("ok"):
            return Part("note", f"not as expected: {event.get('error') or event['step']}")
    return None


def frames(screen: Screen, width: int, rows: int) -> list[list[Line]]:
    """The screen as a terminal of this size shows it: what does not fit goes on below the header of another one."""
    head = [*lines_of(panels.header(screen.header), width, rows), ()]
    pages = [list(head)]
    for part in screen.parts:
        lines = _lines(part, width, rows)
        gap: list[Line] = [()] if len(pages[-1]) > len(head) else []
        if gap and len(pages[-1]) + len(gap) + len(lines) > rows:
            pages.append(list(head))
            gap = []
        pages[-1] += [*gap, *lines]
    return [page[:rows] for page in pages]


def _lines(part: Part, width: int, rows: int) -> list[Line]:
    if part.page is not None:
        free = rows - (HEAD if part.name in WHOLE else FRAME)
        return lines_of(part.page.within(max(10, free)), width, rows)
    if part.kind == "said":
        return lines_of(panels.closing(part.text), width, rows)
    return [(Span("  "), Span(part.text[: width - 4], ("quiet",)))]
