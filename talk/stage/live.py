"""The stage of a full-screen session: it keeps what is to be seen as a sheet, which the screen draws at any size."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo.evidence.screen import BeatHeader
from talk.stage.control import Control
from talk.stage.screen import CHOICES, FALLBACK_SECONDS, READING_SECONDS, Fallback, Recovery, Stage
from talk.stage.sheet import ASKS, Sheet

if TYPE_CHECKING:
    from rich.console import RenderableType

    from deputize.evidence import Exchange
    from talk.recording.writer import Recording
    from talk.stage.keys import Keys

KEYS_FOR = {"demo next": "space", "demo again": "r", "demo goto": "g"}
"""What is pressed here where a note says what to type."""
_GAUGE_STEPS = 24


class LiveStage(Stage):
    """Draws nothing: it makes the next `Sheet` and says that there is one.

    Args:
        control: where the presenter's wishes come from.
        changed: called from the talk's thread whenever `sheet` is another; it must return at once.
    """

    def __init__(
        self,
        control: Control,
        changed: Callable[[], None],
        *,
        wire: bool = False,
        fallback: Fallback = "ask",
        recording: Recording | None = None,
    ) -> None:
        from rich.console import Console

        nowhere = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, _environ={})
        super().__init__(nowhere, pace="stage", person=True, wire=wire, recording=recording, fallback=fallback)
        self.control = control
        self.sheet = Sheet()
        self.exchanges: tuple[Exchange, ...] = ()
        """Those of the last step that had any."""
        self.notices: list[str] = []
        """What is said once the terminal is the presenter's again."""
        self.trouble = ""
        """What failed, while the presenter is asked what to do about it."""
        self.played: frozenset[str] = frozenset()
        """The beats played to their end."""
        self.headed: Callable[[], None] | None = None
        """Called once a beat's title is on the screen, before anything is done for it."""
        self._changed = changed
        self._opened = False
        self._fresh = True
        self._whole_wait = ("", 0.0)

    def header(self, header: BeatHeader, *, recorded: bool = False) -> None:
        self.opened()
        super().header(header, recorded=recorded)
        if self.headed is not None:
            self.headed()

    def opened(self) -> None:
        """Say that the session is open, once there is a run, and a recording of it."""
        if not self._opened:
            self._opened = True
            self.say(state="open")

    def begin_step(self, step: str, do: str, title: str) -> None:
        self.control.check()
        super().begin_step(step, do, title)

    def exchanged(self, exchanges: Sequence[Exchange]) -> None:
        if exchanges:
            self.exchanges = tuple(exchanges)

    def waiting(self, what: str, left: float) -> None:
        """Say what is awaited, without the seconds: nothing that counts distracts the room. A line fills instead."""
        self.control.check()
        if what != self._waited_for:
            self._waited_for = what
            self._record("waiting", what=what, left=round(left, 1))
        if self._whole_wait[0] != what or left > self._whole_wait[1]:
            self._whole_wait = (what, left)
        whole = self._whole_wait[1]
        share = round(_GAUGE_STEPS * (1 - left / whole)) / _GAUGE_STEPS if whole > 0 else 1.0
        self.status(f"waiting for {what}")
        self._put(share=share)

    def closing(self, sentence: str) -> None:
        self._record("closing", text=sentence)
        self.clear_status()
        self._put(closing=sentence)

    def keys(self) -> AbstractContextManager[Keys]:
        return self.control.keys()

    def say(self, **about: Any) -> None:
        """The session's own state, for who follows it."""
        self._record("stage", **about)

    def between(self) -> None:
        """Show that the presenter is awaited between two beats. What they play then begins a screen of its own."""
        self._fresh = True
        self._put(awaits=True, status="", share=None)

    def front(self, page: RenderableType) -> None:
        """What stands on the screen before the first beat: no evidence, and not recorded."""
        self._put(header=None, panels=(("front", page),), closing="", notes=())

    def _put(self, **changes: Any) -> None:
        made = replace(self.sheet, **changes)
        if made != self.sheet:
            self.sheet = made
            self._changed()

    def _new_screen(self, *, headed: bool = True) -> None:
        self._fresh = False
        self._put(header=self._header, panels=(), closing="", notes=(), status="", share=None, awaits=False)

    def _draw_panel(self, name: str, renderable: RenderableType) -> None:
        if name == "exchange" and self.wire and self.sheet.panels and not self._fresh:
            self._await_go("", READING_SECONDS)  # of the wire the script does not know how much comes
        # After a pause what comes next begins a screen of its own. A note is about what stood there when it was made.
        before = () if self._fresh else tuple(one for one in self.sheet.panels if one[0] not in ASKS)
        self._fresh = False
        self._put(panels=(*before, (name, renderable)), notes=())

    def _draw(self, renderable: RenderableType) -> None:
        self._draw_panel("", renderable)

    def _await_go(self, text: str, seconds: float) -> None:
        self._put(awaits=True, status="", share=None)
        try:
            self.control.await_go(seconds)
        finally:
            self._fresh = True
            self._put(awaits=False)

    def _choose_recovery(self, trouble: str) -> Recovery:
        otherwise: Recovery = "stop" if self.fallback == "ask" else self.fallback
        wait = READING_SECONDS if otherwise == "stop" else FALLBACK_SECONDS
        self.trouble = trouble
        self._changed()
        try:
            choice = self.control.await_choice(wait)
        finally:
            self.trouble = ""
            self._changed()
        return CHOICES.get(choice, otherwise)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def _write_note(self, text: str) -> None:
        for command, key in KEYS_FOR.items():
            text = text.replace(command, key)
        others = (note for note in self.sheet.notes if note != text)  # said twice it would take rows from what is shown
        self._put(notes=(*others, text))

    def _write_status(self, text: str, *, fresh: bool) -> None:
        self._put(status=text, share=None)

    def _erase_status(self) -> None:
        self._put(status="", share=None)
