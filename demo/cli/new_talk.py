"""`demo new-talk`: a talk of your own, which plays as it is and is yours to change."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.errors import OK
from deputize.errors import EnvironmentNotReady, UsageError

_LONGEST = 60
"""Characters of a plan's title."""


def new_talk(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to put it: an empty folder, or one that is not there yet.")
    ],
) -> int:
    """Make a talk of your own: a plan and three beats that play, with notes, to be changed."""
    from talk.script import template

    settings = settings_of(context)
    where = folder.expanduser()
    title = _title(where)
    try:
        if where.exists() and not where.is_dir():
            raise UsageError(f"{folder} is a file", do="name a folder that is empty or not there yet")
        if where.is_dir() and any(where.iterdir()):
            raise UsageError(
                f"{folder} has something in it",
                why="a new talk writes over nothing",
                do="name a folder that is empty or not there yet",
            )
        files = template()
        for name, text in files.items():
            file = where / name
            file.parent.mkdir(parents=True, exist_ok=True)
            said = json.dumps(title, ensure_ascii=False)[1:-1] if name.endswith(".toml") else title
            file.write_text(text.replace("TITLE", said), encoding="utf-8")
    except OSError as error:
        raise EnvironmentNotReady(
            f"the talk cannot be written to {folder}", why=error.strerror or str(error), do="name another folder"
        ) from error
    if settings.json:
        say_json({"schema": 1, "talk": str(where.resolve()), "files": sorted(files)})
    elif not settings.quiet:
        console = console_for(settings)
        named = shlex.quote(str(folder))
        for line in (
            f"A talk that plays is in {folder}: {', '.join(sorted(files))}",
            f"Write it, and see what you write: demo check {named} --watch",
            f"Give it: demo stage --talk {named}",
        ):
            console.print(line, markup=False, soft_wrap=True)
    return OK


def _title(folder: Path) -> str:
    """The folder's name as a title; one in letters that no file can hold is left out."""
    name = re.sub(r"[-_\s]+", " ", folder.resolve().name).strip()[:_LONGEST]
    return name[:1].upper() + name[1:] if name and name.isprintable() else "A talk of my own"
