"""Letters large enough for the last row: five pixels tall, drawn with blocks."""

from __future__ import annotations

FONT: dict[str, str] = {
    "A": "0110 1001 1111 1001 1001",
    "B": "1110 1001 1110 1001 1110",
    "C": "0111 1000 1000 1000 0111",
    "D": "1110 1001 1001 1001 1110",
    "E": "1111 1000 1110 1000 1111",
    "F": "1111 1000 1110 1000 1000",
    "G": "0111 1000 1011 1001 0111",
    "H": "1001 1001 1111 1001 1001",
    "I": "111 010 010 010 111",
    "J": "0011 0001 0001 1001 0110",
    "K": "1001 1010 1100 1010 1001",
    "L": "1000 1000 1000 1000 1111",
    "M": "10001 11011 10101 10001 10001",
    "N": "10001 11001 10101 10011 10001",
    "O": "0110 1001 1001 1001 0110",
    "P": "1110 1001 1110 1000 1000",
    "Q": "01100 10010 10010 10010 01101",
    "R": "1110 1001 1110 1010 1001",
    "S": "0111 1000 0110 0001 1110",
    "T": "11111 00100 00100 00100 00100",
    "U": "1001 1001 1001 1001 0110",
    "V": "10001 10001 10001 01010 00100",
    "W": "10001 10001 10101 11011 10001",
    "X": "10001 01010 00100 01010 10001",
    "Y": "10001 01010 00100 00100 00100",
    "Z": "11111 00010 00100 01000 11111",
    "0": "01110 10011 10101 11001 01110",
    "1": "010 110 010 010 111",
    "2": "1110 0001 0110 1000 1111",
    "3": "1110 0001 0110 0001 1110",
    "4": "1001 1001 1111 0001 0001",
    "5": "1111 1000 1110 0001 1110",
    "6": "0111 1000 1110 1001 0110",
    "7": "1111 0001 0010 0100 0100",
    "8": "0110 1001 0110 1001 0110",
    "9": "0110 1001 0111 0001 1110",
    " ": "00 00 00 00 00",
    "-": "000 000 111 000 000",
    "?": "1110 0001 0110 0000 0100",
    "!": "1 1 1 0 1",
    ".": "0 0 0 0 1",
    ",": "00 00 00 01 10",
    "'": "1 1 0 0 0",
    ":": "0 1 0 1 0",
    ">": "100 010 001 010 100",
}
"""Each character as five rows of pixels. Zero is slashed and Q has its tail, since people type these."""

SMALL, TALL, HUGE = 0, 1, 2
"""Sizes: pixels of half a row (three rows a line), of a row (five), and of a row and two columns (five)."""


def big(text: str, size: int, *, blocks: bool) -> list[str] | None:
    """The rows of `text` in block letters; capitals only.

    Args:
        text: what to write.
        size: `SMALL`, `TALL` or `HUGE`.
        blocks: whether half blocks can be drawn; without them `SMALL` is drawn as `TALL`, in `#`.

    Returns:
        The rows, or None where a character has no letterform here.
    """
    if not text or not all(character in FONT for character in text.upper()):
        return None
    letters = [FONT[character].split() for character in text.upper()]
    pixels = ["0".join(letter[row] for letter in letters) for row in range(5)]
    if size == SMALL and blocks:
        pixels.append("0" * len(pixels[0]))
        pairs = [zip(pixels[row], pixels[row + 1], strict=True) for row in (0, 2, 4)]
        return ["".join(" ▄▀█"[2 * int(top) + int(bottom)] for top, bottom in pair).rstrip() for pair in pairs]
    ink = ("█" if blocks else "#") * max(1, size)
    return [row.replace("0", " " * len(ink)).replace("1", ink).rstrip() for row in pixels]


def columns(text: str, size: int) -> int:
    """How many columns `text` takes at `size`; characters without a letterform count as a space."""
    pixels = sum(len(FONT.get(character, FONT[" "]).split()[0]) + 1 for character in text.upper()) - 1
    return max(0, pixels) * max(1, size)
