"""An amount of money in words, as a cheque has it: a figure that was misread or altered does not agree with it."""

from __future__ import annotations

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def dollars(amount: int) -> str:
    """Minor units of US dollars in words, below a thousand million dollars: `twenty-five dollars and ten cents`."""
    whole, cents = divmod(amount, 100)
    said = [f"{number(whole)} dollar{'' if whole == 1 else 's'}"] if whole or not cents else []
    if cents:
        said.append(f"{number(cents)} cent{'' if cents == 1 else 's'}")
    return " and ".join(said)


def number(value: int) -> str:
    """A whole number below a thousand million, in words."""
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if value >= size:
            many, rest = divmod(value, size)
            return f"{number(many)} {name}{f' {number(rest)}' if rest else ''}"
    if value < 20:
        return _SMALL[value]
    tens, ones = divmod(value, 10)
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]
