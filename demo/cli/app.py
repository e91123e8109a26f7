"""The command line as Typer sees it: the global options, and every command by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from demo import __version__
from demo.cli import agent, connecting, control, deploying, identity, looking, performing, serving, workos
from demo.cli.context import settle

app = typer.Typer(
    name="demo",
    help="Play a talk on machine identity for real: every panel is evidence from the wire.",
    epilog="Start with: demo next (a beat at a time) or demo run (all of them). Preflight: demo doctor.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"demo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    server: Annotated[str | None, typer.Option(help="The server to drive; the local one by default.")] = None,
    profile: Annotated[str | None, typer.Option(help="A profile of demo.toml.")] = None,
    state: Annotated[Path | None, typer.Option(help="The folder that keeps the run and the local data.")] = None,
    port: Annotated[int | None, typer.Option(help="The local server's port.", min=1, max=65535)] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine output on stdout, nothing else there.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="No colour, no live display.")] = False,
    width: Annotated[int | None, typer.Option(help="Columns to draw in.", min=20, max=400)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is needed.")] = False,
    wire: Annotated[bool, typer.Option("--wire", help="Show every HTTP exchange.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something breaks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Settle the options that hold for every command."""
    del version
    settle(
        context,
        {
            "server": server,
            "profile": profile,
            "state": state,
            "port": port,
            "json": json,
            "plain": plain,
            "width": width,
            "quiet": quiet,
            "wire": wire,
            "debug": debug,
        },
    )


for room in (performing, looking, serving, deploying, connecting, identity, agent, control, workos):
    room.register(app)
