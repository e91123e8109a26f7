"""`demo rehearse`: the talk against injected faults, in throwaway worlds, with nobody at the keyboard."""

from __future__ import annotations

import difflib
import os
import random
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.cli.streams import aside
from demo.cli.talks import TalkOption, complete_beat, complete_plan
from demo.errors import EXPECTATION, OK
from deputize.errors import UsageError

if TYPE_CHECKING:
    from talk.rehearsal.choosing import Planned
    from talk.rehearsal.playing import Outcome
    from talk.script import Plan, Talk


def _complete_fault() -> list[str]:
    from talk.rehearsal.faults import FAULTS

    return list(FAULTS)


def rehearse(
    context: typer.Context,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="PLAN", help="Rehearse this plan only.", autocompletion=complete_plan),
    ] = None,
    beat: Annotated[
        list[str] | None,
        typer.Option(
            "--beat", metavar="BEAT", help="Rehearse this beat only; repeatable.", autocompletion=complete_beat
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="Inject this fault only; repeatable. --list names them.",
            autocompletion=_complete_fault,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Inject every fault at every beat, not each once; takes long.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", help="Choose which fault meets which beat, and at which step it begins.")
    ] = 1,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Rehearse this many of them, chosen by the seed.")
    ] = None,
    talk: TalkOption = None,
    names: Annotated[bool, typer.Option("--list", help="List the faults, and inject none.")] = False,
) -> int:
    """Play the talk against injected faults, in worlds of its own, and show how it goes on after each."""
    settings = settings_of(context)
    from talk.rehearsal.faults import FAULTS

    if names:
        return _list(context)
    from talk.rehearsal.table import Report, summary, table
    from talk.rehearsal.world import play_all
    from talk.script import load_talk

    if not settings.local:
        raise UsageError(
            "--server and demo rehearse", why="each rehearsal has a local server of its own", do="leave it out"
        )
    folder = talk.resolve() if talk is not None else None
    loaded = load_talk(folder)
    _known(fault or (), FAULTS, "fault", "demo rehearse --list")
    _known(beat or (), loaded.beats, "beat", "demo list")
    plans = [loaded.plan(plan)] if plan else [loaded.plan(one) for one in loaded.plans]
    passes = _passes(loaded, plans, beat or [], fault or [], every=every, dice=random.Random(seed), count=count)
    console, errors = console_for(settings), console_for(settings, stderr=True)
    whole, done, started = sum(len(one.cells) for one in passes), 0, time.monotonic()

    def report(outcome: Outcome) -> None:
        nonlocal done
        done += bool(outcome.fault)
        if outcome.fault and errors.is_terminal and not settings.quiet:
            how = "no recovery" if outcome.wrong else outcome.how
            errors.print(f"{done} of {whole}: {outcome.fault} at {outcome.beat}: {how}", markup=False)

    rehearsed = play_all(
        [(one.plan.id, one.faults) for one in passes],
        report,
        side_by_side=min(2 * (os.cpu_count() or 1), 8),  # they wait more than they work
        talk=folder,
    )
    came = Report(tuple(rehearsed.outcomes), tuple(rehearsed.outside), time.monotonic() - started)
    if settings.json:
        say_json(came.as_json())
    else:
        console.print(table(came))
    for line in summary(came):
        if settings.json or not came.ok:
            aside(f"{line}\n")
        else:
            console.print(line, markup=False)
    return OK if came.ok else EXPECTATION


def _passes(
    talk: Talk,
    plans: list[Plan],
    beats: list[str],
    faults: list[str],
    *,
    every: bool,
    dice: random.Random,
    count: int | None,
) -> list[Planned]:
    """The performances that rehearse what was asked for."""
    from talk.rehearsal.choosing import everything, packed, representative
    from talk.rehearsal.playing import in_order

    if every or beats or faults:
        cells = [(cell, plan) for plan in plans for cell in everything(plan, dice, faults, beats)]
        if count is not None:
            cells = dice.sample(cells, min(count, len(cells)))
        passes = [one for plan in plans for one in packed((cell for cell, of in cells if of is plan), [plan])]
    else:
        here = {one.id for plan in plans for one in in_order(plan)}
        chosen = representative([beat for beat in talk.beats.values() if beat.id in here], dice)
        passes = packed(dice.sample(chosen, min(count, len(chosen))) if count is not None else chosen, plans)
    if not passes:
        raise UsageError("there is nothing to rehearse", why="no plan has these beats", do="see them with: demo list")
    return passes


def _list(context: typer.Context) -> int:
    from talk.rehearsal.faults import FAULTS

    settings = settings_of(context)
    if settings.json:
        say_json({"schema": 1, "faults": [{"name": one.name, "about": one.about} for one in FAULTS.values()]})
    else:
        for one in FAULTS.values():
            console_for(settings).print(f"{one.name:27}{one.about}", markup=False)
    return OK


def _known(given: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    names = list(known)
    for one in given:
        if one not in names:
            near = difflib.get_close_matches(one, names, n=3)
            raise UsageError(
                f"there is no {what} {one!r}",
                why=f"close to it: {', '.join(near)}" if near else "",
                do=f"see them with: {where}",
            )
