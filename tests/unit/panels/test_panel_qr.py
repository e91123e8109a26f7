"""The QR code on the screen is the QR code of the standard, quiet zone and all, and it is light on dark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import segno
from rich.console import Console, RenderableType

from demo import panels
from demo.evidence.screen import Link
from demo.panels import bigtype
from demo.panels.fit import drawn

HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


def modules(lines: list[str], side: int) -> list[list[int]]:
    """The dark modules (1) read back from half blocks whose ink is light; the code starts after the margin."""
    rows: list[list[int]] = []
    for line in lines:
        halves = [HALVES.get(character, (0, 0)) for character in line[2 : 2 + side].ljust(side)]
        rows += [[1 - top for top, _ in halves], [1 - bottom for _, bottom in halves]]
    return rows


def symbol(data: str, border: int) -> list[list[int]]:
    made = segno.make(data, error="l", micro=False, boost_error=False)
    return [[int(module) for module in row] for row in made.matrix_iter(border=border)]


def code_rows(panel: RenderableType, width: int = 80) -> list[str]:
    return [line for line in drawn(panel, width) if line[2:22].strip() and set(line[2:22]) <= set(HALVES)]


def test_the_device_code_is_drawn_module_for_module_with_four_modules_of_quiet_zone(evidence: dict[str, Any]) -> None:
    device = evidence["FAR"]
    wanted = symbol(device.verification_uri_complete, 4)
    read = modules(code_rows(panels.device(device, evidence["NOW"])), len(wanted))
    assert read[: len(wanted)] == wanted
    assert read[len(wanted) :] == [[0] * len(wanted)] * (len(wanted) % 2)


def test_without_a_complete_address_the_code_is_of_the_plain_one(evidence: dict[str, Any]) -> None:
    device = replace(evidence["FAR"], verification_uri_complete=None)
    wanted = symbol(device.verification_uri, 4)
    assert modules(code_rows(panels.device(device, evidence["NOW"])), len(wanted))[: len(wanted)] == wanted


@pytest.mark.parametrize("length", [30, 45, 60, 77])
def test_a_link_is_drawn_module_for_module(length: int) -> None:
    url = "https://github.com/" + "a" * (length - 19)
    rows = code_rows(panels.link(Link("The code", url)))
    read = [
        border
        for border in (4, 3, 2)
        if modules(rows, len(symbol(url, border)))[: len(symbol(url, border))] == symbol(url, border)
    ]
    assert read, "no quiet zone of at least two modules"


def test_the_code_is_white_on_black_whatever_the_terminal(evidence: dict[str, Any]) -> None:
    console = Console(width=80, height=24, color_system="truecolor", force_terminal=True, _environ={})
    segments = [
        part for part in console.render(panels.device(evidence["FAR"], evidence["NOW"])) if "▄▄▄▄▄ █" in part.text
    ]
    assert segments
    for segment in segments:
        assert segment.style is not None
        assert segment.style.color is not None and segment.style.color.name == "#ffffff"
        assert segment.style.bgcolor is not None and segment.style.bgcolor.name == "#000000"


def test_an_address_too_long_for_a_code_is_still_there_to_type() -> None:
    lines = drawn(panels.link(Link("The code", "https://example.com/" + "a" * 120)), 80)
    assert any("type the address" in line for line in lines)
    assert any("https://example.com/aaa" in line for line in lines)


@pytest.mark.parametrize("url", ["http://127.0.0.1:7327/device", "http://localhost/device", "http://[::1]:7327/device"])
def test_for_a_page_that_no_phone_reaches_there_is_a_larger_code_in_the_place_of_a_qr(
    url: str, evidence: dict[str, Any]
) -> None:
    device = replace(evidence["DEVICE"], verification_uri=url, verification_uri_complete=url)
    lines = drawn(panels.device(device, evidence["NOW"]), 80)
    assert bigtype.big(device.user_code, bigtype.TALL, blocks=True) == [line[2:] for line in lines[2:7]]
    assert any(url in line for line in lines)


@pytest.mark.parametrize("url", ["https://shop.example.com/device", "http://127.evil.example/device"])
def test_for_a_page_of_the_world_there_is_a_qr_code(url: str, evidence: dict[str, Any]) -> None:
    device = replace(evidence["DEVICE"], verification_uri=url, verification_uri_complete=url)
    assert code_rows(panels.device(device, evidence["NOW"]))[3:]
