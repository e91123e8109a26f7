"""QR codes, drawn with half blocks so that a phone scans them off the screen, and the words that go with them."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from demo.panels.page import MARGIN, Canvas
from demo.panels.values import safe

GAP = 3
"""Columns between the QR code and the words."""

LEAST = 30
"""Columns that the words need at least."""

QUIET = 4
"""Modules of quiet zone that ISO/IEC 18004 asks for around the symbol."""

TIGHT = 2
"""The least quiet zone that phones scan reliably; used only where four do not fit."""


def with_code(
    canvas: Canvas, scanned: str, shown: str, words: Callable[[Canvas, bool], None], *, middle: bool = False
) -> None:
    """Draw the QR code of `scanned` and the words beside it.

    Args:
        canvas: where to.
        scanned: what a phone gets.
        shown: the address that people read; on a row of its own below the code where the words have no room for it.
        words: draws the words; told whether there is a QR code.
        middle: whether the words stand in the middle of the code's height rather than at its top.
    """
    code = _code(scanned, canvas, canvas.rows)
    room = canvas.width - GAP - (len(code[0]) if code else 0) - 2 * MARGIN
    below = canvas.rows > 12 and room < cell_len(safe(shown, canvas.encoding))
    if code is not None and below and not canvas.narrow:
        code = _code(scanned, canvas, canvas.rows - len(canvas.pieces(shown, canvas.width - MARGIN)))
    if code is None or room < LEAST:
        words(canvas, code is not None)
        canvas.gap()
        for row in code or []:
            canvas.line((row, "scan"), indent=max(0, min(MARGIN, canvas.width - len(row))))
        return
    symbol = canvas.apart(MARGIN + len(code[0]))
    for row in code:
        symbol.line((row, "scan"))
    side = canvas.apart(canvas.width - symbol.width - GAP + MARGIN)
    side.beside_code = True
    words(side, True)
    if middle:
        side.lines[:0] = [side.blank() for _ in range((len(code) - len(side.lines)) // 2)]
    canvas.beside(symbol, side, gap=GAP - MARGIN)
    if below:
        canvas.whole(shown, "strong")


def address(shown: str, canvas: Canvas) -> None:
    """The address among the words, unless it has its own row below the code."""
    if canvas.beside_code and cell_len(safe(shown, canvas.encoding)) > canvas.room:
        canvas.line(("the address is below", "quiet"))
    else:
        canvas.whole(shown, "strong")


def _code(scanned: str, canvas: Canvas, rows: int) -> list[str] | None:
    if canvas.glyphs.top == canvas.glyphs.bottom:
        return None
    width = canvas.width if canvas.narrow else canvas.room
    return qr(scanned, width, 40 if canvas.narrow else rows)


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
