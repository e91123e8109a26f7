"""The README's picture: the same panels give the same file, and it asks no web server for anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from rich.console import RenderableType

from demo.panels.picture import picture


def test_a_picture_is_the_same_every_time_and_loads_nothing(
    tmp_path: Path, drawing: Callable[[str], RenderableType]
) -> None:
    for name in ("first.svg", "second.svg"):
        picture([drawing("header"), "", drawing("decision-scope")], tmp_path / name, title="demo <next>")
    svg = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert svg == (tmp_path / "second.svg").read_text(encoding="utf-8")
    assert "@font-face" not in svg
    assert "url(http" not in svg
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "demo <next>" in text
    assert "outside of what was granted" in text
