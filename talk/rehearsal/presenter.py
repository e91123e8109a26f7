"""The presenter of a rehearsal: looks at the screen, presses the keys that a person would press, and remembers."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from talk.stage.keys import Key, Keys
from talk.stage.screen import Consent, Recovery, Stage

if TYPE_CHECKING:
    from talk.stage.screen import Human

SIZE = (80, 24)
ANSWER_SECONDS = 0.3
"""How long the human of a rehearsal reads before they answer."""
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
Answer = Literal["yes", "no", "nobody", "other"]


@dataclass
class Seen:
    """What was seen of one beat."""

    troubles: list[str] = field(default_factory=list)
    choices: list[Recovery] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    asked: int = 0
    """Consents that this presenter was asked for."""


class Presenter(Stage):
    """A stage with a person on it, who never keeps the talk waiting.

    A live step that fails is tried once more, then its recorded take is played, then the beat is skipped.
    """

    def __init__(self, on_step: Callable[[int], None], on_again: Callable[[], None]) -> None:
        self.paper = io.StringIO()
        width, height = SIZE
        console = Console(file=self.paper, width=width, height=height, force_terminal=True, highlight=False)
        super().__init__(console, pace="stage", person=True)
        self.seen = Seen()
        self.answer: Answer = "yes"
        """What the human says who is asked."""
        self.other: Any = None
        """Who answers where somebody else does."""
        self.opens_browser = False
        """Whether the page is opened in the browser first."""
        self.while_asked: Callable[[], None] | None = None
        """Called while the human is asked and has not answered."""
        self._on_step, self._on_again = on_step, on_again
        self._steps = 0

    def begin(self) -> None:
        """Begin to watch another beat."""
        self.seen, self._steps = Seen(), 0
        self.paper.seek(0)
        self.paper.truncate()

    def too_wide(self) -> str:
        """The first line of this beat that is wider than the terminal, empty where none is."""
        from rich.cells import cell_len

        for line in _CONTROL.sub("", self.paper.getvalue()).splitlines():
            shown = line.rpartition("\r")[2]
            if cell_len(shown) > self.console.width:
                return shown
        return ""

    def begin_step(self, step: str, do: str, title: str) -> None:
        """A step begins; some faults strike just then."""
        self._steps += 1
        self._on_step(self._steps)
        super().begin_step(step, do, title)

    def consent(self, state: Consent, *, human: str = "", agent: str = "", amount: str = "") -> None:
        """What became of a consent."""
        self.seen.consents.append(state)
        super().consent(state, human=human, agent=agent, amount=amount)

    def answered_by(self, human: Human | None, *, ask: bool) -> tuple[Human | None, bool]:
        """Who answers a login: where somebody else should, they do so on the page, and no key is pressed here."""
        if ask:
            self.seen.asked += 1
            if self.answer == "other" and self.other is not None:
                return self.other, False
        return super().answered_by(human, ask=ask)

    @contextlib.contextmanager
    def keys(self) -> Iterator[Keys]:
        """The keys that this presenter presses at a login."""
        yield _Pressed(self.answer, self.opens_browser, self.while_asked)

    def _await_go(self, text: str, seconds: float) -> None:
        return None

    def _choose_recovery(self, trouble: str) -> Recovery:
        self.seen.troubles.append(trouble)
        order: tuple[Recovery, ...] = ("again", "recorded", "skip") if self.takes else ("again", "skip")
        choice = order[min(len(self.seen.choices), len(order) - 1)]
        self.seen.choices.append(choice)
        if choice == "again":
            self._on_again()
        return choice

    def _write_note(self, text: str) -> None:
        self.seen.notes.append(text)
        super()._write_note(text)

    def waiting(self, what: str, left: float) -> None:
        """Something is awaited."""
        if not self.seen.waits or self.seen.waits[-1] != what:
            self.seen.waits.append(what)
        super().waiting(what, left)


class _Pressed(Keys):
    """Presses what the human would, once, after a moment."""

    def __init__(self, answer: Answer, opens_browser: bool, while_asked: Callable[[], None] | None) -> None:
        super().__init__()
        self._while_asked = while_asked
        decision = {"yes": [Key("enter")], "no": [Key("text", "d")]}.get(answer, [])
        self._left = [*([Key("text", "b")] if opens_browser else []), *decision]
        self._next = time.monotonic() + ANSWER_SECONDS

    def pressed(self, seconds: float = 0.0) -> list[Key]:
        """The keys pressed within `seconds`."""
        if self._while_asked is not None:
            self._while_asked()
        if not self._left or time.monotonic() < self._next:
            time.sleep(min(seconds, 0.05))
            return []
        self._next = time.monotonic() + ANSWER_SECONDS
        return [self._left.pop(0)]
