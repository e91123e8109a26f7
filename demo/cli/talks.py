"""Which talk a command means: the options that say so, the run under way, and what a shell completes.

What completes a word is called at a press of Tab: it looks at the names of files, and parses none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from demo.settings import Settings, from_environment
from deputize.errors import ExplainedError, UsageError

if TYPE_CHECKING:
    from talk.run import Run
    from talk.script import Talk


def complete_beat(context: typer.Context) -> list[str]:
    """The ids of the beats of the talk that is meant."""
    return _names(context, "beats", ".md")


def complete_plan(context: typer.Context) -> list[str]:
    """The ids of its plans."""
    return _names(context, "plans", ".toml")


PlanOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="PLAN",
        help="Choose the running order: problem-first or context-first, or a plan of --talk.",
        autocompletion=complete_plan,
    ),
]
TalkOption = Annotated[
    Path | None, typer.Option("--talk", metavar="DIR", help="Play the talk in this folder: its beats/ and its plans/.")
]


@contextlib.contextmanager
def peeking(settings: Settings) -> Iterator[Run | None]:
    """The run, for reading; None when there is none, and then nothing is made."""
    from talk.run import Run
    from talk.run_file import FILE, seen

    if not seen(settings.state / FILE):
        yield None
        return
    with Run.open(settings.state) as opened:
        yield opened


def talk_of(opened: Run | None, given: Path | None, *, whole: bool = True) -> Talk:
    """The talk given on the command line, else the one of the run under way, else the bundled one.

    Args:
        whole: whether all of its beats are read and checked now, or each when it is asked for.
    """
    from talk.script import load_talk

    folder = _folder(opened, given)
    try:
        return load_talk(folder, whole=whole)
    except UsageError as error:
        if given is None and folder is not None and not folder.is_dir():
            raise UsageError(
                f"the talk of the run under way is gone: {folder}",
                do="bring the folder back, or begin again with: demo reset",
            ) from error
        raise


def _folder(opened: Run | None, given: Path | None) -> Path | None:
    about = opened.about() if opened else None
    return given.resolve() if given else Path(about["talk"]) if about and about["talk"] else None


def _names(context: typer.Context, kind: str, suffix: str) -> list[str]:
    given = context.params.get("talk")
    folder = None
    with (
        contextlib.suppress(ExplainedError, OSError),  # a shell that completes a word has no place for an error
        peeking(from_environment(context.find_root().params)) as opened,
    ):
        folder = _folder(opened, Path(given) if given else None)
    if folder is None:
        import talk

        folder = Path(next(iter(talk.__path__)))
    return sorted(one.stem for one in (folder / kind).glob(f"*{suffix}") if not one.name.startswith("."))
