"""What the form of a consent page says: which scopes stay ticked, and up to which amount the agent may spend.

The amount and the ticks are the human's. They are read strictly, and what cannot be read costs nothing: the page comes
again with what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..grants.money import BUY, CURRENCY, HIGHEST_AMOUNT

TICK = "may:"
"""Before a scope's name, the name of its box."""
_AMOUNT = re.compile(r"\$?\s*([0-9]{1,9})(?:[.,]([0-9]{1,2}))?\s*(?:\$|USD)?", re.IGNORECASE)


@dataclass(frozen=True)
class Terms:
    """A consent page's form, as it is filled in: by us at first, then by the human.

    Args:
        ticked: the scopes whose boxes are ticked.
        typed: what stands in the field for the amount.
        amount: what that means in minor units; None where nothing may be spent, or where it cannot be read.
        limit_fault, scope_fault: what is wrong with the amount, or with the boxes, in a sentence for the human.
    """

    ticked: tuple[str, ...]
    typed: str
    amount: int | None
    limit_fault: str | None = None
    scope_fault: str | None = None

    @property
    def good(self) -> bool:
        """Whether this can be granted as it stands."""
        return self.limit_fault is None and self.scope_fault is None


def as_text(amount: int) -> str:
    """Minor units as a person writes them."""
    return f"{amount // 100}.{amount % 100:02d}"


def filled_in(offered: tuple[str, ...], amount: int) -> Terms:
    """The form as it first stands: everything that is offered, up to `amount` minor units."""
    return Terms(offered, as_text(amount), amount)


def answered(fields: Mapping[str, str], offered: tuple[str, ...], *, asked: int | None, spends: bool) -> Terms:
    """The form as a human sent it.

    Args:
        fields: the form's.
        offered: the scopes that stood on the page.
        asked: minor units that the request named, above which nothing is granted; None where it named none.
        spends: whether the page had a field for the amount.
    """
    ticked, typed = tuple(name for name in offered if f"{TICK}{name}" in fields), fields.get("limit", "")
    if not ticked:
        return Terms(ticked, typed, None, scope_fault="Nothing is ticked. Tick what it may do, or deny.")
    if not spends or (BUY in offered and BUY not in ticked):
        return Terms(ticked, typed, None)
    read = read_amount(typed, asked)
    return Terms(ticked, typed, None, limit_fault=read) if isinstance(read, str) else Terms(ticked, typed, read)


def read_amount(typed: str, asked: int | None) -> int | str:
    """The amount that was typed, in minor units, or a sentence that says what is wrong with it.

    Both separators are read as the decimal one, and none as that of thousands: `1,000` is refused rather than taken for
    a thousand or for one.
    """
    found = _AMOUNT.fullmatch(typed.strip())
    if found is None:
        return "Write an amount in dollars, such as 50 or 49.90."
    amount = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    if amount == 0:
        return f"Write an amount above zero. If it may spend nothing, untick {BUY}, or deny."
    most = HIGHEST_AMOUNT if asked is None else asked
    if amount > most:
        said = "is the most that can be granted" if asked is None else "is what it asks for: grant that much, or less"
        return f"{as_text(most)} {CURRENCY} {said}."
    return amount
