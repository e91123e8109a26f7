"""Who answers a login in the browser: a person on this machine or elsewhere, or the sample human."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Protocol

from talk.deciding import Answer, open_browser
from talk.keys import Keys, interactive, listening

if TYPE_CHECKING:
    from demo.client.oauth.browser import BrowserLogin
    from talk.stage import Stage

LONGEST = 16 * 1024
"""Characters of a pasted address that are kept."""


class Human(Protocol):
    """Somebody who can decide an authorization request on the authority's own pages."""

    account: str

    def authorize(self, url: str, approve: bool) -> tuple[object, str]:
        """Decide; gives what the consent page showed, and where the authority sends the browser back to."""
        ...


class Browsing:
    """Answers one authorization request: by the browser of this machine, by a pasted address, or by the sample human.

    Use as a context manager around the waiting; give `tick`, `pasted` and `failed` to the agent.

    Args:
        login: the login under way.
        human: the sample human, None at another authority than the bundled one.
        approve: what the sample human decides.
        ask: whether a person at the terminal is asked first.
    """

    def __init__(
        self, stage: Stage, login: BrowserLogin, human: Human | None, *, approve: bool = True, ask: bool = True
    ) -> None:
        self.stage, self.login, self.human, self.approve = stage, login, human, approve
        self.answer = Answer()
        self._ask = ask and stage.person
        self._thread: threading.Thread | None = None
        self._listening = listening() if self._ask else None
        self._keys: Keys | None = None
        self._line = ""
        self._came: list[str] = []

    def __enter__(self) -> Browsing:
        if self._listening is not None:
            self._keys = self._listening.__enter__()
            self.stage.note(f"Opening the browser. If none opens, open this anywhere: {self.login.url}")
            here = f" · Enter approve as {self.human.account} · d deny" if self.human else ""
            self.stage.note(f"Browser elsewhere? Paste the address it ends at, then Enter{here}")
            open_browser(self.login.url)
        elif self.human is None and not interactive():
            sys.stderr.write(f"Open {self.login.url}\nand give the address that the browser ends at, on stdin.\n")
            self._start(self._read)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._listening is not None:
            self._listening.__exit__(None, None, None)
        if self._thread is not None and self.human is not None:
            self._thread.join(timeout=15)

    def tick(self, left: float, state: str) -> None:
        """Called while the agent waits: show what is awaited, and act when somebody has chosen."""
        told = {"not_ours": "that was another address"}.get(state, state)
        self.stage.waiting(f"the browser to come back ({told})", left)
        if self._keys is None:
            if self.human is not None:
                self._start(lambda: self._decide(self.approve))
            return
        while (key := self._keys.pressed(0.0, as_typed=True)) is not None:
            if key == "\n":
                self._enter()
            elif not self._line and key in ("d", "D") and self.human is not None:
                self._start(lambda: self._decide(False))
            elif len(self._line) < LONGEST:
                self._line += key

    def pasted(self) -> str | None:
        """A line that somebody has given, once."""
        return self._came.pop(0) if self._came else None

    def failed(self) -> bool:
        """Whether nobody will answer any more, so that waiting on is pointless."""
        return self.answer.error is not None

    def _enter(self) -> None:
        line, self._line = self._line.strip(), ""
        if line:
            self._came.append(line)
        elif self.human is not None:
            self._start(lambda: self._decide(True))

    def _start(self, work: object) -> None:
        # In a thread of its own: the agent goes on waiting, as it would while a person reads the page.
        if self._thread is None and callable(work):
            self._thread = threading.Thread(target=work, daemon=True)
            self._thread.start()

    def _decide(self, approve: bool) -> None:
        try:
            assert self.human is not None
            self.answer.page, redirect = self.human.authorize(self.login.url, approve)
            self._came.append(redirect)
        except BaseException as error:  # handed to the playing thread, which raises it
            self.answer.error = error

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip():
                self._came.append(line)
