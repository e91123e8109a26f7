"""Who answers an agent's login: a person at the terminal or in a browser, or the sample human."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from demo import processes
from demo.panels.people import name_of
from deputize.errors import AuthorizationRefused, ServerUnreachable
from deputize.evidence import DeviceCode
from deputize.http.origins import origin
from deputize.net import is_loopback
from talk.stage.keys import Key, Keys, interactive

if TYPE_CHECKING:
    from deputize.oauth.browser_flow import BrowserLogin
    from talk.stage.screen import Stage

LONGEST_ANSWER = 15.0
"""Seconds for which the sample human, once begun, is let finish."""
LONGEST_PASTE = 16 * 1024
"""Characters of a pasted address that are kept."""
REFLEX_SECONDS = 0.5
"""A second press within so long is the same movement of a hand, and no second thought."""
ARMED_SECONDS = 10.0
"""For how long the first press of a clicker waits for the one that approves."""
LOOK_SECONDS = 1.0
"""How often the wait looks whether the authorization server still runs; it is gone when it is missing twice."""


class Human(Protocol):
    """Somebody who can decide on the server's own pages (`demo.client.human.sample_human.SampleHuman` is one)."""

    account: str

    def decide(self, verification_uri: str, user_code: str, approve: bool) -> object:
        """Decide a device authorization; gives what the consent page showed."""
        ...

    def authorize(self, url: str, approve: bool) -> tuple[object, str]:
        """Decide an authorization request; gives that, and where the authorization server sends the browser back to."""
        ...


@dataclass
class Answer:
    """What the consent page showed to the sample human (None: a person read it in a browser), or what went wrong."""

    page: object | None = None
    error: BaseException | None = None


class LoginPrompt(ABC):
    """Has one login answered while the agent waits for it: by a person's keys, or by the sample human.

    Use as a context manager around the waiting; give `tick`, `failed` and `pasted` to the agent. Where the sample human
    could not answer, what stopped it is raised in the place of the agent's refusal; so is that the authorization server
    has stopped, which neither polling (RFC 8628, 3.5: a lost connection is retried) nor a browser that never comes
    would tell.

    Args:
        url: a page of the authorization server.
        human: the sample human, None at another authorization server than the bundled one.
        approve: what the sample human decides where nobody is asked.
        ask: whether a person at the terminal is asked.
        clicker: whether PageDown and Right, which go on everywhere else on stage, approve only when pressed again.
    """

    def __init__(
        self, stage: Stage, url: str, human: Human | None, *, approve: bool, ask: bool, clicker: bool = False
    ) -> None:
        self.stage, self.url, self.human, self.approve, self.clicker = stage, url, human, approve, clicker
        self.answer = Answer()
        self._thread: threading.Thread | None = None
        self._keys: Keys | None = None
        self._listening = stage.keys() if ask else None
        self._acted = False
        self._armed_at: float | None = None
        self._answers_at: float | None = None
        self._looks_at = 0.0
        self._unopened = False
        self._missed = 0

    def __enter__(self) -> Self:
        if self._listening is not None:
            self._keys = self._listening.__enter__()
        self._begin(self._keys is not None)
        if self._keys is not None and self.human is not None and self.stage.patience is not None:
            self._answers_at = time.monotonic() + self.stage.patience
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.__exit__(None, None, None)
        if self._thread is not None:
            self._thread.join(timeout=LONGEST_ANSWER)
        self.stage.clear_status()
        if self.answer.error is not None and isinstance(failure, AuthorizationRefused):
            raise self.answer.error from failure

    def tick(self, left: float, state: str) -> None:
        """Called while the agent waits, several times a second: say what is awaited, act when somebody has chosen."""
        self._look()
        if self._unopened:
            self._unopened = False
            self.stage.note("No browser opens here. Open the page on any device, or decide by a key.")
        if self._keys is None:
            self.stage.waiting(self._awaited(state) if self.human is None else self._decides(), left)
            self._start(self.approve)
            return
        for key in self._keys.pressed():
            self._acted = self._take(key) or self._acted
        self._answer_unasked()
        if self._armed and self._thread is None:
            self.stage.status("press it once more to approve; d denies")
        elif self._answers_at is None or self._thread is not None:
            self.stage.waiting(self._awaited(state), left)

    def _not_opened(self) -> None:
        self._unopened = True

    @property
    def unasked(self) -> bool:
        """Whether the sample human decides, and nobody at the terminal is asked."""
        return self._keys is None and self.human is not None

    def decide(self) -> bool:
        """Have the sample human decide before the answer is waited for. Returns whether they are done."""
        self.stage.waiting(self._decides(), LONGEST_ANSWER)
        self._start(self.approve)
        if self._thread is not None:
            self._thread.join(LONGEST_ANSWER)
        return self._thread is not None and not self._thread.is_alive()

    def failed(self) -> bool:
        """Whether the sample human could not answer, so that waiting on is pointless."""
        return self.answer.error is not None

    def pasted(self) -> str | None:
        """A line that somebody has pasted, once; None where none is awaited."""
        return None

    @abstractmethod
    def _begin(self, asked: bool) -> None:
        """Say how to answer; `asked` is whether a person at the terminal can."""

    @abstractmethod
    def _awaited(self, state: str) -> str:
        """What is awaited, in words; `state` as the agent tells it."""

    @abstractmethod
    def _take(self, key: Key) -> bool:
        """Act on a key; gives whether it was one that means something here."""

    @abstractmethod
    def _decide(self, human: Human, approve: bool) -> None:
        """Have the sample human answer."""

    def _decides(self) -> str:
        """What is awaited where nobody at the terminal is asked."""
        account = self.human.account if self.human is not None else "somebody"
        return f"{account} to {'approve' if self.approve else 'deny'} on the consent page"

    def _answered(self, key: Key) -> bool:
        """Take a key that answers: Enter and y approve, d and n deny. A clicker's goes on, too; on stage, where it is
        pressed by reflex, only when pressed again."""
        if self.human is None:
            return False
        letter = key.text.lower() if key.kind == "text" else ""
        if key.kind == "enter" or letter == "y" or (key.kind == "forward" and self._confirmed()):
            self._start(True)
        elif letter in ("d", "n"):
            self._start(False)
        return key.goes_on or letter in ("y", "d", "n")

    @property
    def _armed(self) -> bool:
        return self._armed_at is not None and time.monotonic() - self._armed_at < ARMED_SECONDS

    def _confirmed(self) -> bool:
        if not self.clicker:
            return True
        now, armed = time.monotonic(), self._armed
        rested = armed and now - (self._armed_at or 0.0) > REFLEX_SECONDS
        self._armed_at = now  # a key that is held down never rests
        if not armed:
            self.stage.clear_status()  # where no line is drawn over another, only one that is fresh is written
        return rested

    def _answer_unasked(self) -> None:
        """Have the sample human answer in the end where the pace says that nobody may be at the keyboard. Acting comes
        first."""
        if self._acted:
            self._answers_at = None
        if self._answers_at is None or self._thread is not None or self.human is None:
            return
        left = self._answers_at - time.monotonic()
        if left > 0:
            self.stage.status(f"if nobody decides, {self.human.account} answers in {left:.0f} s")
            return
        self._answers_at = None
        self.stage.note(f"Nobody is at the keyboard: the sample human {self.human.account} answers.")
        self._start(self.approve)

    def _look(self) -> None:
        """See, now and then, whether an authorization server on this machine still runs."""
        now = time.monotonic()
        where = origin(self.url)
        if now < self._looks_at or where is None or not is_loopback(where[1]):
            return
        self._looks_at = now + LOOK_SECONDS
        try:
            socket.create_connection((where[1].strip("[]"), where[2]), timeout=LOOK_SECONDS).close()
            self._missed = 0
        except ConnectionRefusedError:  # anything else may pass, and is left to the polling
            self._missed += 1
        except OSError:
            return
        if self._missed > 1 and self.answer.error is None:
            self.answer.error = ServerUnreachable(
                f"the authorization server at {where[1]}:{where[2]} has stopped",
                why="nothing listens there any more, so that nobody can decide",
                do="keep one running in another terminal: demo serve",
            )

    def _or_here(self) -> str:
        return f" · Enter approves as {name_of(self.human.account)} · d denies" if self.human else ""

    def _start(self, approve: bool) -> None:
        # In a thread of its own: the agent goes on waiting, as it would while a person reads the page.
        if self._thread is None and self.human is not None:
            self._thread = threading.Thread(target=self._answer_as, args=(self.human, approve), daemon=True)
            self._thread.start()

    def _answer_as(self, human: Human, approve: bool) -> None:
        try:
            self._decide(human, approve)
        except BaseException as error:  # handed to the playing thread, which raises it
            self.answer.error = error


class DevicePrompt(LoginPrompt):
    """Answers one device authorization.

    Args:
        code: what was asked for.
        shown: whether the code and where to enter it are on the screen; else they are put there.
    """

    def __init__(
        self,
        stage: Stage,
        code: DeviceCode,
        human: Human | None,
        *,
        approve: bool,
        ask: bool,
        shown: bool,
        clicker: bool = False,
    ) -> None:
        super().__init__(stage, code.verification_uri, human, approve=approve, ask=ask, clicker=clicker)
        self.code, self.shown = code, shown

    def _begin(self, asked: bool) -> None:
        if asked:
            if not self.shown:
                self.stage.note(f"{self.code.client} asks: code {self.code.user_code} at {self.code.verification_uri}")
            self.stage.note(f"Decide there, or here: b browser{self._or_here()}")

    def _awaited(self, state: str) -> str:
        return "the human's decision" if state == "pending" else f"the human's decision ({state})"

    def _take(self, key: Key) -> bool:
        if key.kind == "text" and key.text in "bB":
            # Without the code, which the arguments of a browser would show to every user of this machine.
            open_browser(self.code.verification_uri, self._not_opened)
            return True
        return self._answered(key)

    def _decide(self, human: Human, approve: bool) -> None:
        self.answer.page = human.decide(self.code.verification_uri, self.code.user_code, approve)


class BrowserPrompt(LoginPrompt):
    """Answers one authorization request: by the browser of this machine, by a pasted address, or by the sample human.

    Args:
        login: the login under way.
    """

    def __init__(
        self,
        stage: Stage,
        login: BrowserLogin,
        human: Human | None,
        *,
        approve: bool,
        ask: bool,
        clicker: bool = False,
    ) -> None:
        super().__init__(stage, login.url, human, approve=approve, ask=ask, clicker=clicker)
        self.login = login
        self._line = ""
        self._came: list[str] = []

    def pasted(self) -> str | None:
        """A line that somebody has given, once."""
        return self._came.pop(0) if self._came else None

    def _begin(self, asked: bool) -> None:
        if asked:
            self.stage.note(f"Opening the browser. If none opens, open this anywhere: {self.login.url}")
            self.stage.note(f"Browser elsewhere? Paste the address it ends at, then Enter{self._or_here()}")
            open_browser(self.login.begins_at, self._not_opened)
        elif self.human is None and not interactive():
            sys.stderr.write(f"Open {self.login.url}\nand give the address that the browser ends at, on stdin.\n")
            # Nobody waits for its end: a line may never come.
            threading.Thread(target=self._read, daemon=True).start()

    def _awaited(self, state: str) -> str:
        state = {"not_ours": "that was another address"}.get(state, state)
        return f"the browser to come back ({state})"

    def _take(self, key: Key) -> bool:
        if key.kind == "paste":
            *whole, self._line = (self._line + key.text).split("\n")
            self._came += [line.strip() for line in whole if line.strip()]
            self._line = self._line[:LONGEST_PASTE]
        elif key.goes_on and self._line.strip():
            self._came.append(self._line.strip())
            self._line = ""
        elif not self._line.strip() and self.human is not None and self._answered(key):
            self._line = ""
        elif key.text:
            self._line = (self._line + key.text)[:LONGEST_PASTE]
        else:
            return key.goes_on
        return True

    def _decide(self, human: Human, approve: bool) -> None:
        self.answer.page, redirect = human.authorize(self.login.url, approve)
        self._came.append(redirect)

    def _read(self) -> None:
        held = b""
        # Not sys.stdin: this thread is left behind with its lock held, and a byte that is no text would end it.
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(sys.stdin.fileno(), LONGEST_PASTE):
                *lines, held = (held + chunk).split(b"\n")
                self._came += [line.decode(errors="replace").strip() for line in lines if line.strip()]
                held = held[:LONGEST_PASTE]
        if held.strip():
            self._came.append(held.decode(errors="replace").strip())


def open_browser(url: str, unopened: Callable[[], None]) -> None:
    """Open a page in the system's browser; `unopened` is called, in another thread, where none opens."""

    def look() -> None:
        opened = False
        with contextlib.suppress(OSError):
            opened = processes.open_page(url)
        if not opened:
            unopened()

    # In the background: a browser that takes its time must not hold up the polling.
    threading.Thread(target=look, daemon=True).start()
