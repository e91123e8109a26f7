"""Every panel looks as it did when a person last looked at it, at the design's width and at a wide one.

After a change that is meant, `UPDATE_SNAPSHOTS=1 pytest tests/unit/panels` draws them again; read the diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import RenderableType

from demo.panels.fit import drawn

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize(("width", "rows"), [(80, 24), (120, 40)])
def test_a_panel_looks_as_it_did(
    ordinary: str, width: int, rows: int, drawing: Callable[[str], RenderableType]
) -> None:
    now = "\n".join(drawn(drawing(ordinary), width, rows)) + "\n"
    kept = SNAPSHOTS / f"{ordinary}.{width}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        SNAPSHOTS.mkdir(exist_ok=True)
        kept.write_text(now, encoding="utf-8")
    assert now.splitlines() == kept.read_text(encoding="utf-8").splitlines()


def test_no_snapshot_is_left_of_a_panel_that_is_gone(every_ordinary: list[str]) -> None:
    assert {path.name.rsplit(".", 2)[0] for path in SNAPSHOTS.iterdir()} == set(every_ordinary)
