"""Commands about the audit trail: show it, verify it, trace one order through it, export it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.errors import EXPECTATION, OK
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.client.audit.reading import Trail
    from demo.evidence import Decision
    from demo.settings import Settings

FOLLOW_SECONDS = 3600.0
"""How long `demo audit --follow` follows, so that a forgotten one stops by itself."""

_ALL = 100_000
"""Rows: a list that was asked for by itself is whole, and scrolls."""

audit = typer.Typer(
    name="audit",
    help="Show the audit log: who authorized what, when, through which agent; verify, trace and export it.",
    add_completion=False,
    invoke_without_command=True,
)


@audit.callback()
def show(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new entries and show them, for one hour.")] = False,
) -> int:
    """Show the audit log: who authorized what, when, through which agent; verify, trace and export it."""
    if context.invoked_subcommand is not None:
        if follow:
            raise UsageError(
                f"--follow and {context.invoked_subcommand} exclude each other", do="follow with: demo audit --follow"
            )
        return OK
    settings = settings_of(context)
    console = cast_for(settings).console_of_grantor()
    from demo import panels

    entries = console.audit()
    screen = console_for(settings)

    def tell(found: tuple[Decision, ...]) -> None:
        if settings.json and follow:
            for entry in found:  # one line an entry, so that a pipe can be read as it fills
                say_json(entry.to_dict(), lines=True)
        elif settings.json:
            say_json({"schema": 1, "entries": [entry.to_dict() for entry in found]})
        else:
            screen.print(panels.audit(found).within(_ALL))

    tell(entries)
    deadline = time.monotonic() + FOLLOW_SECONDS
    while follow and time.monotonic() < deadline:
        time.sleep(1.0)
        fresh = console.audit(after=entries[-1].audit_id if entries else None)
        if fresh:
            entries = fresh
            tell(fresh)
    return OK


@audit.command()
def verify(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="EXPORT", help="Verify an export, and ask no server.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what was verified before; for a server that was reset.")
    ] = False,
) -> int:
    """Verify the audit log: hash each entry, hold the chain against signed checkpoints and against the last time."""
    settings = settings_of(context)
    from demo import panels
    from demo.client.audit import reading, remembered

    trail = _trail(settings) if file is None else _exported(file)
    try:
        if forget:
            remembered.forget(settings.state, trail.server)
        checks = (reading.check if file is None else reading.check_copy)(trail, settings.state)
    except OSError as error:
        raise EnvironmentNotReady(
            "what was verified cannot be remembered", why=error.strerror or str(error), do="see to the state folder"
        ) from error
    findings = sum(len(one.findings) for one in checks)
    if settings.json:
        logs = [one.to_dict() for one in checks]
        say_json({"schema": 1, "verified": findings == 0, "keys_at": trail.keys_at, "logs": logs})
    else:
        console_for(settings).print(panels.verification(checks, trail.keys_at, copy=file is not None).within(_ALL))
    return OK if findings == 0 else EXPECTATION


@audit.command()
def trace(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The id of an order; demo orders lists them.")],
) -> int:
    """Trace an order: to the decision, the token, the session and the consent of one human."""
    settings = settings_of(context)
    from demo import panels
    from demo.client.audit import reading, tracing

    console = cast_for(settings).console_of_grantor()
    trail = reading.read(console)
    found = tracing.trace(trail, reading.check(trail, settings.state), console.sessions(), order)
    if settings.json:
        say_json({"schema": 1, "trace": found.to_dict()})
    else:
        console_for(settings).print(panels.trace(found))
    return OK if found.verified else EXPECTATION


@audit.command()
def spans(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What demo --trace FILE wrote.")],
    trace: Annotated[
        str | None,
        typer.Argument(metavar="[TRACE]", help="A trace id, as an audit entry has it; without it, the last trace."),
    ] = None,
) -> int:
    """Show a trace out of a file: each span below what called it, with the decision of the gates."""
    settings = settings_of(context)
    from demo import panels
    from demo.tracing import reading

    found = reading.one_trace(reading.read(file), trace)
    if settings.json:
        say_json({"schema": 1, "trace": found[0].trace, "spans": [span.to_dict() for span in found]})
    else:
        console_for(settings).print(panels.spans(found).within(_ALL))
    return OK


@audit.command()
def export(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
    format_: Annotated[
        Literal["jsonl", "csv"],
        typer.Option("--format", help="Write JSON lines, which demo audit verify --file reads, or a table."),
    ] = "jsonl",
) -> int:
    """Export the audit log with its links, checkpoints and key, to be verified anywhere."""
    settings = settings_of(context)
    from demo.client.audit import export as exporting

    trail = _trail(settings)
    if format_ == "csv":
        text = exporting.table(trail)
    else:
        text = "".join(f"{line}\n" for line in exporting.json_lines(trail, time.time()))
    if output is None:
        sys.stdout.write(text)
        return OK
    exporting.write(text, output)
    entries = sum(len(log.entries) for log in trail.logs)
    if settings.json:
        say_json({"schema": 1, "file": str(output), "entries": entries})
    elif not settings.quiet:
        console_for(settings).print(f"{entries} entries written to {output}.", markup=False, highlight=False)
    return OK


def _trail(settings: Settings) -> Trail:
    from demo.client.audit import reading

    return reading.read(cast_for(settings).console_of_grantor())


def _exported(file: Path) -> Trail:
    from demo.client.audit import export as exporting

    try:
        with file.open(encoding="utf-8") as lines:
            return exporting.read(exporting.lines_of(lines, str(file)), str(file))
    except UnicodeDecodeError:
        raise UsageError(
            f"{file} is no export of an audit trail", why="it is no UTF-8 text", do="make one: demo audit export"
        ) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read", why=error.strerror or str(error), do="name an export") from error
