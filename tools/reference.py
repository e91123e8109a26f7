"""The reference of commands and step kinds, made of both: `python -m tools.reference` writes it, `--check` compares.

Typer makes the Markdown of the commands (`typer.cli.get_docs_for_click`, which is what `typer ... utils docs` prints).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
import typer.cli
import typer.main

from demo.cli.app import app
from demo.cli.commands import COMMANDS
from talk.playing import KINDS
from talk.playing.kind import Kind, Option

FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"
LIST: Final = "**Commands**:\n\n"
HEAD: Final = "<!-- Made of the {} by `make reference`; change {} instead. -->\n\n"
TYPES: Final = {str: "text", int: "number", bool: "true or false", list: "list of texts", dict: "table"}


def commands() -> str:
    """The page of the commands as they are now."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="demo")
    made = typer.cli.get_docs_for_click(obj=command, ctx=context, name="demo", title="Commands")
    before, _, after = made.partition(LIST)
    # Typer cuts each line of its list; a page has room for all of it, under the headings of the help.
    listed = "\n".join(_listed())
    return (
        HEAD.format("commands", "their help texts")
        + before
        + listed
        + "\n\n"
        + after.partition("\n\n")[2].strip()
        + "\n"
    )


def _listed() -> Iterator[str]:
    found: Any = getattr(typer.main.get_command(app), "commands", {})
    for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
        yield f"**{heading}**:\n"
        for name, entry in COMMANDS.items():
            if entry.heading == heading:
                first = found[name].help.partition("\n\n")[0]
                yield f"* `{name}`: {' '.join(first.split())}"
        yield ""


def steps() -> str:
    """The page of the kinds of step as they are now."""
    return (
        HEAD.format("kinds of step", "talk/playing/")
        + "\n\n".join(["# Kinds of step", STEPS, *map(_kind, KINDS.values())])
        + "\n"
    )


STEPS: Final = """\
A beat's steps, by their `do`. Each has an `id`, and may have a `title`, the panels to `show` (else its kind's first)
and what to `expect` of it: of a kind that can be observed something must be expected. With `pause = true` the room
stops to look after its last panel, with `pause = ["order"]` after each that is named; `see` lists texts that must be
readable on its panels at 80x24, which `demo check` asserts. In `expect` a list is matched by its name, or by
`NAME_has` for what it must contain; a number by its name, or by `NAME_min` and `NAME_max`."""


def _kind(kind: Kind) -> str:
    parts = [f"## {kind.name}", kind.about]
    if kind.options:
        rows = "\n".join(
            f"| `{name}` | {TYPES[option.type]} | {_value(option)} |" for name, option in kind.options.items()
        )
        parts.append(f"| option | type | value |\n|---|---|---|\n{rows}")
    if kind.observes:
        seen = ", ".join(f"`{name}` ({TYPES[type_]})" for name, type_ in kind.observes.items())
        parts.append(f"Observes: {seen}.")
    parts.append(f"Shows: {', '.join(f'`{name}`' for name in kind.shows)}.")
    return "\n\n".join(parts)


def _value(option: Option) -> str:
    said = []
    if option.required:
        said.append("required")
    if option.choices:
        said.append("one of " + ", ".join(f"`{one}`" for one in option.choices))
    if option.default or option.default in (0, False):
        said.append(f"default `{option.default if isinstance(option.default, str) else str(option.default).lower()}`")
    return "; ".join(said)


PAGES: Final[Mapping[Path, Callable[[], str]]] = {FOLDER / "commands.md": commands, FOLDER / "steps.md": steps}


def stale() -> list[Path]:
    """The pages that are not what they are made of."""
    return [path for path, page in PAGES.items() if not path.is_file() or path.read_text("utf-8") != page()]


def main() -> None:
    """Write the pages, or say whether they are fresh."""
    arguments = argparse.ArgumentParser(description="The reference of commands and step kinds, made of both.")
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    if not arguments.parse_args().check:
        FOLDER.mkdir(exist_ok=True)
        for path, page in PAGES.items():
            path.write_text(page(), "utf-8")
    elif old := stale():
        sys.exit(f"{', '.join(map(str, old))}: stale; make reference")


if __name__ == "__main__":
    main()
