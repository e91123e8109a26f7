"""What is made ready before its beat: near to it and nowhere else, by a performance and by no dry run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.settings import Settings
from talk import director
from talk.director import Director
from talk.playing import AHEAD, KINDS, edge_agent
from talk.run import Run
from talk.script import load_talk
from talk.stage.control import Control
from talk.stage.live import LiveStage


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether the beat was near, each time that the kind was told; it then breaks."""
    told: list[bool] = []

    def ahead(_: object, near: bool) -> None:
        told.append(near)
        raise RuntimeError("it breaks")

    monkeypatch.setattr(edge_agent, "EDGE_AGENT", replace(edge_agent.EDGE_AGENT, ahead=ahead))
    yield told


def directing(run: Run, state: Path, plan: str, *, strict: bool = False) -> Director:
    made = Director(
        run, load_talk(None), Settings(state=state), LiveStage(Control(), lambda: None), plan=plan, strict=strict
    )
    cast: Any = SimpleNamespace()
    made._cast = cast
    return made


@pytest.mark.parametrize("plan", ["problem-first", "context-first"])
def test_the_agent_is_made_ready_two_beats_before_its_own_and_ended_after(
    plan: str, said: list[bool], tmp_path: Path
) -> None:
    with Run.open(tmp_path) as run:
        leading = directing(run, tmp_path, plan)
        at = leading.plan.position("where-agents-run")
        for planned in leading.plan.beats:
            leading._look_ahead(planned)
    near = [number for number, one in enumerate(said) if one]
    assert len(said) == len(leading.plan.beats)
    assert near == list(range(at - director.BEATS_AHEAD, at + 1)), "what is wrong with it stops no talk"


def test_a_dry_run_and_an_encore_make_nothing_ready(said: list[bool], tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        dry = directing(run, tmp_path, "problem-first", strict=True)
        for planned in dry.plan.beats:
            dry._look_ahead(planned)
        leading = directing(run, tmp_path, "problem-first")
        for planned in leading.plan.encores:
            leading._look_ahead(planned)
    assert said == []


def test_every_kind_that_makes_something_ready_is_named() -> None:
    assert {name for name in KINDS if KINDS[name].ahead is not None} == set(AHEAD)
