"""People and agents by name: one name for one thing on every panel; ids stand dim, where they are typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
