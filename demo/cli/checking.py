"""`demo check`: does a talk fit its screen and minutes, and is all seen that must be?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.cli.throwaway import throwaway_world
from demo.errors import EXPECTATION, OK


def check(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Check the talk in this folder: its beats/ and its plans/."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Check again at each save, and draw the beat that was saved; Ctrl-C ends it."),
    ] = False,
) -> int:
    """Play every plan without showing it, and name what does not fit the screen, what goes by unread at 80x24, and each
    beat that takes longer than its minutes."""
    settings = settings_of(context)
    if watch:
        from demo.cli.watching import watch as watching

        return watching(settings, folder)
    from talk.director import Director
    from talk.measuring import DESIGN_SIZE, MeasuringStage, overlong
    from talk.report import failure
    from talk.run import Run
    from talk.script import load_talk

    console = console_for(settings)
    # A terminal narrower or lower than the design is for `demo doctor` to speak of.
    here = (max(console.width, DESIGN_SIZE[0]), max(console.height, DESIGN_SIZE[1]))
    sizes = (DESIGN_SIZE,) if here == DESIGN_SIZE else (DESIGN_SIZE, here)
    talk = load_talk(folder)
    overflows: list[str] = []
    unseen: list[str] = []
    late: list[str] = []
    red: list[str] = []
    drawn = 0
    for plan in talk.plans:
        with throwaway_world() as state, Run.open(state) as run, run.performing():
            stage = MeasuringStage(console_for(replace(settings, json=True)), sizes, talk.beats)
            here_settings = replace(settings, state=state, server=None, port=0)
            director = Director(run, talk, here_settings, stage, plan=plan, strict=True)
            for planned in (*director.plan.beats, *director.plan.encores):
                result = director.play(planned)
                if (why := overlong(planned, result)) is not None:
                    late.append(f"{plan}: {why}")
                red += [f"{plan} / {result.id} / {one.id}: {failure(one)}" for one in result.steps if not one.ok]
            overflows.extend(f"{plan}: {why}" for why in stage.overflows)
            unseen.extend(f"{plan}: {why}" for why in stage.unseen)
            drawn += stage.drawn
    shown = " and ".join(f"{width}x{height}" for width, height in sizes)
    if settings.json:
        say_json(
            {
                "schema": 1,
                "sizes": [list(size) for size in sizes],
                "panels": drawn,
                "overflows": overflows,
                "unseen": unseen,
                "late": late,
                "red": red,
            }
        )
    for line in overflows:
        console.print(f"overflows: {line}", markup=False)
    for line in unseen:
        console.print(f"not seen: {line}", markup=False)
    for line in late:
        console.print(f"too long: {line}", markup=False)
    for line in red:
        console.print(f"not as expected: {line}", markup=False)
    if not (wrong := [*overflows, *unseen, *late, *red]):
        fine = f"{drawn} panels drawn at {shown}: every one fits and is seen, and every beat has the minutes it takes"
        console.print(fine, markup=False)
    return EXPECTATION if wrong else OK
