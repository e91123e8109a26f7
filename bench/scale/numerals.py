"""Numbers, sizes, money and shares as a person reads them: three digits that count, and a word for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.scale import published as said


def number(value: float) -> str:
    """A number as a person reads it: three digits that count, and a word for the rest."""
    if math.isinf(value):
        return "unlimited"
    for least, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if value >= least * 0.9995:
            return f"{_three(value / least)}{word}"
    return f"{float(_three(value)):,.0f}".replace(",", " ") if value >= 999.5 else _three(value)


def money(value: float) -> str:
    """Dollars, to the cent below a thousand."""
    return f"${value:,.2f}" if value < 1000 else f"${number(value)}"


def size(value: float) -> str:
    """Bytes in the largest unit that leaves at least one of it; units go by thousands, as the platforms bill."""
    for least, unit in ((1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= least * 0.9995:
            return f"{_three(value / least)} {unit}"
    return f"{_three(value)} B"


def share(used: float | None) -> str:
    """How full: in hundredths while there is room, in multiples of the limit when there is none."""
    if used is None:
        return "unknown"
    if used > 1:
        return f"**{number(used)} times**"
    return f"{_three(100 * used)} %" if used >= 0.0001 else "less than 0.01 %"


def _three(value: float) -> str:
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(value))
    text = f"{round(value, digits):.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(meter: said.Meter) -> str:
    """What a meter charges beyond what is included."""
    cents = round(meter.price, 2) == meter.price
    return f"${meter.price:,.2f}" if cents else f"${meter.price:g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
