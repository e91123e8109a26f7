"""The command line as Typer sees it: the global options, and the commands, each imported when it is asked for."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from demo import __version__
from demo.cli.commands import COMMANDS
from demo.cli.context import settle, traced
from demo.settings import CHOICES
from deputize.errors import UsageError


class _Commands(Mapping[str, Any]):
    """The commands by name, as Typer makes them of their functions."""

    def __getitem__(self, name: str) -> Any:
        entry = COMMANDS[name]
        module, _, attribute = entry.where.partition(":")
        made = getattr(importlib.import_module(module), attribute)
        if not isinstance(made, typer.Typer):
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(made)
            made = alone
        for one in made.registered_commands:
            one.cls = _Command
        if made.registered_callback is not None:
            made.registered_callback.cls = _Group
        command: Any = typer.main.get_command(made)
        command.rich_help_panel = entry.heading
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Sparing:
    """Spares a command the import of pydantic, by which Typer (0.29) reads every parameter, also one that nobody gave:
    a third of what `demo status` takes."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, each of which leaves alone what was not given."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command that this is mixed into
        for parameter in found:
            if "process_value" not in vars(parameter):
                parameter.process_value = functools.partial(_process, parameter, parameter.process_value)
        return found


_MAY_BE_EMPTY = frozenset({"text", "audience"})
"""What an empty value means something for: the shop's own text, and the page for the room on loopback."""


def _process(parameter: Any, process: Any, context: Any, value: Any) -> Any:
    if value is not None or parameter.required:
        _refuse_empty(parameter, context, value)
        return process(context, value)
    return parameter.callback(context, parameter, None) if parameter.callback else None


def _refuse_empty(parameter: Any, context: Any, value: Any) -> None:
    """Refuse an empty text, which a variable of the shell that is not set leaves behind: `--from "$BEAT"` would begin a
    fresh run, and `--id "$SESSION"` revoke another session than was meant."""
    option = parameter.param_type_name == "option"
    empty = value == "" or (option and isinstance(value, list | tuple) and "" in value)
    if not empty or context.resilient_parsing or parameter.name in _MAY_BE_EMPTY:
        return
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "DEFAULT":  # it was left out, as the prompt of `demo agent --keep-key`
        return
    name = max(parameter.opts, key=len) if option else (parameter.metavar or parameter.name).strip("[]").upper()
    raise UsageError(
        f"{name} is empty",
        why="perhaps it is a variable of the shell that is not set",
        do=f"give {name} a value, or leave it out" if option else f"give {name} a value",
    )


class _Command(_Sparing, TyperCommand):
    """One command."""


class _Group(_Sparing, TyperGroup):
    """One command with commands of its own."""


class _Loading(_Sparing, TyperGroup):
    """A group whose commands are imported one by one, as they are asked for."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, without loading any."""
        return list(self.commands)


app = typer.Typer(
    name="demo",
    cls=_Loading,
    help="Play a talk on machine identity for real: every panel is evidence from the wire.",
    epilog="Start with: demo next (one beat at a time) or demo run (all of them). Check this machine: demo doctor.",
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
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Drive this server; without it, the local one.")
    ] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Use this profile of demo.toml.")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the run and the local server's data in this folder.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Start the local server at this port.", min=1, max=65535)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout, and nothing else.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Use no colour and no live display.")] = False,
    width: Annotated[
        int | None, typer.Option(metavar="N", help="Draw this many columns wide.", min=20, max=400)
    ] = None,
    theme: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Draw in these colours: terminal (its own), projector, light or colour-blind.",
            autocompletion=lambda: list(CHOICES["theme"]),
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append what is done to this file, as OpenTelemetry spans.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only what is needed.")] = False,
    wire: Annotated[bool, typer.Option("--wire", help="Show every HTTP exchange.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something breaks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
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
            "theme": theme,
            "quiet": quiet,
            "wire": wire,
            "debug": debug,
        },
    )
    traced(context, trace)
