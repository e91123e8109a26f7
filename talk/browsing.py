"""Who answers a login in the browser: a person on this machine or elsewhere, or the sample human."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from talk.deciding import Answering, Human, open_browser
from talk.keys import Key, interactive

if TYPE_CHECKING:
    from demo.client.oauth.browser import BrowserLogin
    from talk.stage import Stage

LONGEST = 16 * 1024
"""Characters of a pasted address that are kept."""


class Browsing(Answering):
    """Answers one authorization request: by the browser of this machine, by a pasted address, or by the sample human.

    Give `pasted` to the agent, too.

    Args:
        login: the login under way.
    """

    def __init__(self, stage: Stage, login: BrowserLogin, human: Human | None, *, approve: bool, ask: bool) -> None:
        super().__init__(stage, login.url, human, approve=approve, ask=ask)
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
            open_browser(self.login.url)
        elif self.human is None and not interactive():
            sys.stderr.write(f"Open {self.login.url}\nand give the address that the browser ends at, on stdin.\n")
            # Nobody waits for its end: a line may never come.
            threading.Thread(target=self._read, daemon=True).start()

    def _awaited(self, state: str) -> str:
        told = {"not_ours": "that was another address"}.get(state, state)
        return f"the browser to come back ({told})"

    def _take(self, key: Key) -> bool:
        if key.kind == "paste":
            *whole, self._line = (self._line + key.text).split("\n")
            self._came += [line.strip() for line in whole if line.strip()]
            self._line = self._line[:LONGEST]
        elif key.goes_on:
            self._enter()
        elif not key.text:
            return False
        elif not self._line and key.text in "dD" and self.human is not None:
            self._start(False)
        else:
            self._line = (self._line + key.text)[:LONGEST]
        return True

    def _enter(self) -> None:
        line, self._line = self._line.strip(), ""
        if line:
            self._came.append(line)
        else:
            self._start(True)

    def _decide(self, human: Human, approve: bool) -> None:
        self.answer.page, redirect = human.authorize(self.login.url, approve)
        self._came.append(redirect)

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip():
                self._came.append(line)
