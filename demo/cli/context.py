"""What every command starts from: the settled settings, a console to draw on, JSON when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from demo.settings import Settings, from_environment

if TYPE_CHECKING:
    import typer
    from rich.console import Console

    from talk.cast import Cast


def settle(context: typer.Context, flags: Mapping[str, Any]) -> None:
    """Settle the global options of this invocation."""
    # `demo trust` is what makes a demo.toml count; before that, and for that, it does not.
    context.obj = from_environment(flags, with_file=context.invoked_subcommand != "trust")


def settings_of(context: typer.Context) -> Settings:
    """The settings of this invocation."""
    found = context.find_root().obj
    assert isinstance(found, Settings)
    return found


def console_for(settings: Settings) -> Console:
    """A console for the panels: stdout, or nowhere when stdout belongs to JSON."""
    from rich.console import Console

    return Console(
        quiet=settings.json,
        width=settings.width,
        no_color=True if settings.plain else None,
        force_terminal=False if settings.plain else None,
        highlight=False,
        legacy_windows=False,
    )


def say_json(value: Any, *, lines: bool = False) -> None:
    """One JSON value on stdout; with `lines` on one line, as one of many."""
    sys.stdout.write(json.dumps(value, indent=None if lines else 2, ensure_ascii=False) + "\n")
    sys.stdout.flush()  # whoever reads a pipe of a command that goes on should not have to wait for its end


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
    from demo import local

    server, note = local.ensure(settings.state, port=settings.port)
    if note:
        sys.stderr.write(f"{note}\n")
    return Cast(server.base_url, settings.state, is_local=True, port=settings.port)


def say_notice(cast: Cast) -> None:
    """Say on stderr where tokens are kept where there is no keyring; once for a state folder."""
    if (notice := cast.store.notice) is not None:
        cast.store.notice = None
        sys.stderr.write(f"{notice}\n")


def waiting_aloud(settings: Settings) -> Callable[[str, float], None]:
    """Says on stderr what is awaited, once for each thing."""
    said: set[str] = set()

    def waiting(what: str, left: float) -> None:
        if what not in said and not settings.quiet:
            said.add(what)
            sys.stderr.write(f"waiting for {what} ({left:.0f} s at most)\n")

    return waiting
