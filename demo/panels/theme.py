"""Colour and marks as data: a colour means a verdict and nothing else, and a mark says the same without colour."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

State = Literal["allowed", "refused", "waiting", "unverified", "none"]
"""What a colour may say. "none" is text that carries no verdict."""

STYLES: dict[str, str] = {
    "allowed": "green",
    "refused": "red",
    "waiting": "yellow",
    "unverified": "magenta",
    "none": "",
    "strong": "bold",
    "quiet": "dim",
    "scan": "#ffffff on #000000",
}
"""Role to Rich style. The first five are the verdicts; the terminal's own palette draws them, so that they stay
readable on its background. `scan` is absolute: a QR code needs light modules that are light."""


@dataclass(frozen=True)
class Glyphs:
    """The characters beyond letters that panels draw with."""

    allowed: str
    refused: str
    waiting: str
    unverified: str
    none: str
    warning: str
    arrow: str
    back: str
    section: str
    shaft: str
    head: str
    down: str
    rule: str
    heavy: str
    used: str
    rest: str
    dot: str
    ellipsis: str
    times: str
    bar: str
    top: str
    bottom: str

    def mark(self, state: State) -> str:
        """The mark of a verdict, one column wide."""
        return str(getattr(self, state))


UNICODE = Glyphs(
    allowed="✓", refused="✗", waiting="◔", unverified="?", none="·", warning="!", arrow="→",
    back="←", section="§", shaft="─", head="▶",
    down="↓", rule="─", heavy="━", used="█", rest="░", dot="·", ellipsis="…", times="×", bar="▌", top="▀", bottom="▄",
)  # fmt: skip

ASCII = Glyphs(
    allowed="+", refused="x", waiting="o", unverified="?", none="-", warning="!", arrow="->",
    back="<-", section="s. ", shaft="-", head=">",
    down="v", rule="-", heavy="=", used="#", rest=".", dot="-", ellipsis="..", times="x", bar="|", top="#", bottom="#",
)  # fmt: skip


def style(roles: str) -> str:
    """The Rich style of roles separated by spaces, e.g. `"strong refused"`; "" means no style."""
    return " ".join(filter(None, (STYLES[role] for role in roles.split())))


def glyphs(encoding: str) -> Glyphs:
    """The glyphs that a console of this encoding can draw: all of `UNICODE`, or else `ASCII`."""
    try:
        "".join(str(getattr(UNICODE, field.name)) for field in fields(UNICODE)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
