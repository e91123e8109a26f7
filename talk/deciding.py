"""Who answers when an agent asks for authority: a person at the terminal or in a browser, or the sample human."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from demo.evidence import DeviceCode
from talk.keys import Keys, listening

if TYPE_CHECKING:
    from talk.stage import Stage


class Human(Protocol):
    """Somebody who can decide on the authority's pages (`demo.client.sample_human.SampleHuman` is one)."""

    account: str

    def decide(self, verification_uri: str, user_code: str, approve: bool) -> object:
        """Decide on the authority's pages; gives what the consent page showed."""
        ...


@dataclass
class Answer:
    """What the consent page showed to whoever answered (None: a person read it in a browser), or what went wrong."""

    page: object | None = None
    error: BaseException | None = None


class Decider:
    """Answers one device authorization: by a person's keys, or by the sample human driving the same pages.

    Use as a context manager around the polling; call `tick` from it, several times a second.
    """

    def __init__(
        self, stage: Stage, code: DeviceCode, human: Human | None, *, approve: bool, ask: bool, shown: bool
    ) -> None:
        self.shown = shown
        self.stage, self.code, self.human, self.approve = stage, code, human, approve
        self.answer = Answer()
        self._ask = ask
        self._thread: threading.Thread | None = None
        self._keys: Keys | None = None
        self._listening = listening() if ask else None

    def __enter__(self) -> Decider:
        if self._listening is not None:
            self._keys = self._listening.__enter__()
            if not self.shown:
                self.stage.note(f"{self.code.client} asks: code {self.code.user_code} at {self.code.verification_uri}")
            here = f" · Enter approve as {self.human.account} · d deny" if self.human else ""
            self.stage.note(f"Decide there, or here: b browser{here}")
        return self

    def __exit__(self, *failure: object) -> None:
        if self._listening is not None:
            self._listening.__exit__(None, None, None)
        if self._thread is not None:
            self._thread.join(timeout=15)

    def tick(self, left: float, state: str) -> None:
        """Called while the agent polls: show what is awaited, and act when somebody has chosen."""
        self.stage.waiting(f"the human's decision ({state})", left)
        if self._keys is None:
            self._start(self.approve)
            return
        key = self._keys.pressed(0.0)
        if key == "\n":
            self._start(True)
        elif key == "d":
            self._start(False)
        elif key == "b":
            open_browser(self.code.verification_uri_complete or self.code.verification_uri)

    def failed(self) -> bool:
        """Whether the sample human could not answer, so that polling on is pointless."""
        return self.answer.error is not None

    def _start(self, approve: bool) -> None:
        # In a thread of its own: the agent goes on polling, as it would while a person reads the page.
        if self._thread is None and self.human is not None:
            self._thread = threading.Thread(target=self._decide, args=(approve,), daemon=True)
            self._thread.start()

    def _decide(self, approve: bool) -> None:
        try:
            uri = self.code.verification_uri_complete or self.code.verification_uri
            assert self.human is not None
            self.answer.page = self.human.decide(uri, self.code.user_code, approve)
        except BaseException as error:  # handed to the playing thread, which raises it
            self.answer.error = error


def open_browser(url: str) -> None:
    """Open a page in the system's browser."""
    # Best effort, in the background: a browser that takes its time must not hold up the polling.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
