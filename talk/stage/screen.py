"""The screen of a talk: what is drawn, how fast, and when it waits for the presenter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeVar

from demo import panels
from demo.evidence import BeatHeader
from talk.stage.keys import listening

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Pace = Literal["stage", "brisk", "none"]
Human = TypeVar("Human")
"""`talk.stage.prompts.Human`, or one of its kinds."""
BRISK_SECONDS = 1.5
_HEADER_ROWS = 2
_WHOLE = ("device", "browser", "link")
"""Panels to act on at once: cut shorter, they would lose their QR code or address."""
UNATTENDED_SECONDS = 8.0
"""How long a person has to answer a consent at a pace that waits for nobody, before the sample human does."""
READING_SECONDS = 90.0
"""How long a full screen waits for Enter before it goes on by itself."""


class Stage:
    """Draws on a Rich console.

    Args:
        person: whether somebody watches who can press keys.
        plain: no colour, nothing drawn over.
        quiet: no panels; notes about the performance itself are still shown.
        wire: every HTTP exchange of a step is drawn, too.
        patience: seconds after which the sample human answers in the place of a person who does nothing; None: never.
    """

    def __init__(
        self,
        console: Console,
        *,
        pace: Pace = "none",
        person: bool = False,
        plain: bool = False,
        quiet: bool = False,
        wire: bool = False,
        patience: float | None = None,
    ) -> None:
        self.console = console
        self.pace = pace
        self.person = person
        self.plain = plain or console.is_dumb_terminal  # Emacs' shell, say: it obeys no escape sequence
        self.quiet = quiet
        self.wire = wire
        self.patience = patience
        self._rows = 0
        self._header: BeatHeader | None = None
        self._status = ""

    def header(self, header: BeatHeader) -> None:
        """Begin a beat's screen."""
        self._header = header
        if self.quiet:
            return
        if self.person and not self.plain:
            self.console.clear()
        self._rows = 0
        self._draw(panels.header(header))

    def show(self, name: str, renderable: RenderableType) -> None:
        """Draw one panel; a full screen waits for Enter first, so that nothing scrolls away unread."""
        if self.quiet:
            return
        from demo.panels.fit import measure

        self.clear_status()
        if self.person and name not in _WHOLE and hasattr(renderable, "within"):
            # Room for the header above it, and below it for the sentence to say aloud and the prompt.
            renderable = renderable.within(max(10, self.console.height - 6))
        rows = measure(renderable, self.console.width, self.console.height)[1]
        if self.person and self.pace != "none" and self._rows + rows + 2 > self.console.height and self._rows:
            self._turn_page(whole=name in _WHOLE and rows + 5 > self.console.height)
        self._draw(renderable)
        if self.pace == "brisk":
            self._breathe(BRISK_SECONDS)

    def closing(self, sentence: str) -> None:
        """The one sentence to say aloud."""
        self.clear_status()
        if not self.quiet:
            self._draw(panels.closing(sentence))

    def note(self, text: str) -> None:
        """A line about the performance itself, never evidence."""
        self.clear_status()
        self.console.print(text, style="dim", highlight=False, markup=False)
        self._rows += 1 + len(text) // max(1, self.console.width)

    def waiting(self, what: str, left: float) -> None:
        """Say what is awaited, and for how long at most, on one line that is drawn over."""
        self.status(f"waiting for {what} ({left:.0f} s at most)")

    def working(self, on: str) -> None:
        """Say what is being done, until something is drawn."""
        if self.console.is_terminal:
            self.status(f"{on} ...")

    def status(self, text: str) -> None:
        """A line that is drawn over by the next one, and gone before anything else is drawn."""
        if text == self._status:
            return
        fresh, self._status = not self._status, text
        if self.console.is_terminal and not self.plain:
            from demo.panels.theme import glyphs
            from demo.panels.values import safe, shorten

            encoding = self.console.encoding
            ellipsis = glyphs(encoding).ellipsis
            shown = shorten(safe(text, encoding), self.console.width - 1, ellipsis=ellipsis)
            self.console.file.write(f"\r\x1b[2K{shown}")
            self.console.file.flush()
        elif fresh and not self.quiet:
            self.console.print(text, highlight=False, markup=False)

    def pause(self, text: str = "Enter for the next beat") -> None:
        """Between two beats: wait as the pace says."""
        self.clear_status()
        if self.pace == "stage" and self.person:
            self._await_enter(text)
        elif self.pace == "brisk":
            self._breathe(BRISK_SECONDS)

    def answered_by(self, human: Human | None, *, ask: bool) -> tuple[Human | None, bool]:
        """Who answers a login: the sample human, if there is one, and whether the person at the terminal is asked.

        Args:
            human: the sample human; None at another server, where only somebody in a browser can answer.
            ask: whether a person is to be asked, if one is there.
        """
        return human, ask and self.person

    def _turn_page(self, *, whole: bool) -> None:
        """Go on to an empty screen, with the beat's header where the next panel leaves room for it."""
        if self._rows > _HEADER_ROWS:
            if self.pace == "stage":
                self._await_enter("Enter for more")
            else:
                self._breathe(BRISK_SECONDS)
        if not self.plain:
            self.console.clear()
        self._rows = 0
        if self._header is not None and not whole:
            self._draw(panels.header(self._header))

    def _await_enter(self, text: str) -> None:
        deadline = time.monotonic() + READING_SECONDS
        with listening() as keys:
            while (left := deadline - time.monotonic()) > 0:
                self.status(f"{text} (goes on by itself in {left:.0f} s)")
                if any(key.goes_on or key.text == " " for key in keys.pressed(0.25)):
                    break
        self.clear_status()

    def _breathe(self, seconds: float) -> None:
        if self.console.is_terminal:
            time.sleep(seconds)

    def _draw(self, renderable: RenderableType) -> None:
        from demo.panels.fit import measure

        self.clear_status()
        self._rows += measure(renderable, self.console.width, self.console.height)[1]
        self.console.print(renderable)

    def clear_status(self) -> None:
        """Take the status line away, so that what comes next begins a line of its own."""
        if self._status and self.console.is_terminal and not self.plain:
            self.console.file.write("\r\x1b[2K")
            self.console.file.flush()
        self._status = ""


class MeasuringStage(Stage):
    """Draws to nowhere and remembers which panel would not fit a screen of the given sizes."""

    def __init__(self, console: Console, sizes: tuple[tuple[int, int], ...]) -> None:
        super().__init__(console)
        self.sizes = sizes
        self.drawn = 0
        self.overflows: list[str] = []
        self._beat = ""

    def header(self, header: BeatHeader) -> None:
        self._beat = header.id
        self._check("header", panels.header(header))

    def show(self, name: str, renderable: RenderableType) -> None:
        self._check(name, renderable)

    def closing(self, sentence: str) -> None:
        self._check("closing", panels.closing(sentence))

    def _check(self, name: str, renderable: RenderableType) -> None:
        from demo.panels.fit import overflow

        self.drawn += 1
        for width, height in self.sizes:
            # Two rows for the header above it, one for the prompt below.
            if (why := overflow(renderable, width, height - 3)) is not None:
                self.overflows.append(f"beat {self._beat}, panel {name}, at {width}x{height}: {why}")


class AsideStage(Stage):
    """Plays something nobody needs to see: panels are not drawn, notes are, and the sample human answers."""

    def __init__(self, front: Stage) -> None:
        super().__init__(front.console, pace="none", person=False, plain=front.plain, quiet=front.quiet)
        self._front = front

    def status(self, text: str) -> None:
        self._front.status(text)  # one screen has one status line

    def clear_status(self) -> None:
        self._front.clear_status()

    def header(self, header: BeatHeader) -> None:
        return None

    def show(self, name: str, renderable: RenderableType) -> None:
        return None

    def closing(self, sentence: str) -> None:
        return None
