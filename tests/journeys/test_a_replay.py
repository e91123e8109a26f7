"""A replay in a real terminal: a clicker leads through it, forward and back, and nothing of a server is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from talk.recording.finding import SHIPPED
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.conftest import Command

NEXT, BACK = b"\x1b[6~", b"\x1b[5~"


@pytest.fixture
def three_beats(tmp_path: Path) -> Path:
    """A recording of three beats without pauses, so that each key is about a beat."""
    head, *lines = (SHIPPED / "problem-first.jsonl").read_text("utf-8").splitlines()
    beats: list[list[str]] = []
    for line in lines:
        name = json.loads(line)["event"]
        if name == "beat":
            beats.append([])
        if name in ("beat", "closing", "end"):
            beats[-1].append(line)
    file = tmp_path / "three.jsonl"
    file.write_text("\n".join([head, *beats[0], *beats[1], *beats[2]]) + "\n")
    return file


def test_a_clicker_leads_through_it_forward_and_back(demo: Command, three_beats: Path) -> None:
    terminal = Terminal(demo, "replay", str(three_beats), served=False)
    seen = ""
    try:
        for key, beat in ((b"", 1), (NEXT, 2), (BACK, 1), (NEXT, 2), (b" ", 3)):
            terminal.type(key)
            seen += rf"RECORDED {beat}/[\s\S]*"
            terminal.until(seen + "(Enter for the next|The recording is over)")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert not demo.state.exists(), "no server was started, and no run"


@pytest.fixture
def far_apart(tmp_path: Path) -> Path:
    """A recording of six beats with minutes between them: by itself a replay of it takes half a minute."""
    head, *lines = map(json.loads, (SHIPPED / "problem-first.jsonl").read_text("utf-8").splitlines())
    beats = [line | {"at": 100.0 * number} for number, line in enumerate(line for line in lines if "header" in line)]
    file = tmp_path / "six.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in (head, *beats[:6])))
    return file


def test_with_its_own_timing_a_key_goes_on_at_once(demo: Command, far_apart: Path) -> None:
    terminal = Terminal(demo, "replay", str(far_apart), "--pace", "as-recorded", served=False)
    try:
        terminal.until("RECORDED 1/")
        for _ in range(40):
            terminal.type("\r")
            terminal.read_for(0.25)
            if "RECORDED 6/" in terminal.screen:
                break
        assert "RECORDED 6/" in terminal.screen
        assert terminal.wait() == 0
    finally:
        terminal.close()
