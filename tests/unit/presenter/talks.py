"""A small talk and what happens in it, as its recording tells it."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from demo.presenter.story import Story
from demo.presenter.view import Seen
from talk.recording.reader import Event
from talk.run import Cursor
from talk.script import Beat, Plan, PlannedBeat, Section

NOTES = (
    "**Say.** Hello, *room*. This is `{}`.\n\n**Point at.** The door.\nAnd the [window](https://example.com).\n\nMore."
)
BEATS = {
    name: Beat(name, f"The {name}", (), f"That was {name}.", (), (), NOTES.format(name), Path(name))
    for name in ("one", "two", "three", "four", "five", "more")
}


def _place(name: str, minutes: float, speaker: str, section: str, optional: bool = False) -> PlannedBeat:
    return PlannedBeat(name, minutes, speaker, section, BEATS, optional)


PLAN = Plan(
    "short",
    "A short talk",
    5.0,
    (Section("First", 2.0), Section("Second", 3.0)),
    (
        _place("one", 1, "Ann", "First"),
        _place("two", 1, "Ben", "First"),
        _place("three", 0.5, "Ben", "Second", optional=True),
        _place("four", 1.5, "Ann", "Second", optional=True),
        _place("five", 1, "Ann", "Second"),
    ),
    (_place("more", 0, "", "Encore"),),
)
"""The beats begin at 0, 60, 120, 150 and 240 seconds."""


def happened(*given: tuple[float, str, dict[str, Any]]) -> Story:
    sections, story = {one.id: one.section for one in PLAN.beats}, Story()
    for at, name, fields in given:
        story = story.after(Event(at, name, MappingProxyType(fields)), sections)
    return story


def beat(at: float, name: str, **more: Any) -> tuple[float, str, dict[str, Any]]:
    return at, "beat", {"header": {"id": name}} | more


def end(at: float, name: str) -> tuple[float, str, dict[str, Any]]:
    return at, "end", {"beat": name, "ok": True}


def stage(at: float, state: str) -> tuple[float, str, dict[str, Any]]:
    return at, "stage", {"state": state}


def seen(now: float, cursor: str | None, *given: tuple[float, str, dict[str, Any]], **more: Any) -> Seen:
    done = more.pop("done", False)
    return Seen(PLAN, Cursor(cursor, done), happened(*given), now, **more)
