"""People and agents by name: one name for one thing on every panel; ids stand dim beside it, whole where they fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from demo.panels.page import Canvas

Names = tuple[tuple[str, str], ...]
"""Ids, each with the name that people use: a human's with an address or a name, an agent's and its software's with what
it calls itself."""

_PLAIN = re.compile(r"[a-z]{2,12}@[^@\s]+", re.ASCII)
"""An address whose first part is a name as people say it."""


def name_of(human: str) -> str:
    """A human's name: of `alice@example.com` it is Alice; a name, or another address, stays as it is."""
    return human.partition("@")[0].capitalize() if _PLAIN.fullmatch(human) else human


def names_of(humans: Iterable[str]) -> dict[str, str]:
    """The names of several humans: whose would be another's, too, keeps the whole address."""
    every = sorted(set(humans))
    names = [name_of(human) for human in every]
    return {human: name if names.count(name) == 1 else human for human, name in zip(every, names, strict=True)}


def called(id: str | None, names: Names) -> str:
    """What somebody or something is called: by its name where there is one, else by its id; empty for None."""
    return name_of(dict(names).get(id or "", id or ""))


def named(canvas: Canvas, label: str, name: str, ids: Sequence[str | None], roles: str = "strong") -> None:
    """A field with a name, and its ids dim beside it; they stand on a line of their own where they have no room."""
    beside = ", ".join(dict.fromkeys(id for id in ids if id and id != name))
    room = canvas.room - canvas.label
    shown = canvas.short(name, room)
    space = room - cell_len(shown) - 2
    fits = cell_len(beside) <= space
    parts = (
        [(shown, roles), "  ", (canvas.short(beside, space), "quiet")]
        if beside and (fits or space > 20)
        else [(shown, roles)]
    )
    canvas.line((f"{label:<{canvas.label}}", "quiet"), *parts)
