"""A recorded beat played again on a stage: no server, no network; every screen of it says that it is recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo.errors import UsageError
from talk.recording.reader import header_of, rebuild

if TYPE_CHECKING:
    from talk.recording.reader import Event, Take
    from talk.stage.screen import Stage

LONGEST_WAIT = 5.0
"""Seconds. A longer time between two things, when a take is played with its timing, is cut to this."""
SILENT = 2.0
"""A wait of so many seconds is said, with its real length where it was cut."""


def play_beat(take: Take, beat: str, stage: Stage, *, timed: bool = False) -> None:
    """Draw what was recorded of a beat, with the pauses of its script; a recording stage records it, as recorded.

    Args:
        beat: its id.
        timed: with the time that passed between one thing and the next, `LONGEST_WAIT` at most, and not by key.

    Raises:
        UsageError: the beat is not in the recording.
    """
    events = take.beats().get(beat)
    if events is None:
        has = ", ".join(take.beats()) or "none"
        raise UsageError(f"beat {beat!r} is not in the recording of {take.plan}", why=f"it has {has}", do="name one")
    before = events[0].at
    for event in events:
        if timed:
            _let_pass(stage, event.at - before)
            before = event.at
        _perform(event, stage, timed=timed)


def _perform(event: Event, stage: Stage, *, timed: bool) -> None:
    match event.name:
        case "beat":
            stage.header(header_of(event), recorded=True)
        case "step":
            stage.begin_step(event["id"], event["do"], str(event.get("title") or ""))
        case "panel":
            try:
                page = rebuild(event)
            except UsageError as error:  # the talk goes on with what can be drawn
                stage.note(f"a panel of the recording cannot be drawn: {error.what}")
            else:
                stage.show(str(event.get("shown_as") or event["name"]), page)
        case "pause" if not timed:
            stage.look(str(event.get("text") or "") or "Enter goes on")
        case "closing":
            stage.closing(event["text"])
        case "result" if event.get("skipped"):
            stage.note(f"skipped {event['step']}: {event['skipped']}")
        case "end":
            stage.end(event["beat"], ok=bool(event.get("ok")), skipped=event.get("skipped"))


def _let_pass(stage: Stage, seconds: float) -> None:
    """Let the time between two things pass, on a status line where it is long enough to be wondered about."""
    wait = min(seconds, LONGEST_WAIT)
    if wait <= 0:
        return
    if seconds >= SILENT:
        cut = f", cut to {wait:.0f} s" if seconds > LONGEST_WAIT else ""
        stage.status(f"recorded: {seconds:.0f} s passed here{cut}")
    time.sleep(wait)
    if seconds >= SILENT:
        stage.clear_status()
