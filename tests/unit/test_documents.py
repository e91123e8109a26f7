"""What the documents name is there: files, links, modules, make targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "worker" / "README.md", ROOT / "talk" / "README.md"]
)
PAGES = [page for page in PAGES if page.is_file() and page.name != "CHANGELOG.md"]  # which speaks of what was
FOLDERS = r"(?:\.ci|\.github|bench|demo|docs|requirements|talk|tests|tools|worker)/"


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
        if re.fullmatch(r"(?:demo|talk|tools|bench)(?:\.\w+)+", name) and name != "demo.toml":
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
