"""Colour and marks as data: a colour means a verdict and nothing else, and a mark says the same without colour."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
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
"""Role to Rich style in the theme `terminal`. The first five are the verdicts; the terminal's own palette draws them,
so that they stay readable on its background. `scan` is absolute in every theme: a QR code needs light modules that are
light."""

TERMINAL = "terminal"
"""The theme where none is chosen."""


@dataclass(frozen=True)
class Theme:
    """The colours of a screen, each as `#rrggbb`.

    Args:
        about: what it is for, in words.
        dark: whether its background is.
        colours: role to colour: the five of `State`, and `quiet`.
    """

    name: str
    about: str
    dark: bool
    background: str
    colours: Mapping[str, str]

    @property
    def text(self) -> str:
        """The colour of what carries no verdict."""
        return self.colours["none"]

    @property
    def base(self) -> str:
        """The Rich style of its screen."""
        return f"{self.text} on {self.background}"


@functools.cache
def themes() -> Mapping[str, Theme]:
    """The themes of `themes.toml` by name."""
    import tomllib  # the theme that most screens have needs no file
    from importlib.resources import files

    tables = tomllib.loads(files("demo.panels").joinpath("themes.toml").read_text(encoding="utf-8"))
    roles = ("quiet", "allowed", "refused", "waiting", "unverified")
    return MappingProxyType(
        {
            name: Theme(
                name,
                table["about"],
                table["dark"],
                table["background"],
                MappingProxyType({"none": table["text"]} | {role: table[role] for role in roles}),
            )
            for name, table in tables.items()
        }
    )


_chosen = TERMINAL


def use(name: str) -> None:
    """Draw everything from now on in this theme."""
    global _chosen
    _chosen = themes()[name].name if name != TERMINAL else TERMINAL


def base() -> str:
    """The Rich style of the whole screen, "" for the terminal's own."""
    return "" if _chosen == TERMINAL else current().base


def current() -> Theme:
    """The theme that everything is drawn in."""
    return themes()[_chosen]


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
    """The Rich style of roles separated by spaces, e.g. `"strong refused"`; "" means no style. Of two colours the later
    one counts."""
    if _chosen == TERMINAL:
        return " ".join(filter(None, (STYLES[role] for role in roles.split())))
    # A role without a verdict has no colour of its own: it is drawn in that of the screen, whatever is below it.
    colours = {role: colour for role, colour in current().colours.items() if role != "none"}
    return " ".join(filter(None, (colours.get(role, STYLES[role]) for role in roles.split())))


def glyphs(encoding: str) -> Glyphs:
    """The glyphs that a console of this encoding can draw: all of `UNICODE`, or else `ASCII`."""
    try:
        "".join(str(getattr(UNICODE, field.name)) for field in fields(UNICODE)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
