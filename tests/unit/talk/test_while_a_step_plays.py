"""While a step plays the room reads its title, never its id: that is its author's word, and tells how it will end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from talk.stage.screen import Stage


@pytest.mark.parametrize("title", ["The human is asked", ""])
def test_the_status_has_the_title_of_a_step_and_not_its_id(title: str) -> None:
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=80, height=24, _environ={"TERM": "xterm"})
    Stage(terminal, person=True).begin_step("refused", "call", title)
    said = written.getvalue()
    assert "..." in said
    assert title in said
    assert "refused" not in said
