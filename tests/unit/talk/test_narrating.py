"""Who watches alone reads what a speaker would say, before the panels, at a pace for reading."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.settings import Settings
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from talk.script.notes import to_say
from talk.stage.screen import READ_WORDS_A_MINUTE, Stage


class Read(Stage):
    """A stage that notes for how long something stands on it."""

    def __init__(self, **given: Any) -> None:
        self.written = io.StringIO()
        self.passed: list[float] = []
        super().__init__(Console(file=self.written, width=80, height=24), **given)

    def let_pass(self, seconds: float, text: str = "") -> None:
        self.passed.append(seconds)


def test_it_stands_as_long_as_it_takes_to_read() -> None:
    stage = Read(pace="brisk")
    stage.narrate("word " * READ_WORDS_A_MINUTE)
    assert stage.passed == [60.0]


@pytest.mark.parametrize(("given", "words"), [({"quiet": True}, "Said."), ({}, "")])
def test_where_there_is_nothing_to_show_nothing_is_waited_for(given: dict[str, Any], words: str) -> None:
    stage = Read(pace="brisk", **given)
    stage.narrate(words)
    assert (stage.passed, stage.written.getvalue()) == ([], "")


@pytest.mark.parametrize("narrates", [True, False])
def test_a_beats_words_come_before_its_panels(narrates: bool, tmp_path: Path) -> None:
    stage, talk = Read(), load_talk(None)
    with Run.open(tmp_path) as run, run.performing():
        director = Director(run, talk, Settings(state=tmp_path, server="http://127.0.0.1:9/mcp"), stage)
        director.narrates = narrates
        director.play(director.plan.beats[0])
    shown = " ".join(stage.written.getvalue().split())
    said, panel = shown.find(to_say(talk.beat("opening").notes)), shown.find("Traditional auth assumes")
    assert (0 < said < panel) is narrates
    assert panel > 0
