"""`demo connect`: the configuration by which another MCP host reaches the chosen server. Prints, changes nothing."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, repeated, say_json, settings_of
from demo.cli.hosts import HOSTS, Configuration, Host, Target
from demo.errors import OK
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.settings import Settings


def connect(
    context: typer.Context,
    host: Annotated[
        Host,
        typer.Argument(metavar="HOST", show_choices=False, help=f"One of: {', '.join(HOSTS)}.", show_default=False),
    ],
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Connect by demo serve --stdio, with the token that is stored on this machine."),
    ] = False,
    name: Annotated[str | None, typer.Option(help="Give the server this name in the host.", show_default=False)] = None,
) -> int:
    """Print the configuration that connects an MCP host to the chosen server; change no file."""
    settings = settings_of(context)
    url = _endpoint(settings)
    chosen = HOSTS[host](Target(_name(name, settings, url), url, bridge_command(settings) if stdio else None))
    if settings.json:
        say_json({"schema": 1, "host": host, **chosen.__dict__})
        return OK
    console = console_for(settings)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"{chosen.where}:\n\n{chosen.content}")
    if chosen.command is not None:
        say(f"\nOr by command:\n\n{chosen.command}")
    if settings.quiet is False:
        say(f"\n{_then(settings, chosen, url)}")
    return OK


def login_command(settings: Settings, flow: str | None = None) -> str:
    """The command that logs the agent in at the chosen server, from any folder.

    Args:
        flow: the option of the flow that its authorization server offers; None where that is not known, and
            `demo login` finds it out.
    """
    return shlex.join(["demo", "login", *([flow] if flow else []), *_options(settings)])


def bridge_command(settings: Settings) -> tuple[str, ...]:
    """The program and arguments that bridge a stdio host to the chosen server.

    With an absolute path: a host that was started from a desktop does not have the PATH of a terminal. The local
    server is not named by URL, so that it is started when needed.
    """
    script = Path(sys.executable).with_name("demo.exe" if sys.platform == "win32" else "demo")
    program = (str(script),) if script.exists() else (sys.executable, "-m", "demo")
    return (*program, "serve", "--stdio", *_options(settings))


def _options(settings: Settings) -> list[str]:
    from demo.settings import Settings as Default
    from demo.settings import default_state

    given: list[str] = []
    if settings.server is not None:
        given += ["--server", settings.server]
    if settings.state != default_state():
        given += ["--state", str(settings.state)]
    if settings.server is None and settings.port not in (0, Default().port):
        given += ["--port", str(settings.port)]
    return given


def _endpoint(settings: Settings) -> str:
    from deputize.http.connection import Connection

    server = settings.server
    if server is None:
        from demo.local_server import local

        running = local.find(settings.state)
        if running is None and settings.port == 0:
            raise EnvironmentNotReady(
                "the local server has no address yet",
                why="it may listen at any free port, and does not run",
                do="start it with: demo serve; or name a port with --port",
            )
        server = running.base_url if running is not None else f"http://127.0.0.1:{settings.port}"
    return Connection(server, 1.0).endpoint()


def _name(given: str | None, settings: Settings, url: str) -> str:
    """What every host takes for a name: letters, digits, hyphens (a TOML bare key; no dot, which is a TOML path)."""
    import re
    from urllib.parse import urlsplit

    if given is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", given):
            raise UsageError(f"{given!r} is no name for a server", do="letters, digits, - and _; no sign first")
        return given
    if settings.server is None:
        return "conference-shop"
    return re.sub(r"[^a-z0-9]+", "-", (urlsplit(url).hostname or "server").lower()).strip("-") or "server"


def _then(settings: Settings, chosen: Configuration, url: str) -> str:
    """What a person does next, in order: log in, answer the consent page, buy."""
    steps = []
    if chosen.login is None:
        steps.append(f"It uses the token that is stored on this machine. To log in: {login_command(settings)}")
    else:
        if settings.server is None:
            from urllib.parse import urlsplit

            serve = repeated(f"demo serve --port {urlsplit(url).port}", settings)
            steps.append(f"Keep the local server running: {serve}")
        steps.append(f"Log in: {chosen.login}. No secret stands in this configuration.")
        # Only this shop's own authorization server has it, and another server's is not asked here.
        look = "look at the" if settings.server is None else "if there is one, look at the"
        steps.append(
            f'On the consent page, {look} field "It may spend up to". Such hosts name no amount, so one is filled '
            "in: leave it, or write what it may spend in all."
        )
    buy = "Say to it" if chosen.asks == "say" else "To buy, run"
    if settings.server is not None:
        buy = f"Where the server is the shop of this talk: {buy.lower()}"
    steps.append(f"{buy}:\n\n{chosen.prompt}")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
