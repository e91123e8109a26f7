"""`demo stage`: the whole talk in one full-screen session."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from demo.cli.context import settings_of
from demo.cli.streams import aside
from demo.cli.talks import PlanOption, TalkOption, talk_of
from demo.errors import OK
from deputize.errors import EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.audience.life import Audience
    from demo.settings import Settings
    from talk.director import Director
    from talk.script import Plan
    from talk.stage.app import Listed, Session, StageApp
    from talk.stage.live import LiveStage

Fallback = Literal["ask", "recorded", "skip"]
ENDING_SECONDS = 5.0
"""How long the end of a session waits for a step that is being played."""
_SCREENS = 5
"""How often the screen may break before the session ends for it."""
_OPENING_SECONDS = 60.0
"""How long the run may take to be opened: its file may be held, and a Worker has to start."""


def stage(
    context: typer.Context,
    plan: PlanOption = None,
    talk: TalkOption = None,
    fallback: Annotated[
        Fallback,
        typer.Option(
            "--fallback", help="Do this where a live step fails and nobody chooses: ask on, play its take, or skip it."
        ),
    ] = "ask",
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience",
            metavar="[ADDRESS]",
            help="Serve a page for the room: on loopback; over https on this address of the machine; or behind a"
            " tunnel's https:// address.",
        ),
    ] = None,
) -> int:
    """Play the talk in one full-screen session: space or a clicker goes on, ? shows the keys."""
    settings = settings_of(context)
    _see_a_terminal(settings)
    room = _room(settings, audience)
    try:
        return _play(settings, plan, talk, fallback, room)
    finally:
        if room is not None:
            room.stop()


def _room(settings: Settings, address: str | None) -> Audience | None:
    """The page for the audience, served by a process of its own; None where none is asked for."""
    if address is None:
        return None
    from demo.audience import life

    aside("Opening the page for the room ...\n")
    room = life.start(settings.state, address)
    if room.fingerprint:
        aside(f"{room.url} has a certificate of this machine's own, SHA-256 {room.fingerprint}\n")
    return room


def _play(settings: Settings, plan: str | None, talk: Path | None, fallback: Fallback, room: Audience | None) -> int:
    from talk.recording.writer import Recording
    from talk.stage.control import Control, Order
    from talk.stage.live import LiveStage

    control = Control()
    shown: list[StageApp] = []
    live = LiveStage(
        control,
        lambda: shown[0].redraw() if shown else None,
        wire=settings.wire,
        fallback=fallback,
        recording=Recording(settings.state),
    )
    playing = _Playing(settings, plan, talk, live, ended=lambda: shown[0].ended() if shown else None)
    playing.start()
    from talk.stage.app import StageApp  # the screen is imported while the run is opened

    session = _session(settings, playing.opened().plan, room)
    try:
        for number in range(_SCREENS):
            # Where the screen breaks, the talk has not: another one shows it.
            shown[:] = [StageApp(live, session, driver=_driver(), began=None if number else playing.prefetch)]
            shown[0].run(mouse=False)
            if shown[0].broke is None or not playing.is_alive():
                break
    finally:
        control.request(Order("close"))
        playing.join(ENDING_SECONDS)
        for notice in live.notices:
            aside(f"{notice}\n")
    if (broke := playing.failure or shown[0].broke) is not None:
        raise broke
    if playing.is_alive():
        aside("The session has ended in the middle of a step; demo stage or demo next goes on at that step.\n")
    return OK


class _Playing(threading.Thread):
    """The talk's own thread: it alone uses the run, whose database belongs to the thread that opened it.

    It does not outlive the command: what it plays may be cut off at any instant, as by a crash, and is resumed.
    """

    def __init__(
        self, settings: Settings, plan: str | None, talk: Path | None, live: LiveStage, *, ended: Callable[[], None]
    ) -> None:
        super().__init__(name="talk", daemon=True)
        self._ended = ended
        self._settings, self._plan, self._talk, self._live = settings, plan, talk, live
        self._ready = threading.Event()
        self._director: Director | None = None
        self._prefetch: Callable[[], None] = lambda: None
        self.failure: BaseException | None = None

    def opened(self) -> Director:
        """The director, once the run is held.

        Raises:
            ExplainedError: it cannot be: another command plays it, or the talk has a mistake.
        """
        if not self._ready.wait(_OPENING_SECONDS):
            raise EnvironmentNotReady("the run could not be opened", do="end what uses it, or see: demo doctor")
        if self._director is None:
            assert self.failure is not None
            raise self.failure
        return self._director

    def prefetch(self) -> None:
        """Make ready what the talk will need."""
        self._prefetch()

    def run(self) -> None:
        """Hold the run, and lead the session."""
        try:
            self._lead()
        except BaseException as failure:  # raised in the main thread
            self.failure = failure
        finally:
            self._ready.set()
            self._ended()

    def _lead(self) -> None:
        import contextlib
        from dataclasses import replace

        from demo.cli.performing import worker_beside
        from talk.director import Director
        from talk.prefetching import Prefetching
        from talk.run import Run
        from talk.show import Show

        settings = self._settings
        with Run.open(settings.state) as opened, opened.performing(), contextlib.ExitStack() as shop:
            here = None
            if settings.local and opened.at_own_worker:
                here = shop.enter_context(worker_beside(settings, self._live))
                settings = replace(settings, server=here.base_url)
            loaded = talk_of(opened, self._talk)
            director = Director(opened, loaded, settings, self._live, plan=self._plan, worker=here)
            prefetching = Prefetching(director)
            self._prefetch = prefetching.start
            self._director = director
            self._ready.set()
            Show(director, self._live, prefetching).run()


def _see_a_terminal(settings: Settings) -> None:
    """See that a person can be shown a full screen, and press keys.

    Raises:
        UsageError: an option says that there is none.
        EnvironmentNotReady: there is none.
    """
    from talk.stage.keys import interactive

    if settings.json or settings.plain or settings.quiet:
        option = "--json" if settings.json else "--plain" if settings.plain else "--quiet"
        raise UsageError(f"demo stage and {option} exclude each other", do=f"use demo next {option}, or leave it out")
    if not interactive():
        raise EnvironmentNotReady(
            "demo stage needs a terminal", why="stdin or stdout is none", do="play beat by beat with: demo next"
        )
    if os.environ.get("TERM", "").lower() in ("", "dumb", "unknown") and sys.platform != "win32":
        raise EnvironmentNotReady(
            "this terminal cannot be drawn on",
            why=f"TERM is {os.environ.get('TERM') or 'not set'}",
            do="play beat by beat with: demo next",
        )


def _driver() -> type | None:
    if sys.platform == "win32":  # pragma: no cover  # the console gives whole keys itself
        return None
    from talk.stage.whole_keys import WholeKeysDriver

    return WholeKeysDriver


def _session(settings: Settings, plan: Plan, room: Audience | None) -> Session:
    from talk.stage.app import Session

    options = [f"--{name}={value}" for name, value in settings.typed if name != "state"]
    return Session(
        settings.state,
        tuple(_listed(plan)),
        (sys.executable, "-m", "demo", f"--state={settings.state}", *options),
        {"DEMO_STATE": str(settings.state)} | {f"DEMO_{name.upper()}": value for name, value in settings.typed},
        sys.stdout.encoding or "utf-8",
        lambda: room.url if room is not None and room.alive else "",
    )


def _listed(plan: Plan) -> list[Listed]:
    from talk.stage.app import Listed

    found = [
        Listed(one.id, one.beat.title, f"{number}/{len(plan.beats)}", one.beat.notes)
        for number, one in enumerate(plan.beats, 1)
    ]
    return [*found, *(Listed(one.id, one.beat.title, "+", one.beat.notes) for one in plan.encores)]
