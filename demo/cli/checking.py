"""The dry run's own world, and `demo check`: does every panel of every beat fit the screen?"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.errors import EXPECTATION, OK
from demo.signals import undisturbed

DESIGN_SIZE = (80, 24)


@contextlib.contextmanager
def throwaway_world() -> Iterator[Path]:
    """A state folder for one dry run. Its server is stopped and the folder removed, whatever happens."""
    from demo.local_server import local

    state = Path(tempfile.mkdtemp(prefix="demo-dry-"))
    before = os.environ.get("DEMO_KEYRING")
    os.environ["DEMO_KEYRING"] = "0"  # tokens of a dry run have no business in the person's keyring
    try:
        yield state
    finally:
        with undisturbed():
            if before is None:
                os.environ.pop("DEMO_KEYRING", None)
            else:
                os.environ["DEMO_KEYRING"] = before
            local.stop(state)
            shutil.rmtree(state, ignore_errors=True)


def check(context: typer.Context) -> int:
    """Play both plans without showing them, and name each panel that does not fit 80x24 or this terminal."""
    from talk.director import Director
    from talk.run import Run
    from talk.script import load_talk
    from talk.stage.screen import MeasuringStage

    settings = settings_of(context)
    console = console_for(settings)
    # A terminal narrower or lower than the design is for `demo doctor` to speak of.
    here = (max(console.width, DESIGN_SIZE[0]), max(console.height, DESIGN_SIZE[1]))
    sizes = (DESIGN_SIZE,) if here == DESIGN_SIZE else (DESIGN_SIZE, here)
    talk = load_talk(None)
    overflows: list[str] = []
    red: list[str] = []
    drawn = 0
    for plan in talk.plans:
        with throwaway_world() as state, Run.open(state) as run, run.performing():
            stage = MeasuringStage(console_for(replace(settings, json=True)), sizes)
            here_settings = replace(settings, state=state, server=None, port=0)
            director = Director(run, talk, here_settings, stage, plan=plan, strict=True)
            for planned in (*director.plan.beats, *director.plan.encores):
                result = director.play(planned)
                red.extend(f"{plan} / {result.id} / {step.id}" for step in result.steps if not step.ok)
            overflows.extend(f"{plan}: {why}" for why in stage.overflows)
            drawn += stage.drawn
    shown = " and ".join(f"{width}x{height}" for width, height in sizes)
    if settings.json:
        say_json({"schema": 1, "sizes": [list(size) for size in sizes], "panels": drawn, "overflows": overflows})
    for line in overflows:
        console.print(f"overflows: {line}", markup=False)
    for line in red:
        console.print(f"not as expected: {line}", markup=False)
    if not overflows and not red:
        console.print(f"{drawn} panels drawn at {shown}: every one fits", markup=False)
    return EXPECTATION if overflows or red else OK
