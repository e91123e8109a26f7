"""`demo doctor` says what the stage needs of this machine, each thing once and none left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.preflight.on_stage import WORKER_BEATS, examine_worker_tools
from demo.settings import Settings
from talk.script import load_talk
from tests.conftest import Command
from tests.journeys.terminal import Terminal

NOWHERE = "http://127.0.0.1:9/mcp"


def test_the_beats_that_it_names_are_those_that_run_a_worker() -> None:
    beats = load_talk(None).beats.values()
    assert {beat.id for beat in beats if any(step.do in ("worker", "edge-agent") for step in beat.steps)} == set(
        WORKER_BEATS
    )


def test_without_node_two_beats_are_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("demo.deploy.tools._nodes", lambda worker: [])
    found = examine_worker_tools(Settings(state=tmp_path))
    assert found.mark == "warn"
    assert all(beat in found.detail for beat in WORKER_BEATS)
    assert "Node" in found.fix
    assert examine_worker_tools(Settings(state=tmp_path, edge="off")).mark == "skip"


def test_a_server_that_cannot_be_reached_is_told_once(demo: Command) -> None:
    shown = demo("doctor", "--server", NOWHERE)
    assert shown.returncode == 3
    assert shown.stdout.count(NOWHERE) == 2  # which one is meant, and that it cannot be reached
    assert json.loads(demo("--json", "doctor", "--server", NOWHERE).stdout)["capabilities"] == []


def test_no_line_is_left_out_of_a_low_screen(demo: Command) -> None:
    names = [finding["name"] for finding in json.loads(demo("--json", "doctor").stdout)["findings"]]
    shown, _ = demo.start("doctor", LINES="10").communicate(timeout=60)
    assert [name for name in names if f" {name} " not in shown] == []


def test_the_colours_of_the_terminal_are_told(demo: Command) -> None:
    screen = Terminal(demo, "doctor", "--server", NOWHERE)
    try:
        screen.until(r"terminal +80x24, (16|256|16 million) colours")
    finally:
        screen.close()
