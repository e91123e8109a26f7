"""A talk played to nowhere, to see what a room would see: does each panel fit the screen, is each looked at before it
goes, can be read what a beat wants seen, and do the words fit into the minutes?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo import panels
from demo.evidence.screen import BeatHeader
from talk.playing import KINDS
from talk.script.timing import too_long
from talk.stage.screen import Stage, shortened

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from talk.playing.kind import Step
    from talk.results import BeatResult, StepResult
    from talk.script import Beat, PlannedBeat

DESIGN_SIZE = (80, 24)
"""Columns and rows for which a talk is made: what must be seen is seen at this size."""
_HEADER_ROWS, _PROMPT_ROWS = 2, 1


class MeasuringStage(Stage):
    """Draws to nowhere and remembers what a room of the design size would not see.

    Args:
        sizes: columns and rows of the screens that each panel must fit.
        beats: the talk's, by id.
    """

    def __init__(self, console: Console, sizes: tuple[tuple[int, int], ...], beats: Mapping[str, Beat]) -> None:
        super().__init__(console)
        self.sizes, self.beats = sizes, beats
        self.drawn = 0
        self.overflows: list[str] = []
        """Panels that do not fit one of the sizes."""
        self.unseen: list[str] = []
        """What goes by unread, or cannot be read, at the design size."""
        self._beat = ""
        self._place = ""
        self._on_screen: list[tuple[str, bool]] = []
        """The panels on the screen, each with whether the room has had time to look at it."""
        self._used = 0
        self._read: list[str] = []
        self._at: Step | None = None
        self._skipped = False

    def header(self, header: BeatHeader, *, recorded: bool = False) -> None:
        self._beat, self._at, self._read = header.id, None, []
        self._clear()
        self._place = f"{header.id} ({header.number} of {header.of})" if header.of else header.id
        self._say_where()
        self._fits("header", panels.header(header))

    def begin_step(self, step: str, do: str, title: str) -> None:
        self._settle()
        self._at, self._read, self._skipped = self.beats[self._beat].step(step), [], False
        self._say_where()

    def show(self, name: str, renderable: RenderableType) -> None:
        from demo.panels.fit import drawn

        self._fits(name, renderable)
        width, height = DESIGN_SIZE
        lines = drawn(shortened(name, renderable, height), width, height)
        self._read += lines
        if self._looked or (self._used > _HEADER_ROWS and self._used + len(lines) + 2 > height):
            self._gone(f"the panel {name}")
        self._used += len(lines)
        # The step itself leaves the screen as it is while somebody answers, or a wait counts down.
        self._on_screen.append((name, self._at is not None and name in KINDS[self._at.do].holds))

    def look(self, text: str = "") -> None:
        self._on_screen = [(name, True) for name, _ in self._on_screen]
        self._looked = True

    def result(self, result: StepResult) -> None:
        self._skipped = result.skipped is not None

    def closing(self, sentence: str) -> None:
        self._fits("closing", panels.closing(sentence))
        from demo.panels.fit import measure

        rows = measure(panels.closing(sentence), *DESIGN_SIZE)[1]
        if self._used + rows + _PROMPT_ROWS > DESIGN_SIZE[1]:
            self._gone("the sentence at the end")

    def end(self, beat: str, *, ok: bool, skipped: str | None) -> None:
        self.clear_status()
        self._settle()
        self._at = None

    def _say_where(self) -> None:
        if self.draws_over:  # a plan takes half a minute, and the person who waits sees that it goes on
            self.status(f"playing {self._place}")

    def _settle(self) -> None:
        """A step's panels were shown: what it wants seen must be among them."""
        text = " ".join(" ".join(self._read).split())
        for wanted in self._at.see if self._at is not None and not self._skipped else ():
            if wanted not in text:
                width, height = DESIGN_SIZE
                where = f"beat {self._beat}, step {self._at.id if self._at else ''}"
                self.unseen.append(f"{where}: '{wanted}' cannot be read on its panels at {width}x{height}")

    def _gone(self, by: str) -> None:
        """The screen is emptied, or runs over, for the sake of what comes next."""
        width, height = DESIGN_SIZE
        self.unseen += [
            f"beat {self._beat}: the panel {name} is pushed off {width}x{height} by {by} before anybody looked at it: "
            f'add pause = ["{name}"]'
            for name, looked_at in self._on_screen
            if not looked_at
        ]
        self._clear()

    def _clear(self) -> None:
        self._on_screen, self._used, self._looked = [], _HEADER_ROWS, False

    def _fits(self, name: str, renderable: RenderableType) -> None:
        from demo.panels.fit import overflow

        self.drawn += 1
        for width, height in self.sizes:
            # Two rows for the header above it, one for the prompt below.
            if (why := overflow(renderable, width, height - _HEADER_ROWS - _PROMPT_ROWS)) is not None:
                self.overflows.append(f"beat {self._beat}, panel {name}, at {width}x{height}: {why}")


def overlong(planned: PlannedBeat, result: BeatResult) -> str | None:
    """Why a beat that was played does not fit into the minutes that its plan has for it."""
    why = too_long(planned, result.seconds)
    return f"beat {planned.id} {why}" if why is not None and planned.minutes else None
