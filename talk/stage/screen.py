"""The screen of a talk: what is drawn, how fast, and when it waits for the presenter."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from demo import panels
from demo.evidence.screen import BeatHeader
from talk.stage.keys import Keys, listening

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from deputize.evidence import Exchange
    from talk.recording.writer import Recording
    from talk.results import StepResult

Pace = Literal["stage", "brisk", "none"]
Consent = Literal["asked", "yes", "no", "unanswered", "other"]
"""What became of a consent: nobody has answered yet; the human said yes or no; nobody did; somebody else said yes."""
Recovery = Literal["again", "recorded", "skip", "stop"]
"""How the talk goes on after a live step failed: the step again, the beat's recorded take, without the beat, or not."""
CHOICES: Mapping[str, Recovery] = {"r": "again", "t": "recorded", "s": "skip"}
"""The keys by which the presenter chooses that."""
Fallback = Literal["ask", "recorded", "skip", "stop"]
"""Who chooses a recovery: the presenter; or, where nobody presses a key in time, one of the others."""
Human = TypeVar("Human")
"""`talk.stage.prompts.Human`, or one of its kinds."""
BRISK_SECONDS = 1.5
_HEADER_ROWS = 2
WHOLE = ("device", "browser", "link")
"""Panels to act on at once: cut shorter, they would lose their QR code or address."""
UNATTENDED_SECONDS = 8.0
"""How long a person has to answer a consent at a pace that waits for nobody, before the sample human does."""
RECOVERY_SECONDS = 90.0
"""How long the presenter has to choose how the talk goes on after a live step failed."""
FALLBACK_SECONDS = 15.0
"""The same where --fallback has chosen already."""
READ_WORDS_A_MINUTE = 200
"""At which people read a text that they have not seen before."""
READING_SECONDS = 900.0
"""How long a pause of the script waits for the presenter before the talk goes on by itself: a question may take a
while, and nobody waits for longer than the whole talk."""


def shortened(name: str, renderable: RenderableType, height: int, *, recorded: bool = False) -> RenderableType:
    """A panel as short as a screen of `height` rows needs it: with room for the header above it, and below it for the
    sentence to say aloud and the prompt. What was recorded is always below its header, which says so."""
    if (name in WHOLE and not recorded) or not hasattr(renderable, "within"):
        return renderable
    short: RenderableType = renderable.within(max(10, height - (5 if name in WHOLE else 6)))
    return short


class Stage:
    """Draws on a Rich console, and records what is seen. A subclass draws elsewhere: it overrides the hooks, whose
    names begin with an underscore.

    Args:
        person: whether somebody watches who can press keys.
        plain: no colour, nothing drawn over.
        quiet: no panels; notes about the performance itself are still shown.
        wire: every HTTP exchange of a step is drawn, too.
        patience: seconds after which the sample human answers in the place of a person who does nothing; None: never.
        recording: where what is seen is written; None for nowhere.
        fallback: how the talk goes on after a live step failed, where nobody chooses.
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
        recording: Recording | None = None,
        fallback: Fallback = "ask",
    ) -> None:
        self.console = console
        self.pace = pace
        self.person = person
        self.plain = plain or console.is_dumb_terminal  # Emacs' shell, say: it obeys no escape sequence
        self.quiet = quiet
        self.wire = wire
        self.patience = patience
        self.recording = recording
        self.fallback = fallback
        self.takes = False
        """Whether the beat on stage has a recorded take."""
        self._rows = 0
        self._header: BeatHeader | None = None
        self._step = ""
        self._status = ""
        self._waited_for = ""
        self._looked = False
        """Whether the room has looked at what is on the screen: what comes next begins one of its own."""

    @property
    def draws_over(self) -> bool:
        """Whether the status line is drawn over by the next one; else only the first of several is written."""
        return self.console.is_terminal and not self.plain

    def header(self, header: BeatHeader, *, recorded: bool = False) -> None:
        """Begin a beat's screen.

        Args:
            recorded: whether it is a take of another performance.
        """
        self._header = header = replace(header, recorded=recorded or header.recorded)
        self._record("beat", header=header, recorded=header.recorded)
        if self.quiet:
            return
        self._new_screen()

    def begin_step(self, step: str, do: str, title: str) -> None:
        """A step begins: say what is being done, until something is drawn."""
        self._step = step
        self._record("step", id=step, do=do, title=title)
        if self.console.is_terminal:
            # The id of a step is its author's word for it, and says what will come of it: it is not for the room.
            self.status(f"{title or 'One moment'} ...")

    def show(self, name: str, renderable: RenderableType) -> None:
        """Draw one panel."""
        if self.recording is not None:
            self.recording.panel(name, self._step, renderable)
        if not self.quiet:
            self.clear_status()
            self._draw_panel(name, renderable)
            if self.pace == "brisk":
                self._breathe(BRISK_SECONDS)

    def look(self, text: str = "Enter goes on") -> None:
        """The script's pause: the room stops to look at what is on the screen, until the presenter goes on."""
        self._record("pause", text=text)
        if self.pace == "stage" and self.person and not self.quiet:
            self._await_go(text, READING_SECONDS)
        elif self.pace == "brisk" and not self.quiet:
            self._breathe(BRISK_SECONDS)
        self._looked = True
        self._record("go")

    def narrate(self, words: str) -> None:
        """What a speaker would say now, for somebody who watches alone: until it is read, at the pace that waits for
        nobody, and then gone."""
        if self.quiet or not words:
            return
        self._draw(panels.notes(words))
        if self.pace == "stage" and self.person:
            self._await_go("Enter goes on", READING_SECONDS)
        elif self.pace == "brisk":
            self.let_pass(60 * len(words.split()) / READ_WORDS_A_MINUTE, "Enter goes on")
        if self.person:
            self._new_screen()

    def closing(self, sentence: str) -> None:
        """The one sentence to say aloud."""
        self._record("closing", text=sentence)
        if not self.quiet:
            self.clear_status()
            self._draw(panels.closing(sentence))

    def note(self, text: str) -> None:
        """A line about the performance itself, never evidence."""
        from demo.panels.values import safe

        text = safe(text, self.console.encoding)  # what a server said may be part of it
        self._record("note", text=text)
        self.clear_status()
        self._write_note(text)

    def exchanged(self, exchanges: Sequence[Exchange]) -> None:
        """What a step sent and received. Nothing is drawn; `wire` does."""

    def notice(self, text: str) -> None:
        """What the presenter should know of this machine, and the room need not."""
        self.note(text)

    def result(self, result: StepResult) -> None:
        """A step ended. Nothing is drawn."""
        decision = result.decision or {}
        self._record(
            "result",
            step=result.id,
            ok=result.ok,
            skipped=result.skipped,
            error=result.error,
            outcome=result.outcome,
            status=result.http_status,
            **{name: decision.get(name) for name in ("verdict", "gate", "rule", "order_id", "username", "agent")},
        )

    def end(self, beat: str, *, ok: bool, skipped: str | None) -> None:
        """The beat ended. Nothing is drawn."""
        self._record("end", beat=beat, ok=ok, skipped=skipped)
        if self.recording is not None and self.recording.trouble is not None:
            why, self.recording = self.recording.trouble, None
            self.note(f"this run is no longer recorded: {why}")

    def consent(self, state: Consent, *, human: str = "", agent: str = "", amount: str = "") -> None:
        """What became of a consent that somebody was asked for on stage. Nothing is drawn."""
        self._record("consent", state=state, human=human, agent=agent, amount=amount)

    def recover(self, trouble: str) -> Recovery:
        """A live step failed: say so in one line, and have the presenter choose how it goes on.

        Returns:
            What was chosen; "stop" where nobody can.
        """
        self._record("trouble", text=trouble)
        how = self._choose_recovery(trouble)
        self._record("recovery", how=how)
        return how

    def waiting(self, what: str, left: float) -> None:
        """Say what is awaited, and for how long at most, on one line that is drawn over."""
        if what != self._waited_for:
            self._waited_for = what
            self._record("waiting", what=what, left=round(left, 1))
        self.status(f"waiting for {what} ({left:.0f} s at most)")

    def status(self, text: str) -> None:
        """A line that is drawn over by the next one, and gone before anything else is drawn."""
        if text != self._status:
            fresh, self._status = not self._status, text
            self._write_status(text, fresh=fresh)

    def clear_status(self) -> None:
        """Take the status line away, so that what comes next begins a line of its own."""
        if self._status:
            self._erase_status()
        self._status = ""

    def pause(self, text: str = "Enter for the next beat") -> None:
        """Between two beats: wait as the pace says."""
        self.clear_status()
        if self.pace == "stage" and self.person:
            self._await_go(text, READING_SECONDS)
        elif self.pace == "brisk":
            self._breathe(BRISK_SECONDS)

    def let_pass(self, seconds: float, text: str = "") -> None:
        """Let recorded time pass, `text` on the status line. A person may go on at once, and a pipe does."""
        if self.person:
            self._await_go(text, seconds)
        else:
            self._breathe(seconds)

    def answered_by(self, human: Human | None, *, ask: bool) -> tuple[Human | None, bool]:
        """Who answers a login: the sample human, if there is one, and whether the person at the terminal is asked.

        Args:
            human: the sample human; None at another server, where only somebody in a browser can answer.
            ask: whether a person is to be asked, if one is there.
        """
        return human, ask and self.person

    def keys(self) -> AbstractContextManager[Keys]:
        """While it lasts, the keys that are pressed can be asked for, and are echoed nowhere."""
        return listening()

    def _record(self, event: str, **fields: Any) -> None:
        if self.recording is not None:
            self.recording.add(event, **fields)

    def _choose_recovery(self, trouble: str) -> Recovery:
        """Ask the presenter, in one line and with a key each, and wait so long for an answer."""
        unasked: Recovery = "stop" if self.fallback == "ask" else self.fallback
        if not self.person or self.fallback == "stop":
            return unasked
        self._write_trouble(trouble)
        keys = {key: how for key, how in CHOICES.items() if self.takes or how != "recorded"}
        labels = {"r": "r try again", "t": "t recorded take", "s": "s skip the beat"}
        by_itself = {"stop": "ends here", "recorded": "the take", "skip": "skips it"}[unasked]
        seconds = RECOVERY_SECONDS if unasked == "stop" else FALLBACK_SECONDS
        choices = " · ".join(labels[key] for key in keys)
        whole = f"{choices}   (else {by_itself} after {seconds:.0f} s)"
        deadline = time.monotonic() + seconds
        with self.keys() as pressed:
            self.status(whole if len(whole) < self.console.width else choices)
            while (left := deadline - time.monotonic()) > 0:
                for key in pressed.pressed(min(0.25, left)):
                    if key.kind == "text" and (how := keys.get(key.text.lower())) is not None:
                        self.clear_status()
                        return how
        self.clear_status()
        return unasked

    def _write_trouble(self, trouble: str) -> None:
        from demo.panels.theme import glyphs
        from demo.panels.values import safe

        self.clear_status()
        encoding = self.console.encoding
        text = f"{glyphs(encoding).refused} {safe(trouble, encoding)}"
        self.console.print(text, style="bold", highlight=False, markup=False)
        self._rows += 1 + len(text) // max(1, self.console.width)

    def _draw_panel(self, name: str, renderable: RenderableType) -> None:
        from demo.panels.fit import measure

        recorded = self._header is not None and self._header.recorded
        whole = name in WHOLE and not recorded
        if self.person:
            renderable = shortened(name, renderable, self.console.height, recorded=recorded)
        rows = measure(renderable, self.console.width, self.console.height)[1]
        over = self._looked or self._rows + rows + 2 > self.console.height
        if self.person and self.pace != "none" and over and self._rows:
            if self.wire and self._rows > _HEADER_ROWS and self.pace == "stage":
                self._await_go("Enter for more", READING_SECONDS)  # of the wire the script does not know how much comes
            self._new_screen(headed=not whole or rows + 5 <= self.console.height)
        self._draw(renderable)

    def _new_screen(self, *, headed: bool = True) -> None:
        """Go on to an empty screen, with the beat's header where the next panel leaves room for it."""
        if self.person and not self.plain:
            self.console.clear()
        self._looked = False
        self._rows = 0
        if self._header is not None and headed:
            self._draw(panels.header(self._header))

    def _await_go(self, text: str, seconds: float) -> None:
        """Wait until the presenter goes on, for so long at most."""
        deadline = time.monotonic() + seconds
        with self.keys() as keys:
            self.status(text)  # only now: a key that answers it is heard
            while (left := deadline - time.monotonic()) > 0:
                if any(key.goes_on or key.text == " " for key in keys.pressed(min(0.25, left))):
                    break
        self.clear_status()

    def _write_note(self, text: str) -> None:
        from demo.panels.theme import style

        self.console.print(text, style=style("quiet"), highlight=False, markup=False)
        self._rows += 1 + len(text) // max(1, self.console.width)

    def _write_status(self, text: str, *, fresh: bool) -> None:
        """Show a status line; `fresh` where none stands there."""
        if self.draws_over:
            from demo.panels.theme import glyphs
            from demo.panels.values import safe, shorten

            encoding = self.console.encoding
            ellipsis = glyphs(encoding).ellipsis
            shown = shorten(safe(text, encoding), self.console.width - 1, ellipsis=ellipsis)
            self._over_the_line(shown)
        elif fresh and not self.quiet:
            self.console.print(text, highlight=False, markup=False)

    def _erase_status(self) -> None:
        if self.draws_over:
            self._over_the_line("")

    def _over_the_line(self, text: str) -> None:
        """Write over the line that the cursor is on; in the theme's colours, to its end, where they are not the
        terminal's own."""
        from demo.panels.theme import base
        from demo.panels.values import pad

        self.console.file.write("\r\x1b[2K")
        if base():
            # Also a stage that draws nowhere says what it waits for.
            quiet, self.console.quiet = self.console.quiet, False
            self.console.print(pad(text, self.console.width), end="", highlight=False, markup=False)
            self.console.quiet = quiet
            self.console.file.write("\r")
        else:
            self.console.file.write(text)
        self.console.file.flush()

    def _breathe(self, seconds: float) -> None:
        if self.console.is_terminal:
            time.sleep(seconds)

    def _draw(self, renderable: RenderableType) -> None:
        from demo.panels.fit import measure

        self.clear_status()
        self._rows += measure(renderable, self.console.width, self.console.height)[1]
        self.console.print(renderable)


class AsideStage(Stage):
    """Plays something nobody needs to see: panels are not drawn, notes are, and the sample human answers."""

    def __init__(self, front: Stage) -> None:
        super().__init__(front.console, pace="none", person=False, plain=front.plain, quiet=front.quiet)
        self._front = front

    def status(self, text: str) -> None:
        self._front.status(text)  # one screen has one status line

    def clear_status(self) -> None:
        self._front.clear_status()

    def _write_note(self, text: str) -> None:
        self._front._write_note(text)

    def header(self, header: BeatHeader, *, recorded: bool = False) -> None:
        return None

    def look(self, text: str = "") -> None:
        return None

    def show(self, name: str, renderable: RenderableType) -> None:
        return None

    def closing(self, sentence: str) -> None:
        return None
