"""What the documents name is there: files, links and their sections, modules, make targets, commands and options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from demo.cli.app import app
from tests.conftest import ROOT

FROM = (".", "docs", "deputize", "examples", "talk", "worker", "worker/agent")
PAGES = sorted(page for folder in FROM for page in (ROOT / folder).glob("*.md"))
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which speaks of what was
FOLDERS = r"(?:\.ci|\.github|bench|demo|deputize|docs|examples|requirements|talk|tests|tools|worker)/"


def there(page: Path, name: str) -> bool:
    """Whether a path is there, from the root or beside the page; `*` and `{a,b}` name at least one file each."""
    head, brace, rest = name.partition("{")
    inside, _, tail = rest.partition("}")
    names = [f"{head}{one}{tail}" for one in inside.split(",")] if brace else [name]
    return all(any((base / one).exists() or [*base.glob(one)] for base in (ROOT, page.parent)) for one in names)


def code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    linked = [one.partition("#")[0] for one in re.findall(r"\]\(([^):\s]+)\)", text)]
    missing = [one for one in linked if one and not (page.parent / one).exists()]
    # With a dot or a slash at its end it is a path; `tools/call` is a method of MCP.
    paths = [one for one in code(text) if re.fullmatch(FOLDERS + r"[\w./*{},-]*", one) and re.search(r"\.|/$", one)]
    missing += [one for one in paths if not there(page, one)]
    for name in code(text):
        if re.fullmatch(r"(?:demo|deputize|talk|tools|bench)(?:\.\w+)+", name) and name != "demo.toml":
            module = name.replace(".", "/")
            parent = module.rpartition("/")[0]
            found = [f"{one}{end}" for one in (module, parent) for end in (".py", "/__init__.py")]
            if not any((ROOT / one).is_file() for one in found):
                missing.append(name)
    assert not missing


def test_every_target_that_a_page_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {one for page in PAGES for one in re.findall(r"`make ([a-z-]+)`", page.read_text("utf-8"))}
    assert named and named <= targets


SERVICE = "demo local server"
"""What a local server signs (docs/wire.md); no command."""


def commands_in(text: str) -> list[str]:
    """Each `demo ...` of a page: in backticks, and after the prompt of a console."""
    lines = re.findall(r"^ *\$ (demo .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    return [*lines, *(one for one in code(text) if one.startswith("demo ") and one != SERVICE)]


@pytest.fixture(scope="module")
def command_line() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_is_one_and_has_the_options(page: Path, command_line: Any) -> None:
    wrong = []
    for line in commands_in(page.read_text("utf-8")):
        flags = {"--help"} | {flag for option in command_line.params for flag in option.opts}
        commands, named = command_line.commands, False
        for word in re.split(r"[\s|\\\[\]]+", line)[1:]:
            if word in commands:
                named = True
                flags |= {flag for option in commands[word].params for flag in (*option.opts, *option.secondary_opts)}
                commands = getattr(commands[word], "commands", commands)
            elif re.fullmatch(r"--[a-z][a-z-]*" if named else r"(--)?[a-z][a-z-]+", word) and word not in flags:
                wrong.append(line)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_section_that_a_page_links_to_is_there(page: Path) -> None:
    missing = []
    for name, section in re.findall(r"\]\(([^):#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
        other = page.parent / name if name else page
        titles = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE) if other.suffix == ".md" else []
        slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in titles]
        missing += [f"{name}#{section}"] if section not in slugs else []
    assert not missing
