"""Commands for what was recorded: replay, export. Neither asks a server, and neither writes into the state folder."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.errors import OK
from demo.settings import Settings, from_environment
from deputize.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from talk.recording.reader import Take
    from talk.stage.screen import Stage

Format = Literal["cast", "cast2", "html", "svg", "slides", "md", "json"]
ENDINGS: dict[str, Format] = {".cast": "cast", ".html": "html", ".svg": "svg", ".md": "md", ".json": "json"}
LEAST_SECONDS, MOST_SECONDS = 3.0, 6.0
"""For how long a screen of an animation is seen."""
ROWS = 24


def complete_recording(context: typer.Context) -> list[str]:
    """The runs that were recorded, and the plans whose recording ships."""
    from talk.recording.finding import SHIPPED, runs

    try:
        settings = from_environment(context.find_root().params)
    except Exception:  # a Tab says nothing about a demo.toml that does not fit
        return []
    return [file.stem for file in (*runs(settings.state), *sorted(SHIPPED.glob("*.jsonl")))]


RecordingArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|PLAN|FILE",
        help="A recorded run by its id, the recording that ships with a plan, or a file; the last run by default.",
        show_default=False,
        autocompletion=complete_recording,
    ),
]


def replay(
    context: typer.Context,
    recording: RecordingArgument = None,
    pace: Annotated[
        Literal["stage", "brisk", "none", "as-recorded"] | None,
        typer.Option("--pace", help="Go on by key (stage, the default), by itself, or with the recorded timing."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="BEAT", help="Start at this beat.", show_default=False)
    ] = None,
) -> int:
    """Play a recording, with no server and no network; every screen says that it is recorded."""
    from talk.recording.playing import play_timed
    from talk.stage.keys import hushed, interactive
    from talk.stage.screen import Stage

    settings = settings_of(context)
    take, beats = _take(settings, recording)
    if from_ is not None:
        take.beat(from_)
        beats = beats[beats.index(from_) :]
    if settings.json:
        from talk.export.story import as_json

        say_json(as_json(take, beats))
        return OK

    timed = pace == "as-recorded"
    stage = Stage(
        console_for(settings),
        pace="stage" if pace is None or pace == "as-recorded" else pace,
        person=interactive(),
        plain=settings.plain,
        quiet=settings.quiet,
    )
    with hushed(stage.person):
        if timed:
            play_timed(take, beats, stage)
        else:
            _by_beat(take, beats, stage)
    stage.note(f"The recording is over: {take.plan}, {_day(take)}. Nothing of it was done now.")
    return OK


def _by_beat(take: Take, beats: Sequence[str], stage: Stage) -> None:
    """Play one beat after the other, as the pace says; a person may go back."""
    from talk.recording.playing import play_beat

    at = 0
    while at < len(beats):
        play_beat(take, beats[at], stage)
        if at + 1 < len(beats) and stage.pace == "stage" and stage.person:
            at += -1 if _goes_back(stage) and at else 1
        else:
            if at + 1 < len(beats):
                stage.pause()
            at += 1


def _goes_back(stage: Stage) -> bool:
    """Wait for the presenter; whether they go back. A replay is the talk where nothing else works, and its keys too."""
    from talk.stage.screen import READING_SECONDS

    deadline = time.monotonic() + READING_SECONDS
    back = None
    with stage.keys() as keys:
        stage.status("Enter for the next beat, b for the one before")
        while back is None and (left := deadline - time.monotonic()) > 0:
            for key in keys.pressed(min(0.25, left)):
                if key.text in ("b", "B") or key.goes_back:
                    back = True
                elif key.goes_on or key.text == " ":
                    back = False
    stage.clear_status()
    return bool(back)


def export(
    context: typer.Context,
    recording: RecordingArgument = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="cast (asciicast v3), cast2, html, svg (animated), slides (an SVG a screen), md, or json; else by the "
            "ending of FILE, or html.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write here; - is stdout, and slides want a folder."),
    ] = None,
    beat: Annotated[
        list[str] | None, typer.Option("--beat", metavar="BEAT", help="Export only this beat; may be repeated.")
    ] = None,
    height: Annotated[
        int,
        typer.Option("--height", metavar="N", min=10, max=200, help="Draw this many rows; --width sets the columns."),
    ] = ROWS,
) -> int:
    """Write a recording out: for asciinema, as a page, as pictures, as a transcript, for programs."""
    settings = settings_of(context)
    chosen = format_ or _format_of(output)
    take, beats = _take(settings, recording)
    if beat:
        for one in beat:
            take.beat(one)
        beats = [one for one in beats if one in beat]
    console = console_for(settings)
    size = (settings.width or 80, height)
    if chosen == "slides":
        return _slides(settings, take, beats, size, output)
    text = _written(chosen, take, beats, size)
    if output == Path("-"):
        sys.stdout.write(text)
        return OK
    path = output or Path(f"{take.path.stem}.{'v2.cast' if chosen == 'cast2' else chosen}")
    if output is None and path.exists():
        raise UsageError(f"{path} is there already", do=f"overwrite it with: -o {path}, or name another")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error
    size_in_bytes = len(text.encode())
    if settings.json:
        say_json({"schema": 1, "format": chosen, "files": [str(path)], "bytes": size_in_bytes})
    elif not settings.quiet:
        console.print(f"Wrote {path} ({size_in_bytes / 1000:.0f} kB).", markup=False)
    return OK


def _format_of(output: Path | None) -> Format:
    """The format that a file's ending says; a page where there is no file to go by."""
    if output is None or output == Path("-"):
        return "html"
    if (format_ := ENDINGS.get(output.suffix.lower())) is None:
        what = f"what to write to {output} is not known"
        raise UsageError(what, why=f"its ending is none of {', '.join(ENDINGS)}", do="say it with --format")
    return format_


def _take(settings: Settings, name: str | None) -> tuple[Take, list[str]]:
    """The recording that is meant, all of which can be drawn, and its beats."""
    from talk.recording.finding import find
    from talk.recording.reader import read

    take = read(find(settings.state, name))
    take.check()
    beats = list(take.beats())
    if not beats:
        raise UsageError(f"{take.path} shows nothing", why="no beat was played in it", do="record a run with: demo run")
    return take, beats


def _written(chosen: Format, take: Take, beats: Sequence[str], size: tuple[int, int]) -> str:
    from demo.panels.values import safe

    width, rows = size
    title = safe(take.plan).replace("-", " ").capitalize()
    if chosen in ("cast", "cast2"):
        from talk.export.asciicast import cast, played

        written = played(take, beats, width=width, rows=rows)
        version: Literal[2, 3] = 3 if chosen == "cast" else 2
        started_at = take.head["started_at"]
        return cast(written, version=version, width=width, rows=rows, started_at=started_at, title=title)
    if chosen == "json":
        from deputize.text import json_text
        from talk.export.story import as_json

        return json_text(as_json(take, beats)) + "\n"
    if chosen == "md":
        from talk.export.story import markdown

        return markdown(take, beats, title=title)
    from talk.export.screens import frames, screens

    found = screens(take, beats)
    if chosen == "html":
        from talk.export.page import page

        return page(take, found, title=title)
    from talk.export.svg import animation

    pictures = []
    for screen in found:
        shown = frames(screen, width, rows)
        seconds = min(max((screen.until - screen.at) / len(shown), LEAST_SECONDS), MOST_SECONDS)
        pictures += [(lines, seconds) for lines in shown]
    titles = safe("; ".join(dict.fromkeys(screen.header.title for screen in found)))
    return animation(pictures, title="demo", width=width, rows=rows, described=f"{title}, screen by screen: {titles}")


def _slides(settings: Settings, take: Take, beats: Sequence[str], size: tuple[int, int], output: Path | None) -> int:
    """A picture of each screen, in a folder."""
    from demo.panels.values import safe
    from talk.export.screens import frames, screens
    from talk.export.svg import picture

    width, rows = size
    folder = output or Path(f"{take.path.stem}-slides")
    if folder == Path("-"):
        raise UsageError("slides are many files", why="stdout is one", do="name a folder with -o DIR")
    written: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for screen in screens(take, beats):
            for lines in frames(screen, width, rows):
                name = re.sub(r"[^A-Za-z0-9_-]", "-", screen.header.id)[:40]  # a file may be anybody's
                path = folder / f"{len(written) + 1:02}-{name}.svg"
                title = safe(screen.header.title)
                path.write_text(picture(lines, title="demo", width=width, rows=rows, described=title), encoding="utf-8")
                written.append(str(path))
    except OSError as error:
        raise _unwritable(folder, error) from error
    if settings.json:
        say_json({"schema": 1, "format": "slides", "files": written})
    elif not settings.quiet:
        console_for(settings).print(f"Wrote {len(written)} pictures to {folder}.", markup=False)
    return OK


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written", why=error.strerror or str(error), do="name another with -o")


def _day(take: Take) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(take.head["started_at"]))
