"""Commands about the local server and the machine: serve, stop, doctor."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.errors import ENVIRONMENT, OK

REPORT_ROWS = 1000
"""More rows than `demo doctor` ever has to tell of a server."""

_METADATA = "/.well-known/oauth-authorization-server"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (serve, stop, doctor):
        app.command()(command)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on; loopback by default.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The port to listen on.", min=0, max=65535)] = None,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Bridge stdin and stdout to the chosen server, for an MCP host.")
    ] = False,
    resource: Annotated[
        list[str] | None,
        typer.Option(help="Another shop's URL that the authority may issue tokens for, until demo reset. Repeatable."),
    ] = None,
) -> int:
    """Run the local server in the foreground, until Ctrl-C; or with --stdio be an MCP server for one host."""
    settings = settings_of(context)
    if stdio:
        from demo.bridge.stdio import serve as bridge
        from demo.cli.connecting import login_command

        settings = settings if port is None else replace(settings, port=port)
        bridge(cast_for(settings).agent(), login=login_command(settings), quiet=settings.quiet)
        return OK
    from demo import resources, server

    for url in resource or ():
        resources.add(settings.state, url)
    console = console_for(settings)

    def announce(serving: server.Serving) -> None:
        if settings.json:
            say_json({"schema": 1, "server": serving.base_url, "pid": serving.pid})
        for what, path in (("shop", "/mcp"), ("open door", "/open/mcp"), ("authority", _METADATA)):
            console.print(f"{what:<10} {serving.base_url}{path}", markup=False, soft_wrap=True)
        console.print("Ctrl-C stops it.", markup=False)

    server.serve(host=host, port=settings.port if port is None else port, state=settings.state, announce=announce)
    return OK


def stop(context: typer.Context) -> int:
    """Stop the local server; nothing it knows is lost."""
    settings = settings_of(context)
    from demo import local

    stopped = local.stop(settings.state)
    if settings.json:
        say_json({"schema": 1, "stopped": stopped.base_url if stopped else None})
    elif not settings.quiet:
        said = f"Stopped {stopped.base_url} (pid {stopped.pid})." if stopped else "No local server was running."
        console_for(settings).print(said, markup=False)
    return OK


def doctor(context: typer.Context) -> int:
    """Preflight: Python, terminal, port, clock, keyring, server, authority; and what the server can do, by standard."""
    settings = settings_of(context)
    from demo.doctor import examine

    examined = examine(settings)
    findings, supported = examined.findings, examined.capabilities
    bad = [finding for finding in findings if finding.mark == "bad"]
    if settings.json:
        say_json(
            {
                "schema": 1,
                "ok": not bad,
                "findings": [finding.__dict__ for finding in findings],
                "capabilities": [capability.to_dict() for capability in supported],
            }
        )
    else:
        from demo import panels

        console = console_for(settings)
        if supported and not settings.quiet:
            # A report to scroll through; whether the stage is ready stands last, where the eye is.
            console.print(panels.capabilities(supported).within(REPORT_ROWS))
            console.print()
        rows = [(finding.mark, finding.name, finding.detail, finding.fix) for finding in findings]
        console.print(panels.checklist(rows))
    return ENVIRONMENT if bad else OK
