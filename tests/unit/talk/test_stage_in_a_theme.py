"""A stage in a theme leaves no cell in the terminal's own colours: nor the status line, which no panel draws."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from demo.cli.console import CommandConsole
from demo.panels import theme
from talk.stage.screen import Stage


@pytest.fixture
def light() -> Iterator[None]:
    theme.use("light")
    yield
    theme.use(theme.TERMINAL)


@pytest.mark.usefixtures("light")
def test_status_and_notes_are_painted_to_the_edge_and_the_screen_is_cleared_to_the_background() -> None:
    given = {"color_system": "truecolor", "width": 40, "height": 10, "_environ": {"TERM": "xterm"}}
    console = CommandConsole(goes_on=True, file=io.StringIO(), force_terminal=True, legacy_windows=False, **given)
    stage = Stage(console, person=True)
    console.clear()
    stage.status("waiting for the human")
    stage.note("noted")
    written = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    background = ";".join(str(int(theme.current().background[at : at + 2], 16)) for at in (1, 3, 5))
    painted = sum(
        len(text)
        for style, text in re.findall(r"\x1b\[([0-9;]*)m([^\x1b\n]*)", written)
        if f"48;2;{background}" in style
    )
    # The empty screen, the status line, that line erased, the note.
    assert painted == 40 * (10 + 1 + 1 + 1)
