"""Speaker notes, taken apart: what to say, and the cues around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

SAY = "Say"
_LABEL = re.compile(r"\*\*(.{1,40}?)[.:]?\*\*[.:]?\s*")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)|<(https?://[^>]+)>")
_MARKS = re.compile(r"(`+|\*\*|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w))")


@dataclass(frozen=True)
class Passage:
    """One stretch of the notes under its label: "Say", "Point at", "If asked". Without a label it is only text."""

    label: str
    text: str


def passages(markdown: str) -> tuple[Passage, ...]:
    """The notes in their order; each paragraph that begins with bold words opens a passage of that name."""
    found: list[Passage] = []
    for paragraph in re.split(r"\n\s*\n", markdown.strip()):
        label = _LABEL.match(paragraph)
        text = plain(paragraph[label.end() :] if label else paragraph)
        if label is None and found:
            found[-1] = Passage(found[-1].label, f"{found[-1].text} {text}")
        elif text or label:
            found.append(Passage(plain(label[1]) if label else "", text))
    return tuple(found)


def plain(markdown: str) -> str:
    """Words without Markdown's marks, on one line."""
    words = " ".join(re.sub(r"^\s*([-*+]|\d+\.)\s+", "", line).strip() for line in markdown.splitlines())
    return _MARKS.sub("", _LINK.sub(lambda found: found[1] or found[2], words)).strip()


def to_say(markdown: str) -> str:
    """What the notes have to be said aloud, as plain words; empty where they say nothing under that label."""
    return " ".join(one.text for one in passages(markdown) if one.label == SAY)
