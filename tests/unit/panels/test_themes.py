"""Themes: readable by anybody on the background they name, and every cell of a screen is drawn in them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from rich.color import Color
from rich.console import RenderableType
from rich.segment import Segment

from demo.cli.console import CommandConsole
from demo.panels import theme
from demo.settings import CHOICES

VERDICTS = ("allowed", "refused", "waiting", "unverified")

SEEN_WITHOUT = {
    # Machado, Oliveira, Fernandes 2009: what is seen without one kind of cone, in linear RGB.
    "red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
CLEARLY_APART = 25.0
"""Distance in CIELAB (CIE 1976); about 2.3 is the smallest that is seen side by side."""


@pytest.fixture(autouse=True)
def _back_to_the_terminals_own() -> Iterator[None]:
    yield
    theme.use(theme.TERMINAL)


def _linear(colour: str) -> tuple[float, ...]:
    parts = (value / 255 for value in Color.parse(colour).get_truecolor())
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _lab(colour: str, without: str) -> tuple[float, float, float]:
    seen = [sum(map(float.__mul__, row, _linear(colour))) for row in SEEN_WITHOUT[without]]
    red, green, blue = (min(1.0, max(0.0, part)) for part in seen)
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883
    x, y, z = (part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_the_measure_of_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", CHOICES["theme"])
def test_every_role_is_readable_on_its_background(name: str) -> None:
    one = theme.themes()[name]
    assert {role: contrast(colour, one.background) >= 4.5 for role, colour in one.colours.items()} == dict.fromkeys(
        ("none", "quiet", *VERDICTS), True
    )
    assert one.dark == (_luminance(one.background) < _luminance(one.text))


@pytest.mark.parametrize("without", SEEN_WITHOUT)
def test_colour_blind_verdicts_differ_to_who_sees_no(without: str) -> None:
    colours = theme.themes()["colour-blind"].colours
    for one, other in combinations(VERDICTS, 2):
        there, here = _lab(colours[one], without), _lab(colours[other], without)
        assert sum((a - b) ** 2 for a, b in zip(there, here, strict=True)) ** 0.5 > CLEARLY_APART, (one, other)


def test_red_against_green_would_not_pass_that() -> None:
    there, here = _lab("#ff6b6b", "green"), _lab("#4cc38a", "green")
    assert sum((a - b) ** 2 for a, b in zip(there, here, strict=True)) ** 0.5 < CLEARLY_APART


def test_the_option_offers_the_themes_that_there_are() -> None:
    assert set(CHOICES["theme"]) == set(theme.themes())


def _console(name: str, **given: object) -> CommandConsole:
    theme.use(name)
    wanted = {"force_terminal": True, "color_system": "truecolor", "width": 80, "height": 24, "_environ": {}}
    return CommandConsole(goes_on=True, file=io.StringIO(), legacy_windows=False, **(wanted | given))


def _cells(console: CommandConsole, print_: Callable[[], None]) -> list[list[Segment]]:
    with console.capture():
        print_()
        return list(Segment.split_lines(list(console._buffer)))


@pytest.mark.parametrize("name", [name for name in CHOICES["theme"] if name != theme.TERMINAL])
def test_every_cell_of_a_panel_has_the_themes_own_colours(
    name: str, ordinary: str, drawing: Callable[[str], RenderableType]
) -> None:
    console, one = _console(name), theme.themes()[name]
    for line in _cells(console, lambda: console.print(drawing(ordinary))):
        assert Segment.get_line_length(line) == 80
        for segment in line:
            style = segment.style
            assert style is not None
            assert style.color is not None
            assert style.bgcolor is not None
            assert not style.dim
            drawn = (style.color.name, style.bgcolor.name)
            assert drawn[1] == one.background or drawn == ("#ffffff", "#000000"), segment  # a code to scan
            assert drawn[0] in {*one.colours.values(), "#ffffff"}


def test_the_terminals_own_theme_paints_nothing(drawing: Callable[[str], RenderableType]) -> None:
    console = _console(theme.TERMINAL)
    for line in _cells(console, lambda: console.print(drawing("order"))):
        assert all(segment.style is None or segment.style.bgcolor is None for segment in line)


def test_where_there_is_no_colour_a_theme_adds_nothing(drawing: Callable[[str], RenderableType]) -> None:
    for without in ({"no_color": True}, {"force_terminal": False, "color_system": None}):
        console = _console("light", **without)
        console.print(drawing("order"))
        written = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
        assert "38;2" not in written
        assert not any(line.endswith("  ") for line in written.splitlines())
