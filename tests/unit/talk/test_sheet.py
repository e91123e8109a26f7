"""The audience's screen at any size: every line fits, the newest stays, and large screens get large letters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from demo import panels
from demo.evidence.screen import BeatHeader
from demo.panels.page import Canvas, Page
from talk.stage.sheet import Line, Sheet, Size, paint, title_card

SIZES = [(20, 6), (40, 12), (60, 20), (80, 24), (100, 30), (120, 40), (160, 45), (300, 90)]
HEADER = BeatHeader("buy", "It buys", 11, 20, "Cloudflare", 0.75)
SENTENCE = "The agent spent money, and three things say on whose word: who, how much, and until when it may."


def block(name: str, rows: int) -> tuple[str, Page]:
    def draw(canvas: Canvas) -> None:
        for row in range(rows):
            canvas.line(f"{name}{row}")

    return name, Page(draw)


FULL = Sheet(
    HEADER,
    (block("one", 9), block("two", 9), ("say", panels.statement("Human -> Agent -> Action"))),
    closing=SENTENCE,
    notes=("skipped first: there is nothing to do", "the local server moved to another port " * 3),
    status="waiting for the human's decision",
    share=0.4,
    awaits=True,
)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)


@pytest.mark.parametrize("size", [-1, 0, 1])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_screen_has_its_rows_and_no_line_is_too_long(width: int, height: int, size: Size, encoding: str) -> None:
    for sheet in (Sheet(), FULL, Sheet(panels=(("front", title_card("Problem first", "space begins")),))):
        lines = paint(sheet, width, height, size=size, encoding=encoding)
        assert len(lines) == height
        assert max(map(cell_len, text(lines).split("\n"))) <= width
        text(lines).encode(encoding)


@pytest.mark.parametrize(("width", "height"), SIZES[3:])
def test_the_newest_panel_is_seen_and_the_last_sentence_stands_below_it(width: int, height: int) -> None:
    shown = text(paint(Sheet(HEADER, (block("old", 15), block("new", 15)), closing=SENTENCE), width, height))
    assert "new0" in shown and "new14" in shown
    assert shown.index("new14") < shown.index("The agent spent")
    assert ("old0" in shown) == (height >= 40)


def test_large_shows_the_newest_panel_alone() -> None:
    sheet = Sheet(HEADER, (block("old", 3), block("new", 3)))
    assert "old0" in text(paint(sheet, 80, 24, size=0))
    assert "old0" not in text(paint(sheet, 80, 24, size=1))


@pytest.mark.parametrize(
    ("width", "height", "size", "large"), [(80, 24, 0, False), (120, 40, 0, True), (80, 24, 1, True)]
)
def test_the_title_is_in_block_letters_where_there_is_room(width: int, height: int, size: Size, large: bool) -> None:
    shown = text(paint(Sheet(HEADER), width, height, size=size))
    assert ("▀█▀" in shown) == large
    assert ("It buys" in shown) == (not large)
    assert "0.75" not in shown  # minutes are the presenter's


def test_a_panel_to_act_on_gets_the_title_s_rows_where_it_needs_them() -> None:
    _, code = block("code", 22)
    for kind, headed in (("device", False), ("decision", True)):
        shown = text(paint(Sheet(HEADER, ((kind, code),)), 80, 24))
        assert ("It buys" in shown) is headed


def test_a_panel_that_asks_keeps_the_title_with_the_rows_of_a_sentence_that_never_comes() -> None:
    sheet = Sheet(HEADER, (block("device", 18),), notes=("Enter says yes",), status="waiting")
    shown = text(paint(sheet, 80, 24))
    assert "It buys" in shown and "device17" in shown and "Enter says yes" in shown


def test_a_recorded_take_says_so() -> None:
    assert "RECORDED" in text(paint(Sheet(replace(HEADER, recorded=True)), 80, 24))
