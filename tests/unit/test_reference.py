"""The reference is what the commands and the kinds of step say."""

from __future__ import annotations

from demo.cli.commands import COMMANDS
from talk.playing import KINDS
from tools import reference


def test_the_pages_are_fresh() -> None:
    assert reference.stale() == [], "renew them: make reference"


def test_every_command_has_its_line_and_its_section() -> None:
    page = reference.commands()
    assert [name for name in COMMANDS if f"* `{name}`: " not in page or f"## `demo {name}`" not in page] == []


def test_every_kind_of_step_has_its_section_with_its_options_and_observables() -> None:
    page = reference.steps()
    for kind in KINDS.values():
        section = page.partition(f"\n## {kind.name}\n")[2].partition("\n## ")[0]
        assert [name for name in (*kind.options, *kind.observes, *kind.shows) if f"`{name}`" not in section] == []
