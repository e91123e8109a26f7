"""The names that attendees give themselves: they stand on a page that others may see over a shoulder, and no further.

A name is filtered, not believed: letters, digits and a few marks, short, and without a handful of words. No list of
words is complete, so that a name is shown to its owner and to the presenter's command line only, never to the room.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 24
"""Characters."""
_MARKS: Final = " '’.-"
_LOOKALIKES: Final = str.maketrans("013457@$!", "oieastasi")
_UNSEEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Letters and marks that nobody sees (Unicode, Default_Ignorable_Code_Point), after NFKC."""
_BLOCKED: Final = re.compile(
    r"fuck|shit|cunt|nigg|faggot|whore|bitch|penis|vagina|hitler|nazi|porn|rape|wank|twat|asshole|dickhead|motherf"
    r"|scheiss|fotze|arschloch|hurensohn|wichs|putain|encul|connard|salope|puta|mierda|cabron|cazzo|merda|kurwa|blyat",
)
_RESERVED: Final = frozenset({"admin", "administrator", "presenter", "moderator", "staff", "system", "root"})


class UnsuitableName(ValueError):
    """The name cannot be used; the message says why, for who gave it."""


def fit(given: str) -> str:
    """The name as it is used; empty for none.

    Raises:
        UnsuitableName: too long, signs that are not used, or a word that is not shown.
    """
    name = " ".join(unicodedata.normalize("NFKC", given[: 8 * LONGEST]).split())
    if not name:
        return ""
    if len(name) > LONGEST:
        raise UnsuitableName(f"A name has at most {LONGEST} characters here.")
    if _UNSEEN.search(name):
        raise UnsuitableName("Use letters that can be seen.")
    marks = 0
    for character in name:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if marks > 2 or not (category[0] in "LM" or category == "Nd" or character in _MARKS):
            raise UnsuitableName("Use letters, digits, spaces, and ' . - only.")
    if unicodedata.category(name[0])[0] not in "LN":
        raise UnsuitableName("A name begins with a letter.")
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LOOKALIKES))
    letters = "".join(character for character in plain if character.isalpha())
    if _BLOCKED.search(letters) or letters in _RESERVED:
        raise UnsuitableName("Choose another name, please.")
    return name
