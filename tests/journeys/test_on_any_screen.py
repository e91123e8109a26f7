"""What is drawn where: odd screen sizes, --plain and --width on both streams, a second terminal, long names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from talk.run import Run
from tests import in_process
from tests.journeys.terminal import ROOT, Terminal

if TYPE_CHECKING:
    from tests.conftest import Command


@pytest.mark.parametrize("columns", ["0", "5", "-1", "", "²", "9" * 30, "many"])
def test_a_screen_size_that_cannot_be_is_no_size(demo: Command, columns: str) -> None:
    environment = demo.environment() | {"COLUMNS": columns, "LINES": columns}
    listed = in_process.run(["list"], environment=environment, folder=ROOT, timeout=60)
    assert listed.returncode == 0 and "opening" in listed.stdout, listed.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "narrow"),
    [
        (("goto", "nope", "--plain"), {}, False),
        (("--nope", "--plain"), {}, False),
        (("goto", "nope"), {"DEMO_PLAIN": "1"}, False),
        (("--help",), {"DEMO_PLAIN": "1"}, False),
        (("goto", "nope", "--width", "40", "--plain"), {}, True),
        (("goto", "nope", "--width=40"), {"DEMO_PLAIN": "1"}, True),
        (("goto", "nope", "--plain"), {"DEMO_WIDTH": "40"}, True),
        (("--help", "--width", "40", "--plain"), {}, True),
    ],
)
def test_errors_and_help_keep_to_the_settings(
    demo: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    narrow: bool,
) -> None:
    settled = demo.environment() | environment
    monkeypatch.setattr(demo, "environment", lambda: settled)
    terminal = Terminal(demo, *arguments, served=False)
    terminal.wait()
    terminal.close()
    assert b"\x1b" not in terminal.written
    widest = max(cell_len(line) for line in terminal.written.decode().splitlines())
    assert widest <= (40 if narrow else 80)


def test_a_beat_that_plays_is_playing_in_a_second_terminal(demo: Command) -> None:
    screen = Terminal(demo, "goto", "login", "--quiet")
    try:
        screen.until("Decide there")
        told = demo("status", "--json")
        assert json.loads(told.stdout)["playing"] is True
        assert "(playing)" in demo("status").stdout
        screen.type("\x03")
        assert screen.wait() == 130
    finally:
        screen.close()
    assert json.loads(demo("status", "--json").stdout)["playing"] is False
    assert "interrupted: demo next" in demo("status").stdout


def test_an_interrupted_jump_goes_on_where_it_said_it_would(demo: Command) -> None:
    assert demo("next").returncode == 0
    screen = Terminal(demo, "goto", "buy")
    try:
        screen.until("playing it aside")
        screen.type("\x03")
        assert screen.wait() == 130
        assert "demo next goes on from here" in screen.screen
    finally:
        screen.close()
    told = json.loads(demo("status", "--json").stdout)
    assert (told["beat"], told["done"]) == ("buy", False)
    assert demo("next").returncode == 0
    told = json.loads(demo("status", "--json").stdout)
    assert (told["beat"], told["done"]) == ("buy", True)


def test_a_clock_that_was_set_back_gives_no_negative_time(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo("next").returncode == 0
    with Run.open(demo.state) as run:
        run._db.execute("UPDATE run SET started_at = started_at + 7200")
    assert json.loads(demo("status", "--json").stdout)["elapsed_seconds"] == 0
    assert "-" not in demo("status").stdout.splitlines()[1].partition("(")[0]


def test_the_plan_is_aligned_by_columns_and_no_id_is_cut(demo: Command, tmp_path: Path) -> None:
    talk, long = tmp_path / "talk", "a-beat-with-a-name-that-is-rather-long-for-a-column"
    for folder in ("beats", "plans"):
        (talk / folder).mkdir(parents=True)
    names = {"one": "日本語の人", long: "Ann", "three": "👩🏽‍💻 Zoë"}
    plan = 'title = "Mine"\nminutes = 3\n[[sections]]\ntitle = "All"\nminutes = 3\n'
    for at, (beat, speaker) in enumerate(names.items()):
        (talk / "beats" / f"{beat}.md").write_text(_beat(f"Title{at}"), "utf-8")
        plan += f'[[sections.beats]]\nid = "{beat}"\nminutes = 1\nspeaker = "{speaker}"\n'
    (talk / "plans" / "problem-first.toml").write_text(plan, "utf-8")
    for width in ("100", "60", "30"):
        listed = demo("list", "--talk", str(talk), "--width", width)
        assert listed.returncode == 0, listed.stderr
        assert long in listed.stdout
        if width == "100":
            places = [cell_len(line.partition("Title")[0]) for line in listed.stdout.splitlines() if "Title" in line]
            assert len(places) == 3 and len(set(places)) == 1


def _beat(title: str) -> str:
    shipped = (ROOT / "talk" / "beats" / "opening.md").read_text("utf-8")
    return "".join(
        f'title = "{title}"\n' if line.startswith("title = ") else line for line in shipped.splitlines(keepends=True)
    )
