"""`demo new-talk`: what it makes plays as it is, and it writes over nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from talk.script import load_talk
from tests.conftest import Command


@pytest.mark.parametrize("name", ["my-talk", 'with "quotes" and \\slashes\\', "東京 2026", "x" * 90, "new\nline"])
def test_it_makes_a_talk_that_loads_whatever_its_folder_is_called(demo: Command, tmp_path: Path, name: str) -> None:
    made = demo("--json", "new-talk", str(tmp_path / "in" / name))
    assert made.returncode == 0, made.stderr
    talk = load_talk(tmp_path / "in" / name)
    assert [(plan.id, len(plan.beats)) for plan in talk.plans.values()] == [("talk", 3)]
    assert all(beat.notes for beat in talk.beats.values())
    (readme,) = [file for file in json.loads(made.stdout)["files"] if file == "README.md"]
    assert "TITLE" not in (tmp_path / "in" / name / readme).read_text("utf-8")


def test_it_writes_over_nothing(demo: Command, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").touch()
    (tmp_path / "file").touch()
    for name in ("full", "file"):
        assert demo("new-talk", str(tmp_path / name)).returncode == 2
    assert demo("new-talk", str(tmp_path / "file" / "below")).returncode == 3
    assert [path.name for path in (tmp_path / "full").iterdir()] == [".hidden"]


def test_it_plays_as_it_is(demo: Command, tmp_path: Path) -> None:
    assert demo("new-talk", str(tmp_path / "mine")).returncode == 0
    run = demo("run", "--ci", "--talk", str(tmp_path / "mine"), "--json", "-", "--quiet")
    told = json.loads(run.stdout)
    assert (run.returncode, told["ok"], told["plan"]) == (0, True, "talk"), run.stderr
    assert [beat["skipped"] for beat in told["beats"]] == [None, None, None]
    listed = demo("list", "--talk", str(tmp_path / "mine"))
    assert listed.returncode == 0, listed.stderr
