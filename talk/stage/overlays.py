"""What lies over the audience's screen for a moment: picker, notes, wire, a command, and the two questions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from demo.panels.theme import glyphs
from talk.stage.control import UNREAD_SECONDS
from talk.stage.screen import FALLBACK_SECONDS

if TYPE_CHECKING:
    from deputize.evidence import Exchange
    from talk.stage.app import Session

Result = TypeVar("Result")
COMMAND_SECONDS = 60.0
"""How long a command a la carte may take."""
LONGEST = 64 * 1024
"""Bytes of its output that are kept."""
_CLOSING = "escape,space,enter,right,pagedown,q"

CSS = """
Screen, ModalScreen, VerticalScroll, Static, Input, OptionList, Input:focus, OptionList:focus {
    background: $background; color: $foreground; border: none; padding: 0;
}
Static, Input, Input:focus, OptionList, OptionList:focus { padding: 0 1; }
ModalScreen { padding: 1 1 0 1; }
Static.title { text-style: bold; height: auto; margin-bottom: 1; }
Static.hint { text-style: dim; height: 1; dock: bottom; }
VerticalScroll, OptionList { height: 1fr; scrollbar-size-vertical: 0; overflow-x: hidden; }
Input { height: 1; margin-bottom: 1; }
OptionList > .option-list--option-highlighted { background: $background; color: $foreground; text-style: reverse bold; }
End, Recovery { align: center middle; }
End Static, Recovery Static { width: 60; height: auto; }
"""


class Overlay(ModalScreen[Result]):
    """Something that lies over the talk until it is left."""

    _left = False

    def leave(self, result: Result | None = None) -> None:
        """Go back to the talk, once: keys may come faster than a screen goes."""
        if self.is_current and not self._left:
            self._left = True
            self.dismiss(result)


class Reading(Overlay[None]):
    """Something to read, which scrolls; any key that goes on closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(_CLOSING, "leave", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]
    heading = ""

    def compose(self) -> ComposeResult:
        yield Static(self.heading, classes="title")
        with VerticalScroll(can_focus=False):
            yield from self.body()
        yield Static("Up and Down scroll, space closes", classes="hint")

    @abstractmethod
    def body(self) -> Sequence[Static]:
        """What is to be read, top to bottom."""

    def action_leave(self) -> None:
        self.leave()

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)


class Notes(Reading):
    """The speaker's notes of the beat."""

    heading = "Notes"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "leave", show=False)]

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self._markdown = markdown

    def body(self) -> Sequence[Static]:
        from demo import panels

        return [Static(panels.notes(self._markdown or "This beat has no notes."))]


class Wire(Reading):
    """The HTTP exchanges of the last step, secrets masked as everywhere."""

    heading = "The wire: the last step's HTTP exchanges"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "leave", show=False)]

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        super().__init__()
        self._exchanges = exchanges

    def body(self) -> Sequence[Static]:
        from demo import panels

        if not self._exchanges:
            return [Static("Nothing went over the network yet.")]
        return [Static(panels.exchange(exchange).within(60)) for exchange in self._exchanges]


class Audience(Reading):
    """Where the room follows on its phones."""

    heading = "The room"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "leave", show=False)]

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def body(self) -> Sequence[Static]:
        from demo import panels
        from demo.evidence.screen import Link
        from deputize.net import is_loopback_url

        if not self._url:
            return [Static("No page is served for the room: demo stage --audience does it.")]
        if is_loopback_url(self._url):
            title = "Loopback: only this machine reaches it"
            return [Static(panels.statement(self._url, title=title))]
        return [Static(panels.link(Link("Be the human", self._url, "Follow the talk, and deputize an agent.")))]


class Help(Reading):
    """The keys."""

    heading = "Keys"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "leave", show=False)]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def body(self) -> Sequence[Static]:
        names = {
            "full_stop": ".", "plus": "+", "minus": "-", "colon": ":", "exclamation_mark": "!", "question_mark": "?"
        }  # fmt: skip
        rows = [
            ("space", "go on, after a pause or to the next beat (Right, PageDown)"),
            ("b", "back: play the beat before (Left, PageUp)"),
            *((names.get(key, key), about) for key, about in self._keys),
            ("Ctrl-Q", "end the session, when you say so; the run is kept"),
            ("", ""),
            ("y Enter", "at a consent: yes, as the sample human"),
            ("d n", "no"),
            ("b", "decide in the browser"),
        ]
        text = Text()
        for key, about in rows:
            text.append(f"{key:>9}", "bold").append(f"   {about}\n")
        return [Static(text)]


class Picker(Overlay[str]):
    """Choose a beat; typing narrows the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, beats: Sequence[tuple[str, str, str, bool]], here: str, *, encoding: str) -> None:
        super().__init__()
        self._beats, self._here, self._glyphs = beats, here, glyphs(encoding)

    def compose(self) -> ComposeResult:
        yield Static("Go to", classes="title")
        yield Input(placeholder="type to narrow the list")
        yield OptionList()
        yield Static("Up and Down choose, Enter plays it, Esc closes", classes="hint")

    def on_mount(self) -> None:
        self._narrow("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        listed = self.query_one(OptionList)
        listed.clear_options()
        words = typed.lower().split()
        found = [row for row in self._beats if all(word in f"{row[0]} {row[2]}".lower() for word in words)]
        for beat, number, title, played in found:
            mark = self._glyphs.head if beat == self._here else self._glyphs.allowed if played else " "
            text = Text.assemble(f"{mark} ", (f"{number:>5}  ", "dim"), title, (f"  {beat}", "dim"), no_wrap=True)
            listed.add_option(Option(text, id=beat))
        if found:
            ids = [row[0] for row in found]
            exact = typed.strip().lower()  # a beat's id may be a word of another one's title
            chosen = exact if exact in ids else self._here
            listed.highlighted = ids.index(chosen) if chosen in ids else 0

    def action_move(self, by: int) -> None:
        listed = self.query_one(OptionList)
        listed.action_cursor_down() if by > 0 else listed.action_cursor_up()

    def on_input_submitted(self) -> None:
        listed = self.query_one(OptionList)
        at = listed.highlighted
        self.leave(listed.get_option_at_index(at).id if at is not None else None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.leave(event.option.id)

    def action_leave(self) -> None:
        self.leave()


async def output_of(session: Session, words: Sequence[str], *, columns: int) -> Text:
    """What `demo` with these words says in the run's state, in so many columns."""
    environment = (
        os.environ | session.environment | {"COLUMNS": str(max(20, columns)), "LINES": "60", "FORCE_COLOR": "1"}
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *session.command,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
    except (OSError, ValueError) as error:
        return Text(f"that cannot be started: {error}")
    late = False
    assert process.stdout is not None
    written = b""
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            while len(written) < LONGEST and (chunk := await process.stdout.read(4096)):
                written += chunk
            if len(written) < LONGEST:
                await process.wait()
    except TimeoutError:
        late = True
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    text = Text.from_ansi(written.decode("utf-8", "replace"))
    if late:
        text.append(f"\nended after {COMMAND_SECONDS:.0f} s: run it in a shell (!)", "dim")
    elif process.returncode:
        text.append(f"\nexit code {process.returncode}", "dim")
    return text


class Token(Reading):
    """What the agent's token says, asked for when it is opened: to be read, so that a clicker closes it, too."""

    heading = "The token that the agent holds, verified now"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "leave", show=False)]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.said = ""
        """What `demo token` said."""

    def body(self) -> Sequence[Static]:
        return [Static(Text("...", "dim"), id="output")]

    def on_mount(self) -> None:
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        text = await output_of(self._session, ["token"], columns=self.size.width - 4)
        self.said = text.plain
        self.query_one("#output", Static).update(text)


class CommandLine(Overlay[None]):
    """A command a la carte: what is typed runs as `demo ...` in the same run's state; its output stands below.

    Args:
        obey: does what is meant for the talk itself; gives whether it was.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("pagedown,down", "scroll(1)", show=False, priority=True),
        Binding("pageup,up", "scroll(-1)", show=False, priority=True),
    ]

    def __init__(self, session: Session, obey: Callable[[str], bool]) -> None:
        super().__init__()
        self._session, self._obey = session, obey
        self.said = ""
        """What the last command said."""

    def compose(self) -> ComposeResult:
        yield Static("demo", classes="title")
        yield Input(placeholder="orders, audit, revoke, ... or quit")
        with VerticalScroll(can_focus=False):
            yield Static("", id="output")
        yield Static("Enter runs it, Esc goes back to the talk", classes="hint")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        line = event.value.strip().removeprefix("demo ").strip()
        if not line or self._obey(line):
            self.leave()
        else:
            self.run_worker(self._run(line), exclusive=True)

    async def _run(self, line: str) -> None:
        output = self.query_one("#output", Static)
        output.update(Text(f"{line} ...", "dim"))
        try:
            words = shlex.split(line)
            if words[:1] == ["presenter"]:  # the room sees what stands here, and with that key it could lead the talk
                text = Text("the second screen is for another terminal: its address carries your key")
            else:
                text = await output_of(self._session, words, columns=self.size.width - 4)
        except ValueError as error:  # shlex, of what was typed
            text = Text(f"cannot read that: {error}")
        self.said = text.plain
        output.update(text)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_leave(self) -> None:
        self.leave()


class End(Overlay[bool]):
    """Whether the session shall end: `y` alone says so."""

    def compose(self) -> ComposeResult:
        yield Static(
            Text.assemble(
                ("End the session?", "bold"), "\n\nThe run is kept: demo stage goes on from here.\n\n",
                ("y", "bold"), "  ends it; any other key goes back",
            )
        )  # fmt: skip

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.leave(event.key == "y")


class Recovery(Overlay[str]):
    """A live step failed: how the talk goes on, one key each.

    Args:
        trouble: what failed, in a line.
        takes: whether there is a recorded take of the beat.
        unasked: what is done where nobody chooses.
    """

    def __init__(self, trouble: str, *, takes: bool, unasked: str) -> None:
        super().__init__()
        self._trouble = trouble
        self._keys = {"r": "try again", "t": "show the recorded take of this beat", "s": "skip this beat"}
        if not takes:
            del self._keys["t"]
        self._asked_at = time.monotonic()
        self._unasked = {"recorded": "shows the take", "skip": "skips it"}.get(unasked, "")

    def compose(self) -> ComposeResult:
        text = Text(f"{self._trouble}\n\n", "bold")
        for key, does in self._keys.items():
            text.append_text(Text.assemble((key, "bold"), (f"  {does}\n", "not bold")))
        if self._unasked:
            text.append(f"\n{self._unasked} by itself in {FALLBACK_SECONDS:.0f} s", "not bold dim")
        yield Static(text)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        # What was meant for the talk, or for a command line, in the instant before is no choice.
        if event.key in self._keys and time.monotonic() - self._asked_at >= UNREAD_SECONDS:
            self.leave(event.key)
