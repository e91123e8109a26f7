"""Commands that play the talk: next, again, back, goto, run, reset."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from demo.cli.context import cast_for, console_for, repeated, say_json, settings_of
from demo.cli.talks import PlanOption, TalkOption, complete_beat, talk_of
from demo.cli.verdict import concluded, verdict
from demo.errors import OK
from deputize.errors import ExplainedError, UsageError

if TYPE_CHECKING:
    from demo.deploy.local_worker import LocalWorker
    from demo.settings import Settings
    from talk.director import Director
    from talk.results import BeatResult
    from talk.run import Run
    from talk.script import Plan, PlannedBeat
    from talk.stage.screen import Stage

BeatArgument = Annotated[
    str,
    typer.Argument(
        metavar="BEAT", help="A beat's id; see: demo list.", show_default=False, autocompletion=complete_beat
    ),
]
Pace = Literal["stage", "brisk", "none"]
Fallback = Literal["ask", "recorded", "skip", "stop"]
FallbackOption = Annotated[
    Fallback | None,
    typer.Option(
        "--fallback",
        help="After a live step fails: ask, or choose by itself when nobody answers; ask on stage, else stop.",
    ),
]


def next_(
    context: typer.Context, plan: PlanOption = None, talk: TalkOption = None, fallback: FallbackOption = None
) -> int:
    """Play the next beat; the first one starts a run."""
    with _directing(context, plan, talk, fallback=fallback) as director:
        planned = director.upcoming()
        if planned is None:
            over = "The talk is over. Play the last beat again: demo again. Start over: demo reset"
            director.stage.note(repeated(over, settings_of(context)))
            return concluded(context, director, [])
        return concluded(context, director, [director.play(planned)])


def again(context: typer.Context, fallback: FallbackOption = None) -> int:
    """Play the current beat again; nothing is bought twice."""
    with _directing(context, fallback=fallback) as director:
        return concluded(context, director, [director.play(_current(director), afresh=True)])


def back(context: typer.Context, fallback: FallbackOption = None) -> int:
    """Play the beat before the current one."""
    with _directing(context, fallback=fallback) as director:
        at = director.plan.position(_current(director).id)
        if at == 0:
            raise UsageError("this is the first beat", do="play it again with: demo again")
        return concluded(context, director, [director.play(director.plan.beats[at - 1], afresh=True)])


def goto(context: typer.Context, beat: BeatArgument, fallback: FallbackOption = None) -> int:
    """Play this beat; what it needs and was skipped is played first, without panels."""
    with _directing(context, fallback=fallback) as director:
        return concluded(context, director, [director.play(_beat(director, beat), afresh=True)])


def run(
    context: typer.Context,
    plan: PlanOption = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="BEAT", help="Start at this beat, in the run under way.", autocompletion=complete_beat
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="BEAT", help="Stop after this beat.", autocompletion=complete_beat),
    ] = None,
    pace: Annotated[Pace | None, typer.Option("--pace", help="Wait between beats, or not; stage by default.")] = None,
    narrate: Annotated[
        bool,
        typer.Option("--narrate", help="Show what is said before the panels, to be read; --pace brisk by default."),
    ] = False,
    ci: Annotated[bool, typer.Option("--ci", help="Do a dry run: no prompt, no pause, everything asserted.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for stdout.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the result as JUnit XML; - for stdout.")
    ] = None,
    max_skipped: Annotated[
        int | None,
        typer.Option("--max-skipped", min=0, help="With --ci: exit 1 when more steps are skipped; half by default."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="With --ci: record what is seen, for demo export.")
    ] = None,
    talk: TalkOption = None,
    fallback: FallbackOption = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Run the shop as a Worker, under workerd on this machine; needs Node.")
    ] = False,
) -> int:
    """Play beats in a row, in a fresh run; with --ci as a dry run with a server of its own."""
    settings = settings_of(context)
    if worker and not settings.local:
        raise UsageError(
            "--worker and --server exclude each other", why="--worker starts its own server", do="leave one out"
        )
    if narrate and ci:
        raise UsageError("--narrate with --ci", why="nobody reads a dry run", do="leave one out")
    if max_skipped is not None and not ci:
        raise UsageError("--max-skipped without --ci", why="only the dry run counts what was skipped", do="add --ci")
    if record is not None:
        _make_way(record, ci)
    if ci and fallback is not None:
        raise UsageError("--fallback with --ci", why="the dry run plays everything live, or is red", do="leave one out")
    # A dry run has a world of its own. At a server that somebody has a login at, it borrows that by its profile.
    logins = settings.state if ci and settings.profile is not None and not settings.local else None
    from talk.report import Reports

    reports = Reports(json_file, junit_file, json_to_stdout=settings.json)
    with _world_for(settings, ci) as state:
        from dataclasses import replace

        settings = replace(settings, state=state, json=reports.to_stdout)
        if ci:
            settings = replace(settings, port=0)  # any free one: dry runs may go on side by side
        given: Pace = "none" if ci else pace or ("brisk" if narrate else "stage")
        stage = _stage(settings, given, person=not ci, goes_on=ci or reports.wanted, record=record, fallback=fallback)
        recording = stage.recording
        from talk.run import Run
        from talk.stage.keys import hushed

        with Run.open(state) as opened, opened.performing(), contextlib.ExitStack() as shop:
            shop.callback(stage.clear_status)
            from talk.director import Director

            worker = worker or bool(from_ and settings.local and opened.at_own_worker)
            if worker:
                _find_worker()
            if not from_:
                # What is asked for is looked at first: a slip of the pen must not cost the run under way.
                asked = talk_of(None, talk)
                _slice(asked.plan(plan or asked.default), None, to, encores=ci)
                if opened.id is not None and not settings.local:
                    cast_for(settings).server.look(stage.waiting)
                    stage.clear_status()
                start_afresh(settings, opened)
            here = shop.enter_context(worker_beside(settings, stage)) if worker else None
            settings = settings if here is None else replace(settings, server=here.base_url)
            loaded = talk_of(opened if from_ else None, talk)
            director = Director(opened, loaded, settings, stage, plan=plan, strict=ci, worker=here, logins=logins)
            director.narrates = narrate
            beats = _slice(director.plan, from_, to, encores=ci)
            started = time.monotonic()
            results: list[BeatResult] = []
            try:
                with hushed(stage.person):
                    _play_all(director, beats, results, stop_at_failure=not ci)
            except ExplainedError as error:
                # What was seen until then is reported all the same, and what stands in the way as the beat's failure.
                played = [*director.asides, *results, _broken_off(beats[len(results)], error)]
                reports.write(director.plan.id, director.server, played, time.monotonic() - started)
                raise
            results = [*director.asides, *results]
            seconds = time.monotonic() - started
            from talk.report import too_little

            lacking = too_little(results, max_skipped) if ci else None
            unwritten = reports.write(director.plan.id, director.server, results, seconds, too_little=lacking)
            if record is not None and recording is not None and recording.trouble is not None:
                unwritten.append(f"{record}: {recording.trouble}")
            return verdict(director, results, seconds, unwritten, lacking, aside_only=reports.to_stdout)


def _make_way(record: Path, ci: bool) -> None:
    """See that a dry run can be recorded in this file, and that nothing but an earlier recording is lost for it."""
    if not ci:
        why = "a run is recorded anyway, in its state folder"
        raise UsageError("--record without --ci", why=why, do="write it out afterwards with: demo export")
    try:
        if record.exists():
            if record.stat().st_size:
                from talk.recording.reader import begins_like_one

                if not begins_like_one(record):
                    raise UsageError(f"{record} is there, and is no recording", do="give --record another file")
            record.unlink()
        record.parent.mkdir(parents=True, exist_ok=True)
        record.touch(mode=0o600)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"{record} cannot be written", why=why, do="give --record another file") from error


def reset(context: typer.Context) -> int:
    """Forget the run, its orders, tokens, consents and quotas, and stop the local server."""
    settings = settings_of(context)
    from demo.presenter.serving import forget_secret
    from talk.run import Run
    from talk.run_file import repair

    repair(settings.state)
    with Run.open(settings.state) as opened, opened.performing():
        start_afresh(settings, opened)
        forget_secret(settings.state)
    if settings.json:
        say_json({"schema": 1, "reset": True})
    elif not settings.quiet:
        console_for(settings).print("Reset: the next demo next begins a fresh run.", markup=False)
    return OK


def start_afresh(settings: Settings, opened: Run) -> None:
    """Forget the run and its tokens and, of the local server and the room, everything that was granted and bought."""
    from demo.audience import life
    from demo.client.audit import remembered
    from demo.local_server import local
    from demo.logins import token_store

    about = opened.about() or {}
    servers = {settings.server, None if about.get("world") and not settings.local else about.get("server")}
    if settings.local and (running := local.find(settings.state)) is not None:
        servers.add(running.base_url)
    for server in servers - {None, ""}:
        token_store(settings.state, server=str(server)).clear()
    if settings.local:
        local.stop(settings.state)
        _end_workers(settings.state)
        local.forget(settings.state)
        remembered.forget_local(settings.state)
    life.forget(settings.state)
    opened.clear()


def _end_workers(state: Path) -> None:
    from demo.deploy import local_agent
    from demo.deploy.workerd import end_leftover
    from demo.local_server import local

    end_leftover(state / local.WORKER)
    local_agent.end(state)


def _find_worker() -> None:
    """See that there is a Worker and what runs it, before anything is done for its sake."""
    from demo.deploy import tools

    tools.find(tools.default_worker())


def worker_beside(settings: Settings, stage: Stage) -> LocalWorker:
    """The shop as a Worker, to be started beside the local server, which is its authorization server."""
    from demo.deploy.local_worker import LocalWorker
    from demo.local_server import local
    from talk.playing.policy import variables_kept

    server, note = local.ensure(settings.state, port=settings.port, waiting=stage.waiting)
    if note:
        stage.note(note)
    changed = variables_kept(settings.state)  # by a beat that was cut off, which goes on
    return LocalWorker(settings.state, server.base_url, changed=changed, waiting=stage.waiting)


@contextlib.contextmanager
def _directing(
    context: typer.Context, plan: str | None = None, talk: Path | None = None, *, fallback: Fallback | None = None
) -> Iterator[Director]:
    settings = settings_of(context)
    from talk.director import Director
    from talk.run import Run
    from talk.stage.keys import hushed

    with Run.open(settings.state) as opened, opened.performing(), contextlib.ExitStack() as shop:
        stage = _stage(settings, "stage", person=True, fallback=fallback)
        shop.callback(stage.clear_status)
        here = None
        if settings.local and opened.at_own_worker:
            from dataclasses import replace

            here = shop.enter_context(worker_beside(settings, stage))
            settings = replace(settings, server=here.base_url)
        with hushed(stage.person):
            loaded = talk_of(opened, talk, whole=talk is not None)
            yield Director(opened, loaded, settings, stage, plan=plan, worker=here)


def _stage(
    settings: Settings,
    pace: Pace,
    *,
    person: bool,
    goes_on: bool = False,
    record: Path | None = None,
    fallback: Fallback | None = None,
) -> Stage:
    from talk.recording.writer import Recording
    from talk.stage.keys import interactive
    from talk.stage.screen import UNATTENDED_SECONDS, Stage

    watched = person and interactive() and not settings.json
    return Stage(
        console_for(settings, goes_on=goes_on),
        pace=pace,
        person=watched,
        plain=settings.plain,
        quiet=settings.quiet,
        wire=settings.wire,
        patience=None if pace == "stage" else UNATTENDED_SECONDS,
        # A dry run has nobody who would follow it.
        recording=Recording(settings.state, file=record) if person or record is not None else None,
        fallback=fallback or ("ask" if pace == "stage" else "stop"),
    )


@contextlib.contextmanager
def _world_for(settings: Settings, ci: bool) -> Iterator[Path]:
    """The state folder to play in: the dry run has one of its own, gone afterwards with its server, failure or not."""
    if not ci:
        yield settings.state
        return
    from demo.cli.throwaway import throwaway_world

    with throwaway_world() as state:
        yield state


def _current(director: Director) -> PlannedBeat:
    planned = director.current()
    if planned is None:
        raise UsageError("no beat was played yet", do="play the first with: demo next")
    return planned


def _beat(director: Director, beat: str) -> PlannedBeat:
    director.talk.beat(beat)  # raises, with close matches, when there is no such beat at all
    return _planned(director.plan, beat)


def _planned(plan: Plan, beat: str) -> PlannedBeat:
    planned = plan.find(beat) or plan.encore(beat)
    if planned is None:
        from talk.script.source import nearest

        close = nearest(beat, [one.id for one in (*plan.beats, *plan.encores)])
        raise UsageError(f"beat {beat!r} is not in the plan {plan.id!r}", do=f"see the plan with: demo list{close}")
    return planned


def _slice(plan: Plan, first: str | None, last: str | None, *, encores: bool) -> list[PlannedBeat]:
    """The beats from `first` to `last`. The encores come after the plan, and are played where one of them is named,
    or all of them with `encores`, as in the dry run."""
    beats = [*plan.beats, *plan.encores]
    start = beats.index(_planned(plan, first)) if first else 0
    whole = len(beats) if encores or start >= len(plan.beats) else len(plan.beats)
    end = beats.index(_planned(plan, last)) if last else whole - 1
    if end < start:
        raise UsageError(f"--to {last} comes before --from {first}", do="see the order with: demo list")
    return beats[start : end + 1]


def _play_all(
    director: Director, beats: list[PlannedBeat], results: list[BeatResult], *, stop_at_failure: bool
) -> None:
    """Play these beats; each result is added to `results` as it comes, since an error may end it midway."""
    for at, planned in enumerate(beats):
        if at:
            director.stage.pause()
        results.append(director.play(planned))
        if results[-1].ungranted and director.stage.person:
            director.stage.patience = None  # somebody is there, and what they refuse nobody grants after some seconds
            director.stage.pause("Enter asks again")
            results[-1] = director.play(planned)
        if results[-1].ungranted or (stop_at_failure and not results[-1].ok and not results[-1].recovered):
            break


def _broken_off(planned: PlannedBeat, error: ExplainedError) -> BeatResult:
    """The result of a beat that could not be played to its end."""
    from talk.results import BeatResult, StepResult

    said = f"{error.what}: {error.why}" if error.why else error.what
    step = StepResult(id="played", do="play", ok=False, seconds=0.0, error=said)
    return BeatResult(planned.id, planned.beat.title, tuple(planned.beat.topics), False, 0.0, (step,))
