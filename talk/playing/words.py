"""Steps that only speak to the room: say, link."""

from __future__ import annotations

from demo import panels
from demo.evidence.screen import Link
from talk.playing.kind import Kind, Option, Step
from talk.playing.scene import Played, Scene


def say(step: Step, _: Scene) -> Played:
    """A sentence or two in large letters."""
    return Played(panels={"statement": lambda: panels.statement(step.options["text"], step.options.get("title"))})


def link(step: Step, scene: Scene) -> Played:
    """Something to take home. The step called `repository` is the talk's own code: a setting names another's."""
    options = step.options
    if step.id == "repository" and (home := scene.cast.repository) is not None:
        shown = Link(options["title"], home, "Scan it, read it, break it.")
        return Played(panels={"link": lambda: panels.link(shown)})
    shown = Link(options["title"], options["url"], options.get("note", ""), options.get("live", True))
    return Played(panels={"link": lambda: panels.link(shown)})


SAY = Kind(
    "say",
    "A sentence or two in large letters.",
    say,
    {"text": Option(required=True), "title": Option()},
    shows=("statement",),
)
LINK = Kind(
    "link",
    "Something to take home: a URL as text and QR code.",
    link,
    {
        "title": Option(required=True),
        "url": Option(required=True),
        "note": Option(),
        "live": Option(bool, default=True),
    },
    shows=("link",),
)
