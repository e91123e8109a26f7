"""Values as they may be shown: harmless, shortened in the middle, times and durations in words."""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from rich.cells import cell_len, split_graphemes

from deputize.text import bounded


def safe(value: str, encoding: str = "utf-8") -> str:
    r"""The value with everything that a terminal might obey or hide written out, e.g. `\x1b`, `\u202e`.

    Control characters, bidirectional overrides, zero-width characters, lone surrogates, line separators, characters
    that `encoding` has no bytes for, and more marks on a letter than a language has are escaped; unusual spaces become
    a plain space. What joins the parts of one emoji or of one word in its script is kept: without it they are something
    else.
    """
    if value.isascii() and value.isprintable():
        return value
    shown = "".join(_harmless(bounded(value, lambda marks: marks.encode("unicode_escape").decode("ascii"))))
    if encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32"):
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown.encode("ascii", "backslashreplace").decode("ascii")


_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
"""The flag of a part of a country (Unicode TS 51, ED-14a); a tag anywhere else carries text that nobody sees."""


def _harmless(value: str) -> Iterator[str]:
    flag = 0
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in value if letter.isalpha())
    for at, character in enumerate(value):
        category = unicodedata.category(character)
        if character == "\U0001f3f4" and (found := _FLAG.match(value, at)):
            flag = found.end()
        if category == "Zs":
            yield " "
        elif not (character.isprintable() or at < flag or _kept(value, at, turned)):
            yield character.encode("unicode_escape").decode("ascii")
        else:
            yield character


def _kept(value: str, at: int, turned: bool) -> bool:
    """Whether an invisible character is part of what stands around it."""
    character, before, after = value[at], value[at - 1 : at] if at else "", value[at + 1 : at + 2]
    if character in "\u200e\u200f\u061c":  # marks of direction, which turn nothing that is not written so already
        return turned
    if character in "\u200c\u200d" and before and after:
        part = value[max(0, at - 3) : at].rstrip(_DRESS)[-1:]
        if character == "\u200d" and part and unicodedata.category(part) == "So":
            return unicodedata.category(after) in ("So", "Sm")  # an emoji of several parts
        # RFC 5892, A.1 and A.2, without the table of joining types.
        return unicodedata.combining(before) == _VIRAMA or (_joins(before) and _joins(after))
    # An emoji younger than this Python's Unicode tables.
    return "\U0001f300" <= character <= "\U0001faff" and unicodedata.category(character) == "Cn"


_DRESS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
"""What may follow a part of an emoji: that it is one, and the tone of its skin."""
_VIRAMA = 9
"""The canonical combining class of what ends a consonant in the scripts of India."""


def _joins(character: str) -> bool:
    """Whether it is a letter or mark of a script in which letters take their shape from their neighbours."""
    return ("\u0600" <= character <= "\u1cff" or "\ua840" <= character <= "\uabff") and unicodedata.category(
        character
    ) in ("Lo", "Lm", "Mn", "Mc")


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
    signs = _signs(value)
    told = f"{ellipsis}{len(value) if length is None else length}{ellipsis}"
    room = width - cell_len(told)
    if room < 2:
        return (
            _head(signs, width - cell_len(ellipsis)) + ellipsis if width > cell_len(ellipsis) else _head(signs, width)
        )
    head = _head(signs, (room + 1) // 2)
    tail = _head(signs[::-1], room - cell_len(head), backwards=True)
    return head + told + tail


def _signs(value: str) -> list[str]:
    """What a reader takes for one sign each: a letter with its marks, an emoji with its parts."""
    if value.isascii():
        return list(value)
    return [value[start:end] for start, end, _ in split_graphemes(value)[0]]


def _head(signs: list[str], width: int, *, backwards: bool = False) -> str:
    taken: list[str] = []
    used = 0
    for sign in signs:
        used += cell_len(sign)
        if used > width:
            break
        taken.append(sign)
    return "".join(taken[::-1] if backwards else taken)


NO_BREAK = "\u00a0"
"""Keeps two words on one line; drawn as a space."""
_SPACES = re.compile(r"[^\S\u00a0\u202f\u2007]+")
_NO_START = frozenset("、。，．：；！？・ー々…‥％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ.,:;!?%")
"""Signs that begin no line (JIS X 4051), beside closing brackets."""


def words(prose: str) -> list[str]:
    """The words of prose; a no-break space joins two into one."""
    return [re.sub("[\u202f\u2007]", NO_BREAK, word) for word in _SPACES.split(prose) if word]


def unbroken(word: str) -> list[str]:
    """The pieces of a word between which it may be broken without a space."""
    if word.isascii():
        return [word]
    pieces: list[str] = []
    before = ""
    for sign in _signs(word):
        if pieces and not may_break(before, sign):
            pieces[-1] += sign
        else:
            pieces.append(sign)
        before = sign
    return pieces


def may_break(before: str, after: str) -> bool:
    """Whether a line may end between two signs of one word: between the wide ones of East Asia, and in the scripts of
    South-East Asia, which write no spaces (Unicode Annex 14, classes ID and SA; without a dictionary between any two).
    """
    if not (_unspaced(before) or _unspaced(after)):
        return False
    opens = unicodedata.category(before[-1]) in ("Ps", "Pi")
    closes = unicodedata.category(after[0]) in ("Pe", "Pf") or after[0] in _NO_START
    return not opens and not closes


_SOUTH_EAST = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
"""Thai and Lao, Burmese, Khmer."""


def _unspaced(sign: str) -> bool:
    # Almost all signs are below both; asked of each sign of a text, this is what wrapping costs.
    if sign < "\u0e00":
        return "\ufe0f" in sign and cell_len(sign) == 2
    return cell_len(sign) == 2 or any(first <= sign[0] <= last for first, last in _SOUTH_EAST)


def wrap(prose: str, width: int, *, at_most: int | None = None, ellipsis: str = "…", whole: bool = False) -> list[str]:
    """Prose in lines of at most `width` columns, broken between words, or between signs where a script has no spaces.

    A word that is too long is shortened in the middle, or stands on a line of its own, which is then wider, if it is to
    stay `whole`. Where `at_most` lines do not hold it all, the last one ends by telling how many words were left out; a
    single line only marks that it goes on.
    """

    def told(count: int) -> str:
        return ellipsis if at_most == 1 or not count else f"{ellipsis} {count} more word{'s' * (count != 1)}"

    width = max(1, width)
    lines: list[list[tuple[str, str]]] = []
    used = 0
    for word in words(prose):
        for number, piece in enumerate(unbroken(word)):
            glue = "" if number else " "
            part = piece if whole else shorten(piece, width, ellipsis=ellipsis)
            if lines and used + len(glue) + cell_len(part) <= width:
                lines[-1].append((glue, part))
                used += len(glue) + cell_len(part)
            else:
                lines.append([(glue, part)])
                used = cell_len(part)
    if at_most is not None and len(lines) > at_most:
        last, left = lines[at_most - 1], _words_in(lines[at_most:])
        while last and cell_len(_joined(last)) + 1 + cell_len(told(left)) > width:
            left += _words_in([[last.pop()]])
        lines = [*lines[: at_most - 1], [*last, *((" ", part) for part in told(left).split(" "))]]
    return [_joined(line) if whole else shorten(_joined(line), width, ellipsis=ellipsis) for line in lines]


def _joined(line: list[tuple[str, str]]) -> str:
    return "".join(glue + part for glue, part in line).removeprefix(" ").replace(NO_BREAK, " ")


def _words_in(lines: list[list[tuple[str, str]]]) -> int:
    return sum(glue == " " for line in lines for glue, _ in line)


def pad(value: str, width: int) -> str:
    """The value followed by spaces up to `width` columns."""
    return value + " " * (width - cell_len(value))


def host(url: str) -> str:
    """Where a URL leads, with its port; all of what is none."""
    try:
        return urlsplit(url).netloc or url
    except ValueError:
        return url


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


def told_first(matters: Sequence[bool], room: int) -> list[int]:
    """Which of many rows are shown, in their order, where there is room for some: first those that matter.

    A row that was left out for room must not be the one that says no.
    """
    return sorted(sorted(range(len(matters)), key=lambda at: (not matters[at], at))[: max(0, room)])


def many(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 entry", "2 entries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
