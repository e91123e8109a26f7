"""The README cannot lie: its commands are run, its beat is played, its pictures and links are there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.client import SampleHuman
from tests.conftest import HANGS
from tests.journeys.terminal import ROOT
from tests.unit.model.endpoints import Fake, faking, openai

if TYPE_CHECKING:
    from tests.conftest import Command

README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} block"
    return found


def commands() -> list[list[str]]:
    """Every command of the README's console blocks, in order, without its comment."""
    lines = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line[2:], comments=True) for line in lines]


def wants_node(arguments: list[str]) -> bool:
    """Whether `tests/contract` runs it: here nobody need have Node."""
    return "--worker" in arguments or "deploy" in arguments


def wants_a_terminal(arguments: list[str]) -> bool:
    """Whether it is a full-screen session, or follows one: other tests give it a terminal."""
    return arguments[:1] in (["stage"], ["presenter"])


@pytest.fixture
def model() -> Iterator[Fake]:
    with faking() as fake:
        yield fake


@pytest.mark.long
def test_every_command_works_in_the_order_given(demo_apart: Command, tmp_path: Path, model: Fake) -> None:
    played = 0
    model.answer = openai(lambda read: ("Here you are.", []) if read else ("I look.", [("listMcpShopInventory", "{}")]))
    for program, *arguments in commands():
        if program != "demo" or wants_node(arguments) or wants_a_terminal(arguments):
            continue
        played += 1
        if "--model" in arguments:
            arguments += ["--base-url", model.url]
        files = (".json", ".xml", ".html", ".cast", "slides/")
        written = [str(tmp_path / word) if word.endswith(files) else word for word in arguments]
        finished = demo_apart(*written, timeout=180)
        said = f"demo {shlex.join(arguments)}: {finished.stdout[-1500:]}\n{finished.stderr}"
        assert finished.returncode == 0, said
        assert "Traceback" not in finished.stderr, said
    assert played >= 14
    assert len(model.asked) == 2
    assert (tmp_path / "talk.json").exists()
    assert (tmp_path / "talk.xml").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_the_make_targets_exist() -> None:
    targets = [words[1] for words in commands() if words[0] == "make"]
    assert targets == ["talk", "test"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True, timeout=HANGS)


def test_the_beat_in_the_readme_plays(demo: Command, tmp_path: Path) -> None:
    talk = tmp_path / "talk"
    (talk / "beats").mkdir(parents=True)
    (talk / "plans").mkdir()
    (talk / "beats" / "no-token.md").write_text(blocks("markdown")[0])
    (talk / "plans" / "short.toml").write_text(blocks("toml")[0])
    assert len(blocks("markdown")[0].splitlines()) <= 15
    finished = demo("run", "--ci", "--talk", str(talk), "--plan", "short")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "REFUSED" in finished.stdout or "Refused" in finished.stdout


def test_the_program_in_the_readme_logs_in_and_lists_the_tools(base_url: str, tmp_path: Path) -> None:
    (program,) = blocks("python")
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    file = tmp_path / "program.py"
    file.write_text(program.replace("http://127.0.0.1:7327", base_url))
    process = subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        where = re.fullmatch(r"Open (\S+) and enter (\S+)\n", line)
        assert where is not None, line
        SampleHuman("alice@example.com").decide(where[1], where[2], True)
        out, err = process.communicate(timeout=HANGS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "buyMcpShopItem" in out


def test_the_settings_in_the_readme_are_settings(tmp_path: Path) -> None:
    from demo.settings import settle

    (text,) = blocks("ini")
    (tmp_path / "demo.toml").write_text(text)
    settings = settle({"profile": "files"}, {"FILES_SECRET": "x"}, tmp_path / "demo.toml")
    assert settings.server == "https://files.example/mcp"
    assert settings.client.id == "my-agent" and settings.client.redirect_port == 8765
    assert settings.tools.call("listMcpShopInventory", {})[0] == "list_files"


def test_every_file_that_it_links_to_is_there() -> None:
    linked = re.findall(r"\]\(([^):]+)\)", README)
    assert linked
    for path in linked:
        assert (ROOT / path).exists(), path


def test_every_dependency_has_a_row_with_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = README.partition("## What it stands on")[2].lower()
    for requirement in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", requirement)
        assert name is not None
        assert name.group() in table, f"{requirement} has no row in the README"
