"""asciicast, as the players of asciinema read it: version 3 (docs.asciinema.org/manual/asciicast/v3) and version 2."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from demo.panels import theme
from deputize.text import json_text
from talk.recording.playing import LEAST_SEEN, paced, perform
from talk.recording.reader import header_of
from talk.stage.screen import Stage

if TYPE_CHECKING:
    from talk.recording.reader import Take

Version = Literal[2, 3]


@dataclass(frozen=True)
class Written:
    """Something that a terminal got. `at` in seconds from the beginning. "o" is output, "m" a marker with its label."""

    at: float
    code: Literal["o", "m"]
    data: str


def cast(written: Iterable[Written], *, version: Version, width: int, rows: int, started_at: float, title: str) -> str:
    """The lines of an asciicast file.

    Version 2 has the time of each event from the beginning, version 3 from the event before it; only version 3 ends
    with an exit status.
    """
    look, kind = _look(), "xterm-256color"
    size: dict[str, object] = {"term": {"cols": width, "rows": rows, "type": kind, "theme": look}}
    if version == 2:
        size = {"width": width, "height": rows, "env": {"TERM": kind}, "theme": look}
    header = {"version": version, **size, "timestamp": int(started_at), "title": title}
    lines = [json_text(header, indent=None)]
    before = 0
    for one in written:
        # In whole microseconds, so that what is rounded away does not add up over a talk.
        now = max(before, round(one.at * 1_000_000))
        when = (now - before if version == 3 else now) / 1_000_000
        before = now
        # A terminal in raw mode goes down at a newline, and not back to the left.
        data = one.data.replace("\r\n", "\n").replace("\n", "\r\n") if one.code == "o" else one.data
        lines.append(json_text([when, one.code, data], indent=None))
    if version == 3:
        lines.append(json_text([0.0, "x", "0"], indent=None))
    return "\n".join(lines) + "\n"


def _look() -> dict[str, str]:
    """The colours of the theme, in the order of a terminal's palette: a verdict has one, the rest are plain text."""
    colours = theme.current().colours
    text, quiet = colours["none"], colours["quiet"]
    named = (quiet, colours["refused"], colours["allowed"], colours["waiting"], text, colours["unverified"], text, text)
    return {"fg": text, "bg": theme.current().background, "palette": ":".join(named * 2)}


def played(take: Take, beats: Collection[str], *, width: int, rows: int) -> list[Written]:
    """What a terminal of this size gets when beats of a recording are played with their timing."""
    paper = _Paper(width, rows)
    written: list[Written] = []
    now = 0.0
    for beat, events in take.beats().items():
        if beat not in beats:
            continue
        now += LEAST_SEEN if written else 0.0
        written.append(Written(now, "m", header_of(events[0]).title))
        for wait, _, event in paced(events):
            now += wait
            perform(event, paper, recorded=False)
            if text := paper.drain():
                written.append(Written(now, "o", text))
    return [*written, Written(now + LEAST_SEEN, "o", "")]


class _Paper(Stage):
    """A stage whose terminal is a text, and whose presenter goes on at once."""

    def __init__(self, width: int, rows: int) -> None:
        self._text = io.StringIO()
        console = Console(
            file=self._text, width=width, height=rows, force_terminal=True, color_system="truecolor",
            legacy_windows=False, highlight=False, markup=False, emoji=False, _environ={"TERM": "xterm-256color"},
        )  # fmt: skip
        super().__init__(console, pace="stage", person=True)

    def drain(self) -> str:
        """What was written since the last time."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text

    def _await_go(self, text: str, seconds: float) -> None:
        return None
