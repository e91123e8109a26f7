"""`demo check DIR --watch`: a save is answered, a broken file is told and the watch goes on, Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HANGS, Command


@pytest.fixture
def talk(demo: Command, tmp_path: Path) -> Path:
    assert demo("new-talk", str(tmp_path / "mine")).returncode == 0
    return tmp_path / "mine"


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def test_each_save_is_answered_until_ctrl_c(demo: Command, talk: Path) -> None:
    beat = talk / "beats" / "anybody.md"
    written = beat.read_text("utf-8")
    watching = demo.start("check", str(talk), "--watch", "--json")
    try:
        first = _said(watching)
        assert (first["ok"], first["played"]) == (True, [])
        beat.write_text(written.replace("order = true", "order = false"), "utf-8")
        red = _said(watching)
        assert (red["ok"], red["played"]) == (False, ["anybody"])
        beat.write_text(written.replace("[[steps]]", "[[steps]"), "utf-8")
        broken = _said(watching)
        assert "beats/anybody.md:" in broken["error"]["what"]
        beat.write_text(written, "utf-8")
        good = _said(watching)
        assert (good["ok"], good["error"], good["played"]) == (True, None, ["anybody"])
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=HANGS) == 0
    finally:
        watching.kill()
        watching.communicate()


def test_a_talk_is_checked_where_it_lies(demo: Command, talk: Path) -> None:
    told = json.loads(demo("check", str(talk), "--json").stdout)
    assert told["panels"] > 3
    assert not told["overflows"]
    assert demo("check", str(talk / "nowhere")).returncode == 2
    assert demo("check", str(talk / "nowhere"), "--watch").returncode == 2
