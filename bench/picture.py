"""The README's picture, made by the program itself: one beat played for real, its panels drawn into an SVG.

Run it with `make picture`; it writes docs/picture.svg.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

BEAT = "limits"
PANEL = "decision"


def main() -> None:
    """Play up to the beat, and keep its header, one panel and its sentence."""
    from rich.console import Console

    from demo import panels
    from demo.cli.checking import throwaway_world
    from demo.evidence import BeatHeader
    from demo.panels.picture import picture
    from demo.settings import Settings
    from talk.director import Director
    from talk.run import Run
    from talk.script import load_talk
    from talk.stage.screen import Stage

    kept: list[object] = []

    class Keeping(Stage):
        def header(self, header: BeatHeader) -> None:
            kept[:] = [panels.header(header)] if header.id == BEAT else []

        def show(self, name: str, renderable: object) -> None:
            if len(kept) == 1 and name == PANEL:
                kept.append(renderable)

    with throwaway_world() as state, Run.open(state) as run, run.performing():
        stage = Keeping(Console(file=io.StringIO(), width=80))
        director = Director(run, load_talk(None), Settings(state=state, port=0), stage, strict=True)
        for planned in director.plan.beats:
            director.play(planned)
            if planned.id == BEAT:
                break
        picture(
            [*kept, panels.closing(planned.beat.say)],
            ROOT / "docs" / "picture.svg",
            title="demo next",
            width=80,
            height=24,
        )


if __name__ == "__main__":
    main()
