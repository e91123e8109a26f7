"""The full-screen session: a Textual application that draws the sheet of a `LiveStage` and hears the presenter."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, get_args

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

from demo.panels import theme
from talk.recording.remote import Command, RemoteControl
from talk.stage import overlays
from talk.stage.control import Order, Presses
from talk.stage.keys import Key
from talk.stage.live import LiveStage
from talk.stage.sheet import Sheet, Size, paint

_PLAIN = Style()
REMOTE_SECONDS = 0.1
"""How often it looks whether a second screen asks for something."""
GO = frozenset({"space", "enter", "right", "down", "pagedown"})
BACK = frozenset({"left", "up", "pageup", "b"})
ANSWERS: Mapping[str, Key] = {
    **{key: Key("forward") for key in GO},
    "enter": Key("enter"),
    **{letter: Key("text", letter) for letter in "yndb"},
}
"""The keys that are handed on at a consent, which decides what each means there (`talk.stage.prompts`)."""
KEYS: Mapping[str, tuple[str, str]] = {
    "g": ("go to a beat", "pick"),
    "r": ("play this beat again; nothing is bought twice", "again"),
    "n": ("notes of this beat", "notes"),
    "w": ("wire: the HTTP exchanges of the last step", "wire"),
    "t": ("token: what the agent holds, verified now", "token"),
    "a": ("the audience's page: its address, to scan", "audience"),
    "full_stop": ("black screen, and back", "blank"),
    "plus": ("larger: one panel at a time", "larger"),
    "equals_sign": ("", "larger"),
    "minus": ("smaller: all panels since the last pause", "smaller"),
    "colon": ("a demo command: orders, audit, revoke, quit, ...", "command"),
    "exclamation_mark": ("a shell, and back", "shell"),
    "question_mark": ("these keys", "help"),
}
"""The presenter's keys beside going on and back: what the help says, and the method that does it."""


@dataclass(frozen=True)
class Listed:
    """One beat as the picker and the notes show it."""

    id: str
    title: str
    number: str
    notes: str


@dataclass(frozen=True)
class Session:
    """What the screen knows of the talk and of this machine.

    Args:
        state: the state folder, where the remote control writes.
        beats: the beats of the plan and its encores.
        command: how `demo` is started for a command a la carte, with the options that mean this run.
        environment: what a shell gets, so that `demo` means this run there, too.
        encoding: of the terminal.
        audience: gives the address of the page for the room, empty where none is served.
    """

    state: Path
    beats: tuple[Listed, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    audience: Callable[[], str] = str


class SheetView(Widget):
    """Draws the sheet, line by line."""

    DEFAULT_CSS = "SheetView { width: 1fr; height: 1fr; }"
    ALLOW_SELECT = False

    def __init__(self, stage: LiveStage, encoding: str) -> None:
        super().__init__()
        self._stage, self._encoding = stage, encoding
        self.scale: Size = 0
        self.blank = False
        self._lines: list[Strip] = []
        self._of: object = None

    def render_line(self, y: int) -> Strip:
        lines = self.drawn()
        return lines[y] if y < len(lines) else Strip.blank(self.size.width)

    def drawn(self) -> list[Strip]:
        """The lines as they are on the screen."""
        width, height = self.size
        of = (self._stage.sheet, width, height, self.scale, self.blank)
        if of != self._of:
            style = Style.parse("default on #000000" if self.blank else theme.base() or "none")
            drawn = [] if self.blank else self._paint(of[0], width, height)
            drawn += [[]] * (height - len(drawn))
            # Each segment with a style of its own: Textual looks into it where NO_COLOR is set.
            lines = [[Segment(part.text, style + (part.style or _PLAIN)) for part in line] for line in drawn]
            self._lines = [Strip(line).adjust_cell_length(width, style) for line in lines]
            self._of = of
        return self._lines

    def _paint(self, sheet: Sheet, width: int, height: int) -> list[list[Segment]]:
        try:
            return paint(sheet, width, height, size=self.scale, encoding=self._encoding)
        except Exception as error:  # whatever a panel stumbles over, the talk goes on
            bare = replace(sheet, panels=(), notes=(f"a panel cannot be drawn: {type(error).__name__}",))
            return paint(bare, width, height, size=self.scale, encoding=self._encoding)


class StageScreen(Screen[None]):
    """The screen that the audience sees."""

    def __init__(self, view: SheetView) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        yield self._view

    def on_key(self, event: events.Key) -> None:
        """Every key is looked at here, and nothing else is done with it."""
        event.stop()
        event.prevent_default()
        app = self.app
        assert isinstance(app, StageApp)
        app.pressed(event.key, event.time)

    def on_paste(self, event: events.Paste) -> None:
        """A paste is an address that a browser ended at, where one is awaited, and else nothing."""
        app = self.app
        assert isinstance(app, StageApp)
        app.stage.control.press(Key("paste", event.text))


class StageApp(App[None]):
    """The session.

    Args:
        stage: what the talk, in a thread of its own, puts on the screen.
        session: of which run.
        driver: how the terminal is read; Textual's own where none is given.
        began: called once the first screen is drawn.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = overlays.CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "ask_to_end", priority=True, show=False),
        Binding("ctrl+c", "ask_to_end", priority=True, show=False),
        Binding("ctrl+z", "suspend_process", priority=True, show=False),
    ]

    def __init__(
        self,
        stage: LiveStage,
        session: Session,
        *,
        driver: type[Driver] | None = None,
        began: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(driver_class=driver)
        self.stage, self.session = stage, session
        self.view = SheetView(stage, session.encoding)
        self._began = began
        self._presses = Presses()
        self._remote = RemoteControl(session.state)
        self.broke: Exception | None = None
        """What ended the session that should not have."""
        self._asking: overlays.Recovery | None = None
        self._dress()

    def _dress(self) -> None:
        """Wear the chosen theme; without one the terminal's own colours."""
        if not theme.base():
            self.theme = "ansi-dark"  # every colour of it is the terminal's
            return
        chosen = theme.current()
        self.register_theme(
            Theme(
                chosen.name,
                primary=chosen.text,
                foreground=chosen.text,
                background=chosen.background,
                surface=chosen.background,
                panel=chosen.background,
                dark=chosen.dark,
            )
        )
        self.theme = chosen.name

    def _handle_exception(self, error: Exception) -> None:
        self.broke = error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End where Textual would show the room a traceback; the command that started the session says what broke."""
        self._close_messages_no_wait()

    def get_default_screen(self) -> Screen[None]:
        """The audience's screen."""
        return StageScreen(self.view)

    def on_mount(self) -> None:
        """Begin to follow the talk and the remote control."""
        self.set_interval(REMOTE_SECONDS, self._read_remote)
        self.app_resume_signal.subscribe(self, lambda _: self.screen.refresh(layout=True))  # after Ctrl-Z and fg
        self.changed()
        if self._began is not None:
            self.call_after_refresh(self._began)

    # From the talk's thread.

    def redraw(self) -> None:
        """There is another sheet. Called from any thread, and returns at once."""
        with contextlib.suppress(RuntimeError):  # the session has ended
            self.call_later(self.changed)

    def ended(self) -> None:
        """The talk has ended. Called from any thread."""
        with contextlib.suppress(RuntimeError):
            self.call_later(self.end)

    def changed(self) -> None:
        """Draw the sheet again, and ask what the talk wants to know."""
        self.view.refresh()
        if self.stage.trouble and self._asking is None:
            self._asking = overlays.Recovery(self.stage.trouble, takes=self.stage.takes, unasked=self.stage.fallback)
            self.push_screen(self._asking, self._recovered)
        elif not self.stage.trouble and self._asking is not None:
            self._asking.leave()  # somebody else, or time, has decided

    def _recovered(self, key: str | None) -> None:
        self._asking = None
        if key is not None:
            self.stage.control.choose(key)

    # The presenter.

    def pressed(self, key: str, at: float) -> None:
        """A key was pressed at `at` (Textual's clock)."""
        control = self.stage.control
        counts = key not in GO or self._presses.counts(at)
        if self.view.blank and key in GO:
            self.set_blank(False)
        elif control.awaited == "keys" and (key := key.removeprefix("upper_")) in ANSWERS:
            if counts:
                control.press(ANSWERS[key])
        elif key in GO:
            if counts:
                control.go()
        elif key in BACK:
            control.request(Order("back"))
        elif key in KEYS:
            getattr(self, f"do_{KEYS[key][1]}")()

    def set_blank(self, blank: bool) -> None:
        """Make the screen black, or show it again."""
        self.view.blank = blank
        self.view.refresh()
        self.stage.say(state="blank" if blank else "shown")

    def do_blank(self) -> None:
        self.set_blank(not self.view.blank)

    def do_again(self) -> None:
        self.stage.control.request(Order("again"))

    def do_larger(self) -> None:
        self._scale(1)

    def do_smaller(self) -> None:
        self._scale(-1)

    def _scale(self, by: int) -> None:
        sizes = get_args(Size)
        self.view.scale = sizes[max(0, min(2, sizes.index(self.view.scale) + by))]
        self.view.refresh()

    def do_pick(self) -> None:
        header = self.stage.sheet.header
        rows = [(beat.id, beat.number, beat.title, beat.id in self.stage.played) for beat in self.session.beats]
        self.push_screen(
            overlays.Picker(rows, header.id if header else "", encoding=self.session.encoding), self._picked
        )

    def _picked(self, beat: str | None) -> None:
        if beat is not None:
            self.stage.control.request(Order("goto", beat))

    def do_notes(self) -> None:
        header = self.stage.sheet.header
        notes = next((beat.notes for beat in self.session.beats if header and beat.id == header.id), "")
        self.push_screen(overlays.Notes(notes))

    def do_wire(self) -> None:
        self.push_screen(overlays.Wire(self.stage.exchanges))

    def do_token(self) -> None:
        self.push_screen(overlays.Token(self.session))

    def do_audience(self) -> None:
        self.push_screen(overlays.Audience(self.session.audience()))

    def do_command(self) -> None:
        self.push_screen(overlays.CommandLine(self.session, self._obey))

    def do_help(self) -> None:
        self.push_screen(overlays.Help([(key, about) for key, (about, _) in KEYS.items() if about]))

    def do_shell(self) -> None:
        """A shell on the same screen; the talk waits where it is."""
        if self._driver is None or not self._driver.can_suspend:
            return
        shell = os.environ.get("SHELL" if sys.platform != "win32" else "COMSPEC") or "/bin/sh"
        with self.suspend():
            sys.stdout.write("A shell beside the talk; its end (exit) brings the stage back.\n")
            sys.stdout.flush()
            with contextlib.suppress(OSError):
                subprocess.run([shell], env=os.environ | self.session.environment, check=False)

    def _obey(self, line: str) -> bool:
        """Do what a command line means for the talk itself; whether it did."""
        name, _, rest = line.strip().partition(" ")
        if name in ("quit", "q", "exit"):
            self.end()
        elif name in ("next", "back", "again", "skip"):
            self.stage.control.request(Order(name))  # type: ignore[arg-type]  # mypy does not narrow to what is listed
        elif name == "goto" and rest.strip() in {beat.id for beat in self.session.beats}:
            self.stage.control.request(Order("goto", rest.strip()))
        else:
            return False
        return True

    def action_ask_to_end(self) -> None:
        """Ask whether the session shall end."""
        if not isinstance(self.screen, overlays.End):
            self.push_screen(overlays.End(), lambda ends: self.end() if ends else None)

    def end(self) -> None:
        """End the session; the run stays where it is."""
        self.exit()

    # The second screen.

    def _read_remote(self) -> None:
        for command in self._remote.new():
            self.commanded(command)

    def commanded(self, command: Command) -> None:
        """Do what the second screen asks."""
        if command.do == "blank":
            self.do_blank()
        elif command.do == "hold" or command.do == "resume":
            self.stage.say(state="hold" if command.do == "hold" else "resumed")
        elif command.do == "next":
            self.stage.control.go()
        elif command.do == "goto":
            if command.beat in {beat.id for beat in self.session.beats}:
                self.stage.control.request(Order("goto", command.beat or ""))
        else:
            self.stage.control.request(Order(command.do))
