"""What every command starts from: the settled settings, a console to draw on, JSON when asked for."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.cli.commands import COMMANDS, command_at
from demo.cli.streams import aside
from demo.errors import advice
from demo.panels import theme
from demo.settings import CHOICES, REPEATED, Settings, from_environment
from deputize.errors import ExplainedError
from deputize.text import json_text

if TYPE_CHECKING:
    import typer
    from rich.console import Console

    from talk.cast import Cast


def settle(context: typer.Context, flags: Mapping[str, Any]) -> None:
    """Settle the global options of this invocation."""
    # `demo trust` is what makes a demo.toml count; before that, and for that, it does not.
    context.obj = from_environment(flags, with_file=context.invoked_subcommand != "trust")
    theme.use(context.obj.theme)


LASTING: Final = frozenset({"run", "next", "again", "back", "goto", "stage", "presenter", "serve", "connect"})
"""Commands that are no trace by themselves: each beat is one, or each request."""


def traced(context: typer.Context, file: Path | None) -> None:
    """Trace this invocation, where the environment or `--trace FILE` asks for it (`demo.tracing`).

    Raises:
        UsageError: it cannot be traced.
    """
    if file is None and not any(name.startswith("OTEL_") for name in os.environ):
        return
    from demo import tracing
    from demo.tracing import wanted

    if (asked := wanted.by_environment(os.environ, file)) is None:
        return
    command = context.invoked_subcommand or ""
    services: tuple[str, ...] = (tracing.AGENT,)
    if command == "serve":  # with --stdio it is a bridge; what a command is given is not known here yet
        services = (tracing.BRIDGE,) if "--stdio" in sys.argv else (tracing.SHOP, tracing.AUTHORIZATION_SERVER)
    tracing.begin(asked, services)

    def end() -> None:
        why = tracing.end()
        if why is not None and not settings_of(context).quiet:
            aside(f"the trace of this command is not complete: {why}\n")

    context.call_on_close(end)
    if command not in LASTING:
        context.with_resource(tracing.span(f"demo {command}"))


def settings_of(context: typer.Context) -> Settings:
    """The settings of this invocation."""
    found = context.find_root().obj
    assert isinstance(found, Settings)
    return found


def appearance(arguments: Sequence[str]) -> Settings:
    """How an invocation is drawn that may have failed before its settings were settled, or because of them.

    Args:
        arguments: the command line, its global options in front (`demo.cli.main.hoist`).
    """
    given: dict[str, Any] = {"plain": "--plain" in arguments, "json": False}
    for at, word in enumerate(arguments[: command_at(arguments)]):
        name, _, value = word.partition("=")
        given["json"] = given["json"] or word == "--json"
        if name in ("--width", "--theme") or name[2:] in REPEATED:
            value = value or "".join(arguments[at + 1 : at + 2])
            given[name[2:]] = int(value) if name == "--width" and re.fullmatch("[0-9]{2,3}", value) else value
    width = given.get("width")
    if not (isinstance(width, int) and 20 <= width <= 400):
        given.pop("width", None)
    try:
        return from_environment(given)
    except ExplainedError:
        plain = given["plain"] or os.environ.get("DEMO_PLAIN", "").lower() in ("1", "true", "yes", "on")
        # What is wrong may be the file; what was typed right still holds.
        wanted = str(given.get("theme"))
        wanted = wanted if wanted in CHOICES["theme"] else Settings.theme
        typed = tuple((name, given[name]) for name in REPEATED if given.get(name))
        return Settings(plain=plain, json=given["json"], width=given.get("width"), theme=wanted, typed=typed)


def repeated(advice: str, settings: Settings) -> str:
    """An advice whose commands mean the server and the state that this command line named.

    `demo login` after `demo --server URL tools` would log in at the local server. What came from the environment or
    from demo.toml holds for the next command as well, and is not repeated.
    """
    options = [f"--{name} {shlex.quote(value)}" for name, value in settings.typed]
    options = [option for option in options if option not in advice]
    if not options or "demo " not in advice:
        return advice
    known = "|".join(sorted(map(re.escape, COMMANDS), key=len, reverse=True))
    return re.sub(rf"\bdemo (?=(?:{known})\b)", lambda _: f"demo {' '.join(options)} ", advice)


def console_for(settings: Settings, *, stderr: bool = False, goes_on: bool = False) -> Console:
    """A console to draw on: stdout, which is nowhere when it belongs to JSON, or stderr.

    Args:
        stderr: whether it is stderr. Who reads that may go, which is no reason to end otherwise.
        goes_on: whether the command plays on to its end where the reader of stdout goes (`| head`); else it ends there.
    """
    from demo.cli.console import CommandConsole

    return CommandConsole(
        goes_on=goes_on or stderr,
        stderr=stderr,
        quiet=settings.json and not stderr,
        width=settings.width,
        no_color=True if settings.plain else None,
        force_terminal=False if settings.plain else None,
        highlight=False,
        emoji=False,  # a text that holds :100: means just that
        legacy_windows=False,
    )


_said: list[bool] = []
"""Whether a command has written its JSON value already."""


def say_json(value: Any, *, lines: bool = False) -> None:
    """One JSON value on stdout; with `lines` on one line, as one of many."""
    _said.append(True)
    sys.stdout.write(json_text(value, indent=None if lines else 2, encoding=sys.stdout.encoding or "utf-8") + "\n")
    sys.stdout.flush()  # anyone who reads a pipe of a command that goes on should not have to wait for its end


def begin() -> None:
    """Begin one command: it has written nothing yet."""
    _said.clear()


def say_failure(error: ExplainedError) -> None:
    """The failure of a command as its one JSON value on stdout, where it has written none."""
    if not _said:
        answer = {"exit_code": error.exit_code, "what": error.what, "why": error.why, "do": advice(error)}
        say_json({"schema": 1, "error": answer})


def cast_for(settings: Settings) -> Cast:
    """The actors of a command outside a run: at the chosen server, or at the local one, started when needed."""
    from talk.cast import Cast

    if settings.server is not None:
        return Cast(
            settings.server,
            settings.state,
            is_local=False,
            port=settings.port,
            tools=settings.tools,
            client=settings.client,
            workos=settings.workos,
        )
    from demo.local_server import local

    server, note = local.ensure(settings.state, port=settings.port)
    if note:
        sys.stderr.write(f"{note}\n")
    return Cast(server.base_url, settings.state, is_local=True, port=settings.port)


def say_notice(cast: Cast) -> None:
    """Say on stderr where tokens are kept where there is no keyring; once for a state folder."""
    if (notice := cast.server.store.notice) is not None:
        cast.server.store.notice = None
        sys.stderr.write(f"{notice}\n")


def waiting_aloud(settings: Settings) -> Callable[[str, float], None]:
    """Says on stderr what is awaited, once for each thing."""
    said: set[str] = set()

    def waiting(what: str, left: float) -> None:
        if what not in said and not settings.quiet:
            said.add(what)
            sys.stderr.write(f"waiting for {what} ({left:.0f} s at most)\n")

    return waiting
