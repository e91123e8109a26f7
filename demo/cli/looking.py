"""Commands that only look at the run: list, status, notes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, repeated, say_json, settings_of
from demo.cli.talks import PlanOption, TalkOption, complete_beat, peeking, talk_of
from demo.errors import OK
from demo.panels import theme

if TYPE_CHECKING:
    from rich.console import Console

    from talk.script import Plan, PlannedBeat

_MINUTES, _SPEAKER = 8, 20
"""Columns that the minutes take in the plan, and a speaker's name at most."""
_TITLE = 12
"""Columns that a title must have to stand on the line of its beat."""


def list_(context: typer.Context, plan: PlanOption = None, talk: TalkOption = None) -> int:
    """Show the plan: each beat with its minutes, who speaks, and which one is current."""
    settings = settings_of(context)
    with peeking(settings) as opened:
        about = opened.about() if opened else None
        talked = talk_of(opened, talk)
        shown = talked.plan(plan or (about["plan"] if about else talked.default))
        cursor = opened.cursor.beat if opened and about and about["plan"] == shown.id else None
        if settings.json:
            beats = [
                {
                    "id": one.id,
                    "title": one.beat.title,
                    "section": one.section,
                    "minutes": one.minutes,
                    "speaker": one.speaker,
                    "topics": list(one.beat.topics),
                    "current": one.id == cursor,
                }
                for one in shown.beats
            ]
            encores = [
                {"id": one.id, "title": one.beat.title, "topics": list(one.beat.topics)} for one in shown.encores
            ]
            answer = {"schema": 1, "plan": shown.id, "minutes": shown.minutes, "beats": beats, "encores": encores}
            say_json(answer)
            return OK
        console = console_for(settings)
        console.print(f"{shown.title} · {shown.minutes:g} min", style="bold", markup=False)
        section, row = None, _rows(console, shown)
        for one in shown.beats:
            if one.section != section:
                section = one.section
                console.print(f"\n{section}", style=theme.style("quiet"), markup=False)
            mark = ">" if one.id == cursor else " "
            row(one, mark, f"{one.minutes:g} min")
        if shown.encores:
            beside = repeated("\nEncores, beside the plan: demo goto ID", settings)
            console.print(beside, style=theme.style("quiet"), markup=False)
        for one in shown.encores:
            row(one, " ", "")
    return OK


def _rows(console: Console, shown: Plan) -> Callable[[PlannedBeat, str, str], None]:
    """Prints one beat of the plan in aligned columns. An id is typed, and so stands whole; a title goes on below it;
    what a narrow screen has no room for is left out."""
    from rich.cells import cell_len

    from demo.panels.theme import glyphs
    from demo.panels.values import pad, safe, shorten, wrap

    ellipsis = glyphs(console.encoding).ellipsis
    both = [*shown.beats, *shown.encores]
    speakers = {one.speaker: shorten(safe(one.speaker, console.encoding), _SPEAKER, ellipsis=ellipsis) for one in both}
    ids, names = max(len(one.id) for one in both), max(map(cell_len, speakers.values()))
    room = console.width - ids - 3
    timed = room - _MINUTES - 1 >= _TITLE
    named = timed and names > 0 and room - _MINUTES - 1 - names - 2 >= _TITLE
    room -= (_MINUTES + 1 if timed else 0) + (names + 2 if named else 0)

    def row(one: PlannedBeat, mark: str, minutes: str) -> None:
        line = f"{mark} {one.id:<{ids}} "
        line += f"{minutes:>{_MINUTES}} " if timed else ""
        line += f" {pad(speakers[one.speaker], names)} " if named else ""
        beside = room >= _TITLE
        titles = wrap(safe(one.beat.title, console.encoding), room if beside else console.width - 4, ellipsis=ellipsis)
        lines = [line + titles.pop(0)] if beside else [line.rstrip()]
        indent = " " * (cell_len(line) if beside else 4)
        for text in [*lines, *(indent + title for title in titles)]:
            console.print(text, markup=False, soft_wrap=True)

    return row


def status(context: typer.Context) -> int:
    """Show the current beat, the time spent, and whether the server runs."""
    settings = settings_of(context)
    from demo.local_server import local
    from demo.presenter.desk import Desk
    from demo.presenter.pace import told
    from demo.presenter.view import standing

    with peeking(settings) as opened:
        about = opened.about() if opened else None
        found = local.find(settings.state)
        if opened is None or about is None:
            if settings.json:
                say_json({"schema": 1, "run": None, "server": found.base_url if found else None})
            else:
                console_for(settings).print(repeated("No run yet. Begin one with: demo next", settings), markup=False)
            return OK
        plan = talk_of(opened, None, whole=False).plan(about["plan"])
        cursor = opened.cursor
        planned = plan.find(cursor.beat) if cursor.beat else None
        playing = opened.held()
        # Where the run has another server, or has asked none yet, nothing here says whether that one runs.
        local_run = settings.local and not opened.at_own_worker and bool(about["world"] or not about["server"])
        at = plan.position(planned.id) if planned else -1
        stands = standing(Desk(settings).seen())
        answer = {
            "schema": 1,
            "run": opened.id,
            "plan": plan.id,
            "beat": cursor.beat,
            "done": cursor.done,
            "playing": playing,
            "number": at + 1,
            "of": len(plan.beats),
            "elapsed_seconds": round(stands.gone, 1),
            "planned_seconds": stands.pace.due,
            "behind_seconds": stands.pace.seconds,
            "held_seconds": round(stands.held, 1),
            "may_go": list(stands.pace.may_go),
            "server": about["server"] or None,
            "server_running": found is not None if local_run else None,
        }
        if settings.json:
            say_json(answer)
            return OK
        console = console_for(settings)
        place = f"beat {at + 1} of {len(plan.beats)}: {planned.beat.title}" if planned else "before the first beat"
        if playing:
            place += " (playing)"
        elif planned and not cursor.done:
            elsewhere = settings.local and not local_run and not opened.at_own_worker
            there = f" --server {shlex.quote(about['server'])}" if elsewhere else ""
            place += repeated(f" (interrupted: demo next{there} goes on with it)", settings)
        console.print(place, style="bold", markup=False)
        gone = f"{told(stands.gone)} of {told(60 * plan.minutes)} gone"
        held = f", and {told(stands.held)} held for questions" if stands.held >= 1 else ""
        console.print(f"{gone}{held}: {stands.pace.words} ({plan.id})", markup=False)
        where = about["server"] or "not started yet"
        if opened.at_own_worker:
            how = " (the Worker on this machine, started for each command)"
        else:
            how = " (not running)" if local_run and not found else ""
        console.print(f"server: {where}{how}", markup=False)
    return OK


def notes(
    context: typer.Context,
    beat: Annotated[
        str | None, typer.Argument(metavar="[BEAT]", help="A beat's id; see: demo list.", autocompletion=complete_beat)
    ] = None,
) -> int:
    """Show the speaker notes of the current beat, or of another."""
    settings = settings_of(context)
    with peeking(settings) as opened:
        talk = talk_of(opened, None, whole=False)
        wanted = beat or (opened.cursor.beat if opened else None)
        about = opened.about() if opened else None
        if wanted is None:
            wanted = talk.plan(about["plan"] if about else talk.default).beats[0].id
        shown = talk.beat(wanted)
        if settings.json:
            say_json(
                {"schema": 1, "beat": shown.id, "title": shown.title, "say": shown.written(), "notes": shown.notes}
            )
            return OK
        from demo import panels

        console = console_for(settings)
        console.print(shown.title, style="bold", markup=False)
        console.print(panels.notes(shown.notes))
    return OK
