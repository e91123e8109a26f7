"""What the talk itself has on the screen: the top of a beat, a link, facts beside each other."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Link:
    """Something to take home: a URL, for text and QR code."""

    title: str
    url: str
    note: str = ""
    live: bool = True
    """False for something that this run did not do and only describes; the panel says so."""


@dataclass(frozen=True)
class BeatHeader:
    """The top of the screen while a beat plays. `of` is 0 for a beat that is in no running order; `recorded` says that
    what stands below was not played now: it is a take of another performance."""

    id: str
    title: str
    number: int
    of: int
    speaker: str
    minutes: float
    topics: tuple[str, ...] = field(default=())
    recorded: bool = False


@dataclass(frozen=True)
class Comparison:
    """The same facts before and after something happened, e.g. a restart of the server."""

    title: str
    rows: tuple[tuple[str, str, str], ...]
    """(what, before, after)"""
    conclusion: str = ""
