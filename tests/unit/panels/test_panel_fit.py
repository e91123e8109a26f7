"""Whatever a server sends, a panel fits its screen; and what does not fit is found, with its line named."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from demo import panels
from demo.panels.fit import drawn, measure, overflow
from demo.panels.page import Page


def test_the_ordinary_fits_the_design_size(ordinary: str, drawing: Callable[[str], RenderableType]) -> None:
    assert overflow(drawing(ordinary), 80, 20) is None


Worst = dict[str, Callable[[], RenderableType]]
"""One panel with the worst that a server may send, by the name of the text."""


def failing(worst: Worst, why: Callable[[RenderableType], str | None]) -> dict[str, str]:
    """The texts with which the panel fails, and why."""
    return {text: reason for text, draw in worst.items() if (reason := why(draw())) is not None}


def test_the_worst_fits_the_design_size(worst: Worst) -> None:
    assert failing(worst, lambda page: overflow(page, 80, 20)) == {}


def test_the_worst_fits_a_wide_screen(worst: Worst) -> None:
    assert failing(worst, lambda page: overflow(page, 120, 36)) == {}


def test_the_worst_does_not_crash_a_narrow_screen(worst: Worst) -> None:
    def too_wide(page: RenderableType) -> str | None:
        measure(page, 1)
        columns, _ = measure(page, 40)
        return f"{columns} columns" if columns > 40 else None

    assert failing(worst, too_wide) == {}


def test_nothing_a_terminal_obeys_is_ever_written(worst: Worst, printed: Callable[..., str]) -> None:
    def obeyed(page: RenderableType) -> str | None:
        written = printed(page, no_color=True)
        for style in ("\x1b[1m", "\x1b[2m", "\x1b[1;2m", "\x1b[0m", "\x1b[3m", "\x1b[4m"):
            written = written.replace(style, "")
        signs = {one for one in written if one != "\n" and not one.isprintable()}
        return ascii(sorted(signs)) if signs else None

    assert failing(worst, obeyed) == {}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_that_cannot_draw_it_gets_something_it_can(
    worst: Worst, encoding: str, printed: Callable[..., str]
) -> None:
    def nothing(page: RenderableType) -> str | None:
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="")
        # A character too many raises here.
        return None if printed(page, file=file).strip() or not drawn(page, 80) else "drew nothing"

    assert failing(worst, nothing) == {}


def test_only_words_alone_draw_nothing_where_there_are_none(every_worst: dict[str, Worst]) -> None:
    nothing = {
        panel: [text for text, draw in worst.items() if not drawn(draw(), 80)] for panel, worst in every_worst.items()
    }
    assert {panel: texts for panel, texts in nothing.items() if texts} == {
        "statement": ["empty"],
        "closing": ["empty"],
        "notes": ["empty"],
    }


def test_the_ascii_drawing_fits_too(
    ordinary: str, drawing: Callable[[str], RenderableType], printed: Callable[..., str]
) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict", newline="")
    lines = printed(drawing(ordinary), file=file).splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("rows", [10, 12, 16])
def test_a_panel_asked_to_be_shorter_leaves_out_the_least(rows: int, evidence: dict[str, Any]) -> None:
    for page in (panels.exchange(evidence["EXCHANGE"]), panels.audit(evidence["TRAIL"] * 30)):
        lines = drawn(page.within(rows), 80)
        assert len(lines) <= rows
        assert any("more line" in line or "other entries" in line for line in lines)


def test_a_line_too_wide_is_named() -> None:
    page = Page(lambda canvas: canvas.line("y" * 100))
    why = overflow(page, 80, 20)
    assert why is not None
    assert why.startswith('line 1 takes 102 columns of 80: "yyy')


def test_a_row_too_many_is_named() -> None:
    why = overflow(Text("\n".join(f"row {number}" for number in range(30))), 80, 20)
    assert why == '30 rows where 20 are free; the first line too many is "row 20"'


def test_a_value_broken_by_wrapping_is_named() -> None:
    why = overflow(Text("see http://127.0.0.1:7327/" + "a" * 70, overflow="fold"), 80, 20)
    assert why is not None
    assert "breaks a value in the middle" in why


def test_a_value_cropped_in_a_table_is_named() -> None:
    wide = Table(box=None)
    wide.add_row("user_01JBQX3M8VALICE")
    assert overflow(wide, 80, 20) is None
    narrow = Table(box=None)
    narrow.add_column("id", no_wrap=True)
    narrow.add_row("user_01JBQX3M8VALICE" * 5)
    why = overflow(narrow, 80, 20)
    assert why is not None
    assert "crops a value" in why


def test_measuring_is_what_a_console_really_prints(
    ordinary: str, drawing: Callable[[str], RenderableType], printed: Callable[..., str]
) -> None:
    _, rows = measure(drawing(ordinary), 80)
    assert rows == len(printed(drawing(ordinary)).rstrip().splitlines())
