"""Pictures of the full-screen session at the sizes that stages have, kept under artifacts/, each one readable."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from demo.panels import theme
from talk.stage.app import Session, StageApp
from talk.stage.control import Control
from talk.stage.live import LiveStage
from talk.stage.sheet import Sheet, title_card
from tests.unit.panels.conftest import BEAT, ORDINARY

ROOT = Path(__file__).parent.parent.parent.parent
ARTIFACTS = Path(os.environ.get("ARTIFACTS", ROOT / "artifacts")) / "stage"
CASES: dict[str, tuple[tuple[str, ...], str, bool, str]] = {
    "refused": (("decision-refused",), "No token, no shirt.", False, "Ask a human"),
    "consent": (("device",), "", False, "up to"),
    "answer": (("answer-yes",), "The human decided, and the agent got a badge.", False, "said yes"),
    "token": (("token",), "The token says who.", False, "Genuine"),
    "limits": (("limits",), "", False, "calls"),
    "recorded": (("chain", "order"), "Every order leads back to one consent.", True, "RECORDED"),
}
"""Name to panels, sentence, whether it is a recorded take, and what must be readable."""


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (160, 45)])
def test_pictures_of_the_session(width: int, height: int) -> None:
    async def take() -> None:
        stage = LiveStage(Control(), lambda: None)
        app = StageApp(stage, Session(ARTIFACTS))
        async with app.run_test(size=(width, height)) as pilot:

            async def picture(name: str, sheet: Sheet) -> str:
                stage.sheet = sheet
                app.changed()
                await pilot.pause()
                ARTIFACTS.mkdir(parents=True, exist_ok=True)
                drawn = app.export_screenshot(title=f"demo stage: {name}, {width}x{height}", simplify=True)
                (ARTIFACTS / f"{name}-{width}x{height}.svg").write_text(drawn, encoding="utf-8")
                lines = ["".join(segment.text for segment in strip) for strip in app.view.drawn()]
                assert len(lines) == height
                assert {cell_len(line) for line in lines} == {width}
                return "\n".join(lines)

            await picture("title", Sheet(panels=(("front", title_card("Problem first", "space begins")),)))
            for name, (shown, sentence, recorded, readable) in CASES.items():
                header = replace(BEAT, recorded=recorded)
                made = tuple((panel.partition("-")[0], ORDINARY[panel]()) for panel in shown)
                text = await picture(name, Sheet(header, made, closing=sentence, awaits=bool(sentence)))
                assert readable in text
                assert sentence in text

    theme.use("terminal")
    asyncio.run(take())
