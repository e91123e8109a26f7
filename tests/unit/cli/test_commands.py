"""The registry of commands: each is found, stands under its heading, is completed by a shell, and loads no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from demo.cli.app import app
from demo.cli.commands import COMMANDS
from demo.cli.hosts import HOSTS
from tests.conftest import ROOT, Command

Complete = Callable[[str], list[str]]
GROUP = typer.main.get_command(app)
BEATS = {one.stem for one in (ROOT / "talk" / "beats").glob("*.md")}


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Complete:
    """What a shell offers for the last word of a command line."""

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("DEMO_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("_DEMO_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        with pytest.raises(SystemExit) as left:
            app(args=[], prog_name="demo")
        assert left.value.code == 0
        return capsys.readouterr().out.splitlines()

    return ask


def test_every_command_is_there_by_the_name_and_heading_of_the_registry() -> None:
    commands = GROUP.commands  # type: ignore[attr-defined]  # a group has them
    for name, entry in COMMANDS.items():
        assert (commands[name].name, commands[name].rich_help_panel) == (name, entry.heading)
        assert commands[name].help, f"{name} says nothing"
    assert set(commands) == set(COMMANDS)


def test_the_help_has_each_heading_once(demo: Command) -> None:
    said = demo("--help").stdout
    headings = list(dict.fromkeys(entry.heading for entry in COMMANDS.values()))
    assert [said.count(f" {heading} ") for heading in headings] == [1] * len(headings)
    assert sorted(headings, key=said.index) == headings


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("demo goto ", BEATS),
        ("demo notes w", {one for one in BEATS if one.startswith("w")}),
        ("demo run --from ", BEATS),
        ("demo run --pace ", {"stage", "brisk", "none"}),
        ("demo run --plan ", {"problem-first", "context-first"}),
        ("demo connect ", set(HOSTS)),
        ("demo deploy --scopes-from ", {"token", "role"}),
        ("demo door ", {"open", "protected"}),
        ("demo re", {name for name in COMMANDS if name.startswith("re")}),
    ],
)
def test_a_shell_completes(complete: Complete, line: str, offered: set[str]) -> None:
    assert set(complete(line)) == offered


def test_the_beats_of_a_talk_of_your_own_are_completed(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "beats").mkdir()
    (tmp_path / "beats" / "mine.md").touch()
    assert complete(f"demo run --talk {tmp_path} --from ") == ["mine"]


@pytest.mark.parametrize("word", ["--pace slowly", "--plan nowhere"])
def test_another_word_than_a_choice_is_a_usage_error_that_names_them(demo: Command, word: str) -> None:
    ran = demo("run", *word.split())
    assert ran.returncode == 2
    assert ("brisk" if "pace" in word else "context-first") in ran.stderr


@pytest.mark.parametrize(
    ("line", "spared"),
    [
        (["--version"], {"rich", "pydantic", "mcp", "httpx2", "talk", "demo.cli.performing"}),
        (["--help"], {"pydantic", "mcp", "httpx2", "authlib", "demo.client", "talk.script"}),
        (["list"], {"pydantic", "asyncio", "mcp", "httpx2", "authlib", "joserfc", "keyring", "demo.cli.performing"}),
        (["status"], {"pydantic", "mcp", "httpx2", "authlib", "joserfc", "keyring", "demo.cli.performing"}),
    ],
    ids=lambda one: one[0] if isinstance(one, list) else None,
)
def test_a_command_imports_only_what_it_needs(demo: Command, line: list[str], spared: set[str]) -> None:
    told = "import sys, atexit; atexit.register(lambda: sys.stderr.write('loaded ' + ' '.join(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{told}; from demo.cli.main import main; main({line})"],
        env=demo.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(ran.stderr.rpartition("loaded ")[2].split()) & spared == set()


def test_a_group_without_its_command_is_a_missing_command_also_as_json(demo: Command) -> None:
    asked = demo("workos", "--json")
    assert asked.returncode == 2
    assert json.loads(asked.stdout)["error"] == {
        "exit_code": 2,
        "what": "Missing command",
        "why": "",
        "do": "see: demo workos --help",
    }


def test_the_server_that_a_host_needs_is_started_in_the_same_state_folder(demo: Command) -> None:
    asked = demo("--state", "of my own", "connect", "claude", "--port", "7327")
    assert "demo --state 'of my own' serve --port 7327" in asked.stdout
