"""Values as they may be shown: harmless, shortened in the middle, times and durations in words."""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len

COMBINING_RUN = 3
"""More combining marks than this on one letter are an attack on the lines above and below, not a language."""


def safe(value: str, encoding: str = "utf-8") -> str:
    r"""The value with everything that a terminal might obey or hide written out, e.g. `\x1b`, `\u202e`.

    Control characters, bidirectional overrides, zero-width characters, lone surrogates, line separators and
    characters that `encoding` has no bytes for are escaped; unusual spaces become a plain space.
    """
    if value.isascii() and value.isprintable():
        return value
    shown = "".join(_harmless(value))
    if encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32"):
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown.encode("ascii", "backslashreplace").decode("ascii")


def _harmless(value: str) -> Iterator[str]:
    run = 0
    for character in value:
        category = unicodedata.category(character)
        run = run + 1 if category in ("Mn", "Me") else 0
        if category == "Zs":
            yield " "
        elif run > COMBINING_RUN or not character.isprintable():
            yield character.encode("unicode_escape").decode("ascii")
        else:
            yield character


def shorten(value: str, width: int, *, ellipsis: str = "…", length: int | None = None) -> str:
    """The value in at most `width` columns: cut in the middle, with its length in characters told.

    Args:
        value: what to show; wide characters count as two columns.
        width: columns.
        ellipsis: what marks the cut.
        length: the length to tell, where `value` is no longer as long as what it stands for.
    """
    if width <= 0:
        return ""
    if cell_len(value) <= width:
        return value
    told = f"{ellipsis}{len(value) if length is None else length}{ellipsis}"
    room = width - cell_len(told)
    if room < 2:
        return (
            _head(value, width - cell_len(ellipsis)) + ellipsis if width > cell_len(ellipsis) else _head(value, width)
        )
    head = _head(value, (room + 1) // 2)
    return head + told + _head(value[::-1], room - cell_len(head))[::-1]


def _head(value: str, width: int) -> str:
    taken, used = [], 0
    for character in value:
        used += cell_len(character)
        if used > width:
            break
        taken.append(character)
    return "".join(taken)


def wrap(prose: str, width: int, *, at_most: int | None = None, ellipsis: str = "…") -> list[str]:
    """Prose in lines of at most `width` columns, broken between words only.

    A word that is too long is shortened in the middle. Where `at_most` lines do not hold it all, the last one
    ends by telling how many words were left out; a single line only marks that it goes on.
    """

    def told(count: int) -> str:
        return ellipsis if at_most == 1 else f"{ellipsis} {count} more word{'s' * (count != 1)}"

    width = max(1, width)
    words = [shorten(word, width, ellipsis=ellipsis) for word in prose.split()]
    lines: list[list[str]] = []
    used = 0
    for word in words:
        if lines and used + 1 + cell_len(word) <= width:
            lines[-1].append(word)
            used += 1 + cell_len(word)
        else:
            lines.append([word])
            used = cell_len(word)
    if at_most is not None and len(lines) > at_most:
        last, left = lines[at_most - 1], sum(len(line) for line in lines[at_most:])
        while last and cell_len(" ".join(last)) + 1 + cell_len(told(left)) > width:
            last.pop()
            left += 1
        lines = [*lines[: at_most - 1], [*last, *told(left).split(" ")]]
    return [shorten(" ".join(line), width, ellipsis=ellipsis) for line in lines]


def pad(value: str, width: int) -> str:
    """The value followed by spaces up to `width` columns."""
    return value + " " * (width - cell_len(value))


def clock(at: float | None) -> str:
    """The local time of day of POSIX seconds, as HH:MM:SS; "unknown time" for what is not a time."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(at)) if at is not None else "unknown time"
    except (OverflowError, ValueError, OSError):
        return "unknown time"


def span(seconds: float) -> str:
    """A duration in words of at most two units: "41 ms", "12 s", "4 min 12 s", "2 days 3 h"."""
    if not math.isfinite(seconds):
        return "an unknown time"
    seconds = abs(seconds)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms" if seconds == 0 or seconds >= 0.0005 else "under 1 ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for size, unit, small, part in ((86400, "day", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            count, rest = whole // size, whole % size // small
            name = unit + "s" if unit == "day" and count != 1 else unit
            return f"{count:,} {name} {rest} {part}" if rest else f"{count:,} {name}"
    return f"{whole} s"


def left(expires_at: float, now: float) -> str:
    """What is left until `expires_at`: "4 min 12 s left", "expired 12 s ago"."""
    remaining = expires_at - now
    if not math.isfinite(remaining):
        return "no expiry known"
    return f"{span(remaining)} left" if remaining > 0 else f"expired {span(remaining)} ago"


def many(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 entry", "2 entries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
