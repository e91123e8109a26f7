"""The reference of the commands, from the commands: `python -m tools.reference` writes it, `--check` compares.

Typer makes the Markdown (`typer.cli.get_docs_for_click`, which is what `typer ... utils docs` prints).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
import typer.cli
import typer.main

from demo.cli.app import app
from demo.cli.commands import COMMANDS

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference" / "commands.md"
LIST: Final = "**Commands**:\n\n"
HEAD: Final = "<!-- Made of the commands by `make reference`; change their help texts instead. -->\n\n"


def page() -> str:
    """The page as the commands are now."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="demo")
    made = typer.cli.get_docs_for_click(obj=command, ctx=context, name="demo", title="Commands")
    before, _, after = made.partition(LIST)
    # Typer cuts each line of its list; a page has room for all of it, under the headings of the help.
    return HEAD + before + "\n".join(_listed()) + "\n\n" + after.partition("\n\n")[2].strip() + "\n"


def _listed() -> Iterator[str]:
    commands: Any = getattr(typer.main.get_command(app), "commands", {})
    for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
        yield f"**{heading}**:\n"
        for name, entry in COMMANDS.items():
            if entry.heading == heading:
                first = commands[name].help.partition("\n\n")[0]
                yield f"* `{name}`: {' '.join(first.split())}"
        yield ""


def main() -> None:
    """Write the page, or say whether it is fresh."""
    arguments = argparse.ArgumentParser(description="The reference of the commands, from the commands.")
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is stale")
    if not arguments.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != page():
        sys.exit(f"{PAGE} is stale: make reference")


if __name__ == "__main__":
    main()
