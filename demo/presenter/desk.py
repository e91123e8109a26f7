"""The presenter's desk: follows the run, its recording and the remote control, and makes the view of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.errors import advice
from demo.presenter.health import Dependencies
from demo.presenter.story import Story
from demo.presenter.view import Health, Seen, View, view
from deputize.errors import ExplainedError, UsageError
from talk.recording.reader import Tail
from talk.recording.remote import Do, RemoteControl, send
from talk.recording.writer import file_of
from talk.run import OWN_WORKER, Cursor, Glance, glance, is_held
from talk.script import DEFAULT_PLAN, Plan, load_talk

if TYPE_CHECKING:
    from demo.settings import Settings

LOOK_SECONDS: Final = 0.5
"""How often the run is looked at; its recording is read at each view."""
BUSY_SECONDS: Final = 1.0
"""How often the run's lock is tried: that takes it for a moment, in which a stage that wants it must try again."""
SEND_SECONDS: Final = 0.3
"""Of the same thing, asked for again sooner than this after the last time, nothing comes: a key that is held down is
one press, however long it is."""


@dataclass(frozen=True)
class _Begun:
    """The run as it was last looked at, and its plan."""

    run: Glance
    plan: Plan


@dataclass
class _Followed:
    """A run's recording, as far as it was read."""

    run: str
    tail: Tail
    story: Story = field(default_factory=Story)


class Desk:
    """Where a second screen sits.

    Args:
        plan, talk: whose first beat is shown before there is a run.
        health: gives what is known of what the talk depends on.
        clock: POSIX seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plan: str | None = None,
        talk: Path | None = None,
        health: Callable[[], tuple[Health, ...]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._first = (str(talk.resolve()) if talk is not None else None, plan)
        self.health = health
        self._begun: _Begun | None = None
        self._trouble = ""
        self._looked_at = self._tried_at = float("-inf")
        self._busy: bool | None = None
        self._followed: _Followed | None = None
        self._remote = RemoteControl(settings.state, earlier=True)
        self._holds: list[tuple[float, bool]] = []
        self._last_sent: tuple[tuple[Do, str | None], float] = (("resume", None), float("-inf"))
        self._plans: dict[tuple[str | None, str], Plan] = {}
        self._one = threading.Lock()

    def view(self) -> View:
        """The second screen at this moment. What cannot be read is said in it, and never raised. Any thread may ask."""
        with self._one:
            try:
                seen = self._seen()
                return View(trouble=self._trouble, health=self.health()) if self._trouble else view(seen)
            except ExplainedError as error:  # a beat that was edited, and is no beat any more
                trouble = f"{error.what}. {advice(error)}".strip()
            except Exception as error:  # whatever it is, the second screen stays, and may find its way back
                trouble = f"something broke that should not have: {type(error).__name__}"
            return View(trouble=trouble, health=self.health())

    def seen(self) -> Seen:
        """What is known at this moment; before a run has begun, the plan that it would have.

        Raises:
            ExplainedError: the talk of the run cannot be read.
        """
        with self._one:
            return self._seen()

    def _seen(self) -> Seen:
        now = self._clock()
        if not 0 <= now - self._looked_at < LOOK_SECONDS:
            self._look(now)
        begun = self._begun
        if begun is not None and self._read(begun):
            self._look(now)  # so that place and recording are of one moment
            begun = self._begun
        if begun is None:
            talk, named = self._first
            plan = self._plan(talk, named or DEFAULT_PLAN)
            # Who holds a run that has not begun waits for its first beat: a stage.
            story = Story(stage="open") if self._busy else Story()
            return Seen(plan, Cursor(None, False), story, 0.0, (), self._busy, self.health())
        started_at = begun.run.started_at
        self._read(begun)
        assert self._followed is not None
        story = self._followed.story
        self._holds += [(one.at, one.do == "hold") for one in self._remote.new() if one.do in ("hold", "resume")]
        holds = [(at - started_at, stopped) for at, stopped in self._holds if at >= started_at]
        return Seen(begun.plan, begun.run.cursor, story, now - started_at, holds, self._busy, self.health())

    def refuse_another(self) -> None:
        """See that the run under way, if there is one, is of the plan and the talk that were named.

        Raises:
            UsageError: it is of another; or there is no such plan, or no such talk.
        """
        self.seen()
        talk, plan = self._first
        if self._begun is None:
            return
        run = self._begun.run
        what = f"the plan {run.plan!r}" if plan not in (None, run.plan) else ""
        what = "another talk" if talk not in (None, run.talk) else what
        if what:
            raise UsageError(
                f"a run of {what} is under way", do="follow it: demo presenter. Or begin again: demo reset"
            )

    def dependencies(self) -> Dependencies:
        """What the talk depends on, for who looks at its health."""
        seen, begun = self.seen(), self._begun
        beats = any(step.do == "worker" for one in seen.plan.beats for step in one.beat.steps)
        if begun is None:
            return Dependencies(worker_beats=beats)
        run = begun.run
        return Dependencies(run.server, bool(run.server) and not run.world, run.world == OWN_WORKER, beats)

    def send(self, do: Do, beat: str | None = None) -> str:
        """Ask the stage for something.

        Returns:
            Why that could not be; empty where the stage may now see it.
        """
        now = time.monotonic()
        (asked, at), self._last_sent = self._last_sent, ((do, beat), now)
        if asked == (do, beat) and now - at < SEND_SECONDS:
            return ""
        try:
            send(self._settings.state, do, beat)
        except OSError as error:
            return f"the stage cannot be asked: {error.strerror or error}"
        except ExplainedError as error:
            return f"the stage cannot be asked: {error.what}"
        return ""

    def _look(self, now: float) -> None:
        self._looked_at = now
        state = self._settings.state
        if not 0 <= now - self._tried_at < BUSY_SECONDS:
            self._tried_at, self._busy = now, is_held(state)
        try:
            found = glance(state)
        except ExplainedError as error:
            if self._begun is None:  # else another program holds it for a moment, and what was seen last still stands
                self._trouble = error.what
            return
        self._trouble, self._begun = "", None
        if found is not None:
            try:
                self._begun = _Begun(found, self._plan(found.talk, found.plan))
            except ExplainedError as error:
                self._trouble = f"{error.what}. {advice(error)}".strip()

    def _plan(self, talk: str | None, plan: str) -> Plan:
        if (talk, plan) not in self._plans:
            self._plans[talk, plan] = load_talk(Path(talk) if talk else None, whole=False).plan(plan)
        return self._plans[talk, plan]

    def _read(self, begun: _Begun) -> bool:
        """Read on in the run's recording. Returns whether there was something new."""
        if self._followed is None or self._followed.run != begun.run.id:
            self._followed = _Followed(begun.run.id, Tail(file_of(self._settings.state, begun.run.id)))
        sections = {one.id: one.section for one in begun.plan.beats}
        new = self._followed.tail.new()
        for event in new:
            self._followed.story = self._followed.story.after(event, sections)
        return bool(new)


def as_line(shown: View) -> str:
    """A view as JSON on one line: equal lines, nothing new to show."""
    return json.dumps(shown.to_dict(), ensure_ascii=False, separators=(",", ":"))
