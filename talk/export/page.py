"""A recording as one HTML page that steps through the talk: by keys, by buttons, or as one long page without script.

The page holds everything that it shows: its policy lets nothing be loaded, and no script run but its own. Panels are
text in the theme's roles, drawn twice, for a wide screen and for a phone; one of them is displayed. What only draws
(QR codes, block letters) is hidden from those who listen.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from demo.panels import theme
from demo.panels.html import fragment
from demo.panels.values import safe

if TYPE_CHECKING:
    from talk.export.screens import Part, Screen
    from talk.recording.reader import Take

HERE = Path(__file__).parent
WIDE, NARROW = 80, 44
"""Columns: the design size, and what a phone shows in letters that can be read."""
ROWS = 32
"""A page scrolls, but what a panel leaves out of 24 rows is seldom missed."""


@dataclass(frozen=True)
class ShownPart:
    """One thing on the page: a panel at both widths as HTML, a note, or the sentence said. `heard` is what a panel says
    in block letters, for those who listen."""

    kind: Literal["panel", "note", "said"]
    text: str = ""
    label: str = ""
    heard: str = ""
    wide: str = ""
    narrow: str = ""


@dataclass(frozen=True)
class Slide:
    """One screen on the page. `first`: of its beat."""

    number: int
    heading: str
    aside: str
    recorded: bool
    first: bool
    parts: tuple[ShownPart, ...]


def page(take: Take, screens: Sequence[Screen], *, title: str) -> str:
    """The whole page."""
    script = (HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    day = time.strftime("%Y-%m-%d", time.gmtime(take.head["started_at"]))
    return environment.get_template("page.html").render(
        title=title,
        about=f"Recorded on {day} as it was played. Every panel is evidence from the wire.",
        slides=[*_slides(screens)],
        style=_colours() + (HERE / "page.css").read_text("utf-8"),
        script=script,
        policy=policy,
    )


def _colours() -> str:
    """The theme's colours as CSS variables: that which was chosen; where none was, the reader's light or dark one."""
    light, dark = theme.themes()["light"], theme.current()
    if dark.name != theme.TERMINAL:
        return f":root {{ color-scheme: {'dark' if dark.dark else 'light'}; {_variables(dark)} }}\n"
    return (
        f":root {{ color-scheme: light dark; {_variables(light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark)} }} }}\n"
    )


def _variables(look: theme.Theme) -> str:
    colours = {"paper": look.background, "ink": look.text} | {
        role: colour for role, colour in look.colours.items() if role != "none"
    }
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _slides(screens: Sequence[Screen]) -> list[Slide]:
    slides = []
    for number, screen in enumerate(screens, 1):
        header = screen.header
        place = f"{header.number}/{header.of}  " if header.of else ""
        minutes = f"{header.minutes:g} min" if header.minutes else ""
        parts = tuple(_shown(part) for part in screen.parts)
        aside = " · ".join(filter(None, (safe(header.speaker), minutes)))
        heading = f"{place}{safe(header.title)}"
        slides.append(Slide(number, heading, aside, header.recorded, screen.first, parts))
    return slides


def _shown(part: Part) -> ShownPart:
    if part.page is None:
        return ShownPart(part.kind, text=safe(part.text))
    wide, narrow = (fragment(part.page.within(ROWS), width, ROWS) for width in (WIDE, NARROW))
    evidence = part.page.made.evidence if part.page.made is not None else {}
    text = evidence.get("text")
    heard = safe(text) if isinstance(text, str) and 'aria-hidden="true"' in wide else ""
    label = f"panel: {part.name.replace('_', ' ')}"
    return ShownPart("panel", label=label, heard=heard, wide=wide, narrow=narrow)
