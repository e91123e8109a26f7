"""How the presenter leads a talk that plays in a thread of its own: what they want is handed on here, and awaited."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from talk.stage.keys import Key, Keys

Where = Literal["next", "again", "back", "goto", "skip", "close"]
Awaited = Literal["", "go", "order", "keys", "choice"]
"""What the talk waits for: nothing, that it may go on, which beat comes, keys that answer a consent, a choice."""
REPEAT_SECONDS = 0.12
"""A key that comes sooner after the last one is held down, and no press of its own: keyboards repeat 10 to 40 times a
second."""
UNREAD_SECONDS = 0.5
"""For so long a question has been on the screen before a key answers it."""
REST_SECONDS = 0.3
"""The least time between two presses that go on: a double press is one."""


@dataclass(frozen=True)
class Order:
    """Where the presenter wants the talk to go; `beat` for "goto"."""

    do: Where
    beat: str = ""


class Redirected(BaseException):
    """The presenter goes elsewhere in the middle of a beat. As KeyboardInterrupt it is no error, and nothing that
    handles errors may take it for one."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.do)
        self.order = order


class Presses:
    """Tells presses of a key that goes on from a key that is held down, and from a double press."""

    def __init__(self) -> None:
        self._last = self._counted = float("-inf")

    def counts(self, at: float) -> bool:
        """Whether the press at `at` (monotonic seconds) is one of its own."""
        rested = at - self._last >= REPEAT_SECONDS and at - self._counted >= REST_SECONDS
        self._last = at
        if rested:
            self._counted = at
        return rested


class Control:
    """Between the screen's thread, which hears the presenter, and the talk's, which waits for them.

    Nothing is kept for later that could skip a part of the talk: "go on" counts only where it is awaited. A beat that
    was chosen is kept until the talk can turn to it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._awaited: Awaited = ""
        self._gone = False
        self._order: Order | None = None
        self._keys: list[Key] = []
        self._choice = ""
        self._asked_at = 0.0

    @property
    def awaited(self) -> Awaited:
        """What the talk waits for at the moment."""
        return self._awaited

    def go(self) -> bool:
        """Go on, if the talk waits for that. Returns whether it did."""
        with self._changed:
            if self._awaited == "go":
                self._gone = True
            elif self._awaited == "order" and self._order is None:
                self._order = Order("next")
            else:
                return False
            self._changed.notify_all()
        return True

    def request(self, order: Order) -> None:
        """Go elsewhere as soon as the talk can; the last word counts, but nothing outweighs the end."""
        with self._changed:
            if self._order is None or self._order.do != "close":
                self._order = order
            self._changed.notify_all()

    def press(self, key: Key) -> bool:
        """Hand a key on to who asked for keys. Returns whether anybody did: nobody answers a question in the instant in
        which it comes to the screen."""
        with self._changed:
            if self._awaited != "keys" or time.monotonic() - self._asked_at < UNREAD_SECONDS:
                return False
            self._keys.append(key)
            self._changed.notify_all()
        return True

    def choose(self, choice: str) -> None:
        """Answer the choice that the talk waits for."""
        with self._changed:
            if self._awaited == "choice":
                self._choice = choice
                self._changed.notify_all()

    # What follows is called by the talk's thread.

    def check(self) -> None:
        """Turn, if the presenter has chosen to.

        Raises:
            Redirected: they have.
        """
        with self._changed:
            if self._order is not None:
                order, self._order = self._order, None
                raise Redirected(order)

    def await_go(self, seconds: float) -> None:
        """Wait until the presenter goes on, for so long at most."""
        with self._waiting("go"):
            self._gone = False
            self._changed.wait_for(lambda: self._gone or self._order is not None, seconds)
        self.check()

    def await_order(self) -> Order:
        """Wait for what comes next; the one wait without an end, since nothing goes on by itself between two beats."""
        with self._waiting("order"):
            while self._order is None:
                self._changed.wait(1.0)
            order, self._order = self._order, None
            return order

    def await_choice(self, seconds: float) -> str:
        """Wait for a choice, for so long at most; empty where none was made."""
        with self._waiting("choice"):
            self._choice = ""
            self._changed.wait_for(lambda: self._choice != "" or self._order is not None, seconds)
            choice = self._choice
        self.check()
        return choice

    @contextmanager
    def keys(self) -> Iterator[Keys]:
        """While it lasts, keys are handed on; those from before are no answer."""
        with self._changed:
            self._awaited, self._keys, self._asked_at = "keys", [], time.monotonic()
        try:
            yield _HandedOn(self)
        finally:
            with self._changed:
                self._awaited = ""

    def pressed(self, seconds: float) -> list[Key]:
        """The keys that came, within `seconds` at most."""
        with self._changed:
            if seconds > 0:
                self._changed.wait_for(lambda: bool(self._keys) or self._order is not None, seconds)
            keys, self._keys = self._keys, []
        self.check()
        return keys

    @contextmanager
    def _waiting(self, what: Awaited) -> Iterator[None]:
        with self._changed:
            self._awaited = what
            try:
                yield
            finally:
                self._awaited = ""


class _HandedOn(Keys):
    """The keys that the screen hands on."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def pressed(self, seconds: float = 0.0) -> list[Key]:
        return self._control.pressed(seconds)
