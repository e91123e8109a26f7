"""A recorded beat played again on a stage: no server, no network; every screen of it says that it is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from deputize.errors import UsageError
from talk.recording.reader import header_of, rebuild

if TYPE_CHECKING:
    from talk.recording.reader import Event, Take
    from talk.stage.screen import Stage

LONGEST_WAIT = 5.0
"""Seconds. A longer time between two things, when a take is played with its timing, is cut to this."""
LEAST_SEEN = 2.0
"""Seconds for which a panel is seen at least: a dry run waits for nobody, and shows them faster than one reads."""
SHORTEST_WAIT = 0.2
"""Seconds. What is shorter is added to the next."""
SAID = 2.0
"""A wait of so many seconds is said, with its real length where it was cut."""
_SEEN = ("panel", "closing", "beat")


def play_beat(take: Take, beat: str, stage: Stage) -> None:
    """Draw what was recorded of a beat, with the pauses of its script; a recording stage records it, as recorded.

    Where the script does not pause between two panels, the presenter has `LEAST_SEEN` to look, or goes on
    at once: live, what was done took its time.

    Args:
        beat: its id.

    Raises:
        UsageError: the beat is not in the recording.
    """
    unseen = False
    for event in take.beat(beat):
        if event.name == "panel" and unseen and stage.person and stage.pace == "stage":
            stage.let_pass(LEAST_SEEN)
        perform(event, stage, recorded=True)
        unseen = event.name == "panel" or (unseen and event.name != "pause")


def play_timed(take: Take, beats: Sequence[str], stage: Stage) -> None:
    """Draw what was recorded of these beats with the time that passed between one thing and the next (`paced`), and
    not by key.

    Raises:
        UsageError: a beat is not in the recording.
    """
    due = 0.0
    for wait, passed, event in paced(chain.from_iterable(map(take.beat, beats))):
        due += wait
        if due >= SHORTEST_WAIT:
            cut = f", cut to {wait:.0f} s" if wait < passed else ""
            stage.let_pass(due, f"recorded: {passed:.0f} s passed here{cut}" if passed >= SAID else "")
            due = 0.0
        if event.name != "pause":
            perform(event, stage, recorded=True)


def paced(events: Iterable[Event]) -> Iterator[tuple[float, float, Event]]:
    """The events, each with the seconds to wait before it, and the seconds that had really passed: no wait is longer
    than `LONGEST_WAIT`, and what is seen stays for `LEAST_SEEN`."""
    before: float | None = None
    shown = 0.0  # seconds for which the last thing that is read has been seen; less than the least: not long enough
    for event in events:
        passed = 0.0 if before is None else max(0.0, event.at - before)
        wait = min(passed, LONGEST_WAIT)
        shown += wait
        if event.name in _SEEN:
            if before is not None and shown < LEAST_SEEN:
                wait += LEAST_SEEN - shown
            shown = 0.0 if event.name != "beat" else LEAST_SEEN
        before = event.at
        yield wait, passed, event


def perform(event: Event, stage: Stage, *, recorded: bool) -> None:
    """Have one event happen on a stage.

    Args:
        recorded: whether the stage says that it is a recording; else it says so where the recording did.
    """
    match event.name:
        case "beat":
            stage.header(header_of(event), recorded=recorded)
        case "step":
            stage.begin_step(event["id"], event["do"], str(event.get("title") or ""))
        case "panel":
            try:
                page = rebuild(event)
            except UsageError as error:  # the talk goes on with what can be drawn
                stage.note(f"a panel of the recording cannot be drawn: {error.what}")
            else:
                stage.show(str(event.get("shown_as") or event["name"]), page)
        case "pause":
            stage.look(str(event.get("text") or "") or "Enter goes on")
        case "closing":
            stage.closing(event["text"])
        case "result" if event.get("skipped"):
            stage.note(f"skipped {event['step']}: {event['skipped']}")
        case "end":
            stage.end(event["beat"], ok=bool(event.get("ok")), skipped=event.get("skipped"))
