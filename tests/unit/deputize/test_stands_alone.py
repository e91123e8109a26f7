"""The library sends nobody to a command of ours: what would help is said in its own words, and as data."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.errors import advice
from deputize.errors import ExplainedError, Remedy
from tests.conftest import ROOT

OURS = re.compile(r"\bdemo\b|DEMO_|machine-identity-demo|--(server|state|device|browser|scope|as)\b", re.IGNORECASE)
"""The command, its environment, its name, its options."""


def strings(file: Path) -> Iterator[str]:
    """All that a module may say, and its documentation."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_text_of_the_library_names_the_demo() -> None:
    files = sorted((ROOT / "deputize").rglob("*.py"))
    assert len(files) > 40
    said = [(file.name, text) for file in files for text in strings(file) if OURS.search(text)]
    assert said == []


@pytest.mark.parametrize(
    ("remedy", "here"),
    [
        (Remedy("log_in"), "demo login"),
        (Remedy("log_in", flow="browser"), "demo login --browser"),
        (Remedy("log_in", scopes=("a", "b")), "demo login --scope a --scope b"),
        (Remedy("forget_and_log_in"), "demo logout"),
        (Remedy("check_server"), "--server"),
        (Remedy("check_server", server="https://shop.example/mcp"), "--server https://shop.example/mcp"),
        (Remedy("restart_server"), "demo stop"),
        (Remedy("register_client"), "[client] id"),
        (Remedy("name_resource"), "[client] resource"),
        (Remedy("choose_folder"), "--state"),
        (Remedy("call_without_token"), "demo call"),
        (Remedy("read_token"), "demo token"),
        (Remedy("check_machine"), "demo doctor"),
    ],
    ids=lambda value: value.action if isinstance(value, Remedy) else "",
)
def test_the_command_line_turns_each_remedy_into_its_own_command(remedy: Remedy, here: str) -> None:
    error = ExplainedError("it failed", do="do something", remedy=remedy)
    assert advice(error).startswith("do something") and here in advice(error)
    assert advice(ExplainedError("it failed", do="log in", remedy=Remedy("log_in"))) == "demo login"
    assert advice(ExplainedError("it failed", do="wait")) == "wait"


def test_who_sees_the_traceback_alone_reads_why_and_what_to_do() -> None:
    said = "".join(traceback.format_exception_only(ExplainedError("it failed", why="no network", do="plug it in")))
    assert said.splitlines()[1:] == ["no network", "plug it in"]
