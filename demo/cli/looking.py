"""Commands that only look at the run: list, status, notes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.errors import OK, UsageError

if TYPE_CHECKING:
    from demo.settings import Settings
    from talk.run import Run
    from talk.script import Talk

PlanOption = Annotated[str | None, typer.Option("--plan", help="The running order: problem-first or context-first.")]
TalkOption = Annotated[Path | None, typer.Option("--talk", help="Somebody else's talk: a folder of beats and plans.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (list_, status, notes):
        app.command(command.__name__.rstrip("_"))(command)


def list_(context: typer.Context, plan: PlanOption = None, talk: TalkOption = None) -> int:
    """The plan: every beat with its minutes, who speaks, and where we are."""
    settings = settings_of(context)
    with _peeking(settings) as opened:
        about = opened.about() if opened else None
        talked = talk_of(opened, talk)
        from talk.director import DEFAULT_PLAN

        shown = talked.plan(plan or (about["plan"] if about else DEFAULT_PLAN))
        cursor = opened.cursor.beat if opened and about and about["plan"] == shown.id else None
        if settings.json:
            beats = [
                {
                    "id": one.beat.id,
                    "title": one.beat.title,
                    "section": one.section,
                    "minutes": one.minutes,
                    "speaker": one.speaker,
                    "topics": list(one.beat.topics),
                    "current": one.beat.id == cursor,
                }
                for one in shown.beats
            ]
            encores = [
                {"id": one.beat.id, "title": one.beat.title, "topics": list(one.beat.topics)} for one in shown.encores
            ]
            told = {"schema": 1, "plan": shown.id, "minutes": shown.minutes, "beats": beats, "encores": encores}
            say_json(told)
            return OK
        console = console_for(settings)
        console.print(f"{shown.title} · {shown.minutes:g} min", style="bold", markup=False)
        section = None
        for one in shown.beats:
            if one.section != section:
                section = one.section
                console.print(f"\n{section}", style="dim", markup=False)
            mark = ">" if one.beat.id == cursor else " "
            line = f"{mark} {one.beat.id:<20} {one.minutes:>4g} min  {one.speaker:<11} {one.beat.title}"
            console.print(line[: console.width], markup=False, no_wrap=True)
        if shown.encores:
            console.print("\nEncores, beside the plan: demo goto ID", style="dim", markup=False)
        for one in shown.encores:
            line = f"  {one.beat.id:<20} {'':>8}  {'':<11} {one.beat.title}"
            console.print(line[: console.width], markup=False, no_wrap=True)
    return OK


def status(context: typer.Context) -> int:
    """Where we are: beat, time spent, whether the server runs."""
    settings = settings_of(context)
    from demo import local

    with _peeking(settings) as opened:
        about = opened.about() if opened else None
        found = local.find(settings.state)
        if opened is None or about is None:
            if settings.json:
                say_json({"schema": 1, "run": None, "server": found.base_url if found else None})
            else:
                console_for(settings).print("No run yet. Begin one with: demo next", markup=False)
            return OK
        plan = talk_of(opened, None).plan(about["plan"])
        cursor = opened.cursor
        planned = plan.find(cursor.beat) if cursor.beat else None
        elapsed = time.time() - about["started_at"]
        at = plan.position(planned.beat.id) if planned else -1
        due = 60 * sum(one.minutes for one in plan.beats[: at + int(cursor.done)]) if planned else 0.0
        told = {
            "schema": 1,
            "run": opened.id,
            "plan": plan.id,
            "beat": cursor.beat,
            "done": cursor.done,
            "number": at + 1,
            "of": len(plan.beats),
            "elapsed_seconds": round(elapsed, 1),
            "planned_seconds": due,
            "server": about["server"] or None,
            "server_running": found is not None if settings.local and not opened.at_own_worker else None,
        }
        if settings.json:
            say_json(told)
            return OK
        console = console_for(settings)
        place = f"beat {at + 1} of {len(plan.beats)}: {planned.beat.title}" if planned else "before the first beat"
        if planned and not cursor.done:
            place += " (interrupted: demo next goes on with it)"
        console.print(place, style="bold", markup=False)
        late = elapsed - due
        pace = f"{abs(late):.0f} s {'behind' if late > 0 else 'ahead of'} the plan"
        console.print(f"{elapsed / 60:.1f} of {plan.minutes:g} minutes gone, {pace} ({plan.id})", markup=False)
        where = about["server"] or "not started yet"
        if opened.at_own_worker:
            how = " (the Worker on this machine, started for each command)"
        else:
            how = "" if found or not settings.local else " (not running)"
        console.print(f"server: {where}{how}", markup=False)
    return OK


def notes(context: typer.Context, beat: Annotated[str | None, typer.Argument(help="A beat's id.")] = None) -> int:
    """Speaker notes of the current beat, or of another."""
    settings = settings_of(context)
    with _peeking(settings) as opened:
        talk = talk_of(opened, None)
        wanted = beat or (opened.cursor.beat if opened else None)
        about = opened.about() if opened else None
        from talk.director import DEFAULT_PLAN

        if wanted is None:
            wanted = talk.plan(about["plan"] if about else DEFAULT_PLAN).beats[0].beat.id
        shown = talk.beat(wanted)
        if settings.json:
            say_json({"schema": 1, "beat": shown.id, "title": shown.title, "say": shown.say, "notes": shown.notes})
            return OK
        from demo import panels

        console = console_for(settings)
        console.print(shown.title, style="bold", markup=False)
        console.print(panels.notes(shown.notes))
    return OK


def talk_of(opened: Run | None, given: Path | None) -> Talk:
    """The talk given on the command line, else the one of the run under way, else the bundled one."""
    from talk.script import load_talk

    about = opened.about() if opened else None
    folder = given.resolve() if given else Path(about["talk"]) if about and about["talk"] else None
    try:
        return load_talk(folder)
    except UsageError as error:
        if given is None and folder is not None and not folder.is_dir():
            raise UsageError(
                f"the talk of the run under way is gone: {folder}",
                do="bring the folder back, or begin anew with: demo reset",
            ) from error
        raise


@contextlib.contextmanager
def _peeking(settings: Settings) -> Iterator[Run | None]:
    """The run, for reading; None when there is none, and then nothing is made."""
    from talk.run import FILE, Run, seen

    if not seen(settings.state / FILE):
        yield None
        return
    with Run.open(settings.state) as opened:
        yield opened
