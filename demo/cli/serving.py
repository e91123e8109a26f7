"""Commands about the local server and the machine: serve, stop, doctor, trust."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of, waiting_aloud
from demo.errors import ENVIRONMENT, OK
from deputize import net
from deputize.errors import UsageError
from deputize.signals import signals_ignored

if TYPE_CHECKING:
    from rich.console import Console

    from demo.settings import Settings

REPORT_ROWS = 1000
"""More rows than `demo doctor` ever has to tell of a server."""

_METADATA = "/.well-known/oauth-authorization-server"


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="127.0.0.1|::1|localhost", help="Listen on this loopback address.")
    ] = net.LOOPBACK,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Listen on this port; 0 for any free one.", min=0, max=65535)
    ] = None,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Be an MCP server on stdin and stdout that forwards to the chosen server.")
    ] = False,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Issue tokens for this other shop, too, until demo reset; may be repeated.",
        ),
    ] = None,
    worker: Annotated[
        bool,
        typer.Option("--worker", help="Run the shop as a Worker, under workerd; --port is the authorization server's."),
    ] = False,
) -> int:
    """Run the local server in the foreground; or, with --stdio, an MCP server for one MCP host."""
    settings = settings_of(context)
    if worker and (stdio or host != net.LOOPBACK):
        raise UsageError(
            "--worker excludes --stdio and --host",
            why="a Worker on this machine is an HTTP server on loopback",
            do="leave them out",
        )
    if stdio:
        from demo.bridge.stdio import serve as bridge
        from demo.cli.connecting import login_command

        settings = settings if port is None else replace(settings, port=port)
        login = partial(login_command, settings)
        if settings.server is None:
            bridge(lambda: cast_for(settings).agent(), login=login, quiet=settings.quiet)
        else:  # nothing is waited for, and a mistake in the address ends the command
            agent = cast_for(settings).agent()
            bridge(lambda: agent, name=agent.endpoint(), login=login, quiet=settings.quiet)
        return OK
    from demo.local_server import resources, server

    for url in resource or ():
        resources.add(settings.state, url)
    console = console_for(settings)
    if worker:
        return _serve_worker(settings if port is None else replace(settings, port=port), console)

    def announce(serving: server.Serving) -> None:
        if settings.json:
            say_json({"schema": 1, "server": serving.base_url, "pid": serving.pid})
        for what, path in (("shop", "/mcp"), ("open door", "/open/mcp"), ("authorization server", _METADATA)):
            console.print(f"{what:<21} {serving.base_url}{path}", markup=False, soft_wrap=True)
        console.print("Ctrl-C stops it.", markup=False)

    server.serve(host=host, port=settings.port if port is None else port, state=settings.state, announce=announce)
    return OK


def _serve_worker(settings: Settings, console: Console) -> int:
    """Run the Worker until Ctrl-C, or until its authorization server, the local one, is stopped or stops by itself."""
    from demo.deploy import tools
    from demo.deploy.local_worker import LocalWorker
    from demo.local_server import local

    tools.find(tools.default_worker())  # before a server is started for its sake
    waiting = waiting_aloud(settings)
    ran_before = local.find(settings.state) is not None
    issuer, note = local.ensure(settings.state, port=settings.port, waiting=waiting)
    if note:
        sys.stderr.write(f"{note}\n")
    with contextlib.ExitStack() as down:
        if not ran_before:
            down.callback(_end_with_it, settings)
        here = down.enter_context(LocalWorker(settings.state, issuer.base_url, waiting=waiting))
        if settings.json:
            say_json({"schema": 1, "server": here.base_url, "pid": here.pid, "issuer": issuer.base_url})
        for what, url in (("shop", f"{here.base_url}/mcp"), ("open door", f"{here.base_url}/open/mcp")):
            console.print(f"{what:<21} {url}", markup=False, soft_wrap=True)
        console.print(f"{'authorization server':<21} {issuer.base_url}{_METADATA}", markup=False, soft_wrap=True)
        console.print(f"In another terminal: demo --server {here.base_url} next", markup=False, soft_wrap=True)
        console.print("Ctrl-C stops it.", markup=False)
        try:
            while local.find(settings.state) is not None:
                if not here.listens and local.find(settings.state) is not None:
                    here.look()  # raises, with where to read why: a Worker that has died is no server to wait beside
                time.sleep(2.0)
        except KeyboardInterrupt:
            return OK
        console.print("The local server was stopped, and the Worker ends with it.", markup=False)
    return OK


def _end_with_it(settings: Settings) -> None:
    """Stop the local server that was started for the Worker's sake, however the command ends."""
    from demo.local_server import local

    with signals_ignored():
        local.stop(settings.state)


def stop(context: typer.Context) -> int:
    """Stop the local server, and the agent that a talk has started beside it; their data is kept."""
    settings = settings_of(context)
    from demo.deploy import local_agent
    from demo.deploy.workerd import end_leftover
    from demo.local_server import local

    stopped = local.stop(settings.state)
    end_leftover(settings.state / local.WORKER)
    local_agent.end(settings.state)
    if settings.json:
        say_json({"schema": 1, "stopped": stopped.base_url if stopped else None})
    elif not settings.quiet:
        said = f"Stopped {stopped.base_url} (pid {stopped.pid})." if stopped else "No local server was running."
        console_for(settings).print(said, markup=False)
    return OK


def doctor(context: typer.Context) -> int:
    """Check this machine, the server and its authorization server, and say how to fix what is wrong."""
    settings = settings_of(context)
    from demo.preflight.doctor import examine

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
        console.print(panels.checklist(rows).within(REPORT_ROWS))
    return ENVIRONMENT if bad else OK


def trust(context: typer.Context) -> int:
    """Trust the demo.toml of this folder to name servers and secrets, until it changes; read it first."""
    settings = settings_of(context)
    from demo.settings import FILE, trust_file

    named = trust_file(settings.state)
    if settings.json:
        say_json({"schema": 1, "trusted": str(Path(FILE).resolve()), "sets": named})
    elif not settings.quiet:
        console = console_for(settings)
        console.print(f"Trusted until it changes: {Path(FILE).resolve()}", markup=False, soft_wrap=True)
        for line in named:
            console.print(f"  {line}", markup=False, soft_wrap=True)
    return OK
