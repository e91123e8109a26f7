"""Every row of the threat model is shown by a test that exists, and every attack that is tested has its row."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "threat-model.md"


def _rows(heading: str) -> list[list[str]]:
    """The cells of the tables between a heading of the second level and the next one, without the tables' heads."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = section.splitlines()
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"\|[-|]+\|", line)}
    heads = {number - 1 for number in rules}
    kept = [line for number, line in enumerate(lines) if line.startswith("|") and number not in rules | heads]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in kept]


def test_every_row_names_code_and_a_test_that_are_there() -> None:
    rows = _rows("What is defended")
    assert len(rows) > 20
    for row in rows:
        assert len(row) == 4, row
        tests = re.findall(r"\]\((\.\./(?:tests|worker/test)/[^)#]+)\)", row[3])
        assert tests and all((PAGE.parent / one).is_file() for one in tests), row


def test_what_is_not_defended_says_why() -> None:
    assert all(len(row) == 2 and all(row) for row in _rows("What is not defended, and why"))


def test_every_test_of_an_attack_is_in_the_model() -> None:
    text = PAGE.read_text("utf-8")
    written = {path.name for path in (ROOT / "tests" / "attacks").glob("test_*.py")}
    assert written <= set(re.findall(r"\.\./tests/attacks/(test_\w+\.py)", text))
