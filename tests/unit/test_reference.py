"""The reference of the commands is what the commands say."""

from __future__ import annotations

from demo.cli.commands import COMMANDS
from tools import reference


def test_the_page_is_fresh() -> None:
    assert reference.PAGE.read_text("utf-8") == reference.page(), "renew it: make reference"


def test_every_command_has_its_line_and_its_section() -> None:
    page = reference.page()
    assert [name for name in COMMANDS if f"* `{name}`: " not in page or f"## `demo {name}`" not in page] == []
