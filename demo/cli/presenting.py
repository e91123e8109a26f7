"""The command of the presenter's second screen: presenter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.cli.talks import PlanOption, TalkOption
from demo.errors import OK
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.presenter.desk import Desk
    from demo.settings import Settings

PORT = 7328
"""Where the page is, so that a browser finds it again: the one after the local server's own."""


def presenter(
    context: typer.Context,
    web: Annotated[bool, typer.Option("--web", help="Serve it as a web page on this machine instead.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="With --web: listen on this port; 0 for any free one."
        ),
    ] = None,
    plan: PlanOption = None,
    talk: TalkOption = None,
) -> int:
    """Show the second screen: what to say, the clock against the plan, and keys that move the stage."""
    settings = settings_of(context)
    if port is not None and not web:
        raise UsageError("--port without --web", why="only the web page listens on a port", do="add --web")
    from demo.presenter.desk import Desk
    from demo.presenter.health import Watch

    desk = Desk(settings, plan=plan, talk=talk)
    desk.refuse_another()
    watch = Watch(settings, desk.dependencies)
    desk.health = watch.now
    try:
        if web:
            _serve(settings, desk, port)
        else:
            _show(settings, desk)
    finally:
        watch.close()
    return OK


def _show(settings: Settings, desk: Desk) -> None:
    from demo.presenter.terminal import follow
    from talk.stage.keys import interactive

    console = console_for(settings)
    if settings.json or not interactive() or console.is_dumb_terminal:
        raise EnvironmentNotReady(
            "the second screen needs a terminal of its own",
            why="this one cannot be drawn over, or nobody could press a key",
            do="open another terminal, or serve the page: demo presenter --web",
        )
    follow(desk, console)


def _serve(settings: Settings, desk: Desk, port: int | None) -> None:
    from demo.presenter.serving import serve
    from deputize import net

    def announce(address: str) -> None:
        if settings.json:
            say_json({"schema": 1, "presenter": address}, lines=True)
            return
        console = console_for(settings)
        if net.is_loopback_url(address):
            console.print("The presenter's page, for you alone (the address carries its key):", markup=False)
            console.print(address, markup=False, soft_wrap=True)
            console.print("Ctrl-C stops it.", markup=False)
            return
        from demo import panels
        from demo.evidence.screen import Link

        note = "For you alone: the address carries the key."
        console.print(panels.link(Link("On your phone, while the room is open", address, note)))

    def room() -> str | None:
        from demo.audience import life

        serving = life.find(settings.state)
        return serving.url if serving is not None else None

    chosen = port if port is not None else PORT if net.is_free(PORT) else 0
    serve(desk, settings.state, chosen, announce, room)
