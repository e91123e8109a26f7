"""A presenter for tests: a stage with somebody at it who presses the keys that a test names, at a real server."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from demo.client.human.sample_human import SampleHuman
from demo.settings import Settings
from talk.director import Director
from talk.recording.writer import Recording
from talk.results import BeatResult
from talk.run import Run
from talk.script import load_talk
from talk.stage.keys import Key, KeyDecoder
from talk.stage.screen import Fallback, Recovery, Stage


class _Pressed:
    """The keys of one prompt: all at once, and then none."""

    def __init__(self, keys: str) -> None:
        self._keys = keys

    def pressed(self, seconds: float = 0.0) -> list[Key]:
        keys, self._keys = self._keys, ""
        if not keys:
            time.sleep(min(seconds, 0.01))
        return [key for one in keys for key in KeyDecoder().feed(one.encode(), 0.0)]


class Presenter(Stage):
    """Presses, at each prompt in turn, the keys named: `""` for none; a pause it goes on from at once.

    Args:
        visitor: the account of somebody who approves each consent in a browser of their own.
    """

    def __init__(
        self, *keys: str, visitor: str | None = None, fallback: Fallback = "ask", recording: Recording | None = None
    ) -> None:
        console = Console(file=io.StringIO(), width=80, height=24)
        super().__init__(console, pace="stage", person=True, fallback=fallback, recording=recording)
        self.left = list(keys)
        self.visitor = visitor
        self.notes: list[str] = []
        self.shown: list[str] = []
        self.troubles: list[str] = []

    @contextlib.contextmanager
    def keys(self) -> Iterator[Any]:
        yield _Pressed(self.left.pop(0) if self.left else "")

    def show(self, name: str, renderable: RenderableType) -> None:
        super().show(name, renderable)
        self.shown.append(name)
        if name == "device" and self.visitor is not None:
            code = renderable.made.evidence["given"]  # type: ignore[union-attr]  # a Page: it knows what it draws
            human = SampleHuman(self.visitor)
            where = (code.verification_uri, code.user_code, True)
            threading.Thread(target=human.decide, args=where, daemon=True).start()

    def note(self, text: str) -> None:
        super().note(text)
        self.notes.append(text)

    def _choose_recovery(self, trouble: str) -> Recovery:
        assert self.left or self.fallback != "ask", trouble
        return super()._choose_recovery(trouble)

    def _write_trouble(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _await_go(self, text: str, seconds: float) -> None:
        return None


def play(base_url: str, state: Path, beat: str | None, stage: Stage) -> BeatResult:
    """What one `demo goto BEAT`, or `demo next` (None), plays, by a director of its own."""
    with Run.open(state) as run, run.performing():
        director = Director(run, load_talk(None), Settings(server=base_url, state=state, port=0), stage)
        planned = director.upcoming() if beat is None else director.plan.find(beat) or director.plan.encore(beat)
        assert planned is not None
        return director.play(planned, afresh=beat is not None)


def cursor(state: Path) -> tuple[str | None, bool]:
    """Where the run stands: the beat, and whether it was played to its end."""
    with Run.open(state) as run:
        return run.cursor.beat, run.cursor.done
