"""QR codes drawn with half blocks: two modules a cell, so that a phone scans them off the screen."""

from __future__ import annotations

QUIET = 4
"""Modules of quiet zone that ISO/IEC 18004 asks for around the symbol."""

TIGHT = 2
"""The least quiet zone that phones scan reliably; used only where four do not fit."""


def qr(data: str, width: int, rows: int) -> list[str] | None:
    """The rows of the QR code of `data`, or None where it does not fit in `width` columns and `rows` rows.

    Ink is a *light* module: on a dark terminal the symbol is right even without colour, and with colour the
    panel paints it white on black whatever the terminal's background.
    """
    import segno

    try:
        symbol = segno.make(data, error="l", micro=False, boost_error=False)
    except (segno.DataOverflowError, UnicodeError):
        return None
    size = symbol.symbol_size(border=0)[0]
    for border in range(QUIET, TIGHT - 1, -1):
        side = size + 2 * border
        if side <= width and (side + 1) // 2 <= rows:
            return _halves([[not dark for dark in row] for row in symbol.matrix_iter(border=border)])
    return None


def _halves(light: list[list[bool]]) -> list[str]:
    if len(light) % 2:
        # The other half of an odd last row is one more row of quiet zone.
        light = [*light, [True] * len(light[0])]
    pairs = zip(light[::2], light[1::2], strict=True)
    return ["".join(" ▄▀█"[2 * top + bottom] for top, bottom in zip(*pair, strict=True)) for pair in pairs]
