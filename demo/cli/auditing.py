"""Commands about the audit trail: show it, verify it, trace one order through it, export it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.errors import EXPECTATION, OK
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.client.audit.reading import Trail
    from demo.client.audit.trail import Filter
    from demo.client.human.console import Console
    from demo.evidence.shop import Decision
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
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for new decisions and show them, for one hour.")
    ] = False,
    user: Annotated[
        str | None, typer.Option(metavar="WHO", help="Show only what is about this human: an id or an e-mail address.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH", help="Show only what this agent did: its id or name, or its software's client id or name."
        ),
    ] = None,
    verdict: Annotated[
        Literal["allow", "deny"] | None, typer.Option(help="Show only what was allowed and granted, or what was not.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Show only what is newer: 10m, 2h or 3d ago, or a date and time.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Show at most this many events, the newest.", min=1, max=1000)
    ] = 200,
) -> int:
    """Show the audit log: who authorized what, when, through which agent; verify, trace and export it."""
    if context.invoked_subcommand is not None:
        if follow or user or agent or verdict or since:
            raise UsageError(
                f"--follow and filters go without {context.invoked_subcommand}",
                do="filter with: demo audit --agent WHICH",
            )
        return OK
    settings = settings_of(context)
    from demo.client.audit import trail

    wanted = trail.Filter(user, agent, verdict, None if since is None else trail.moment(since), limit)
    console = cast_for(settings).humans.console_of_grantor()
    if follow:
        return _follow(settings, console, wanted)
    told = trail.read(console, wanted)
    if settings.json:
        answer = {"entries": [entry.to_dict() for entry in told.entries]}
        events = [event.to_dict() for event in told.events]
        say_json({"schema": 1, **answer, "events": events, "not_known": told.unknown})
    else:
        from demo import panels

        console_for(settings).print(panels.trail(told.events, told.unknown).within(_ALL))
    return OK


def _follow(settings: Settings, console: Console, wanted: Filter) -> int:
    """Show the decisions that there are, and each new one as it is made."""
    from demo import panels
    from demo.client.audit import trail

    screen = console_for(settings)
    asked: dict[str, Any] = {"user": wanted.user, "agent": wanted.agent, "verdict": wanted.verdict}
    by_name = wanted.agent is not None and not console.audit(limit=1, **asked)
    if by_name:
        asked["agent"] = None

    def tell(found: tuple[Decision, ...]) -> None:
        if by_name and found:
            found = trail.fitting(found, console, wanted)[-wanted.limit :]
            if not found:
                return
        if settings.json:
            for entry in found:  # one line an entry, so that a pipe can be read as it fills
                say_json(entry.to_dict(), lines=True)
        else:
            screen.print(panels.audit(found).within(_ALL))

    entries = console.audit(limit=trail.MOST if by_name else wanted.limit, since=wanted.since, **asked)
    tell(entries)
    deadline = time.monotonic() + FOLLOW_SECONDS
    last = entries[-1].audit_id if entries else None
    while time.monotonic() < deadline:
        time.sleep(1.0)
        fresh = console.audit(after=last, **asked)
        if fresh:
            last = fresh[-1].audit_id
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

    console = cast_for(settings).humans.console_of_grantor()
    trail = reading.read(console)
    found = tracing.trace(
        trail, reading.check(trail, settings.state), console.sessions(), order, reading.dispatched(console, order)
    )
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
        Literal["jsonl", "csv", "ocsf"],
        typer.Option(
            "--format",
            help="Write JSON lines, which demo audit verify --file reads; a table; or OCSF 1.8.0, with the consents.",
        ),
    ] = "jsonl",
) -> int:
    """Export the audit log with its links, checkpoints and key, to be verified anywhere."""
    settings = settings_of(context)
    from demo.client.audit import export as exporting

    trail = _trail(settings)
    entries = sum(len(log.entries) for log in trail.logs)
    if format_ == "csv":
        text = exporting.table(trail)
    elif format_ == "ocsf":
        text, entries = _ocsf(settings, trail)
    else:
        text = "".join(f"{line}\n" for line in exporting.json_lines(trail, time.time()))
    if output is None:
        sys.stdout.write(text)
        return OK
    exporting.write(text, output)
    if settings.json:
        say_json({"schema": 1, "file": str(output), "entries": entries})
    elif not settings.quiet:
        console_for(settings).print(f"{entries} entries written to {output}.", markup=False, highlight=False)
    return OK


def _ocsf(settings: Settings, read: Trail) -> tuple[str, int]:
    """The whole trail as OCSF in JSON lines, and how many events they are."""
    from demo.client.audit import ocsf, trail

    told = trail.whole(read, cast_for(settings).humans.console_of_grantor())
    if told.unknown is not None:
        sys.stderr.write(f"the consents are not all there: {told.unknown}\n")
    lines = (json.dumps(ocsf.as_ocsf(event), ensure_ascii=True, allow_nan=False) for event in told.events)
    return "".join(f"{line}\n" for line in lines), len(told.events)


def _trail(settings: Settings) -> Trail:
    from demo.client.audit import reading

    return reading.read(cast_for(settings).humans.console_of_grantor())


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
