"""A sentence that is the whole screen: a mental model, or one of the two questions."""

from __future__ import annotations

from demo.panels import bigtype
from demo.panels.page import MARGIN, Canvas, Page


def statement(text: str, title: str | None = None) -> Page:
    """Sentences, one a line of `text`, as large as the screen allows.

    In block letters where they fit; else bold, with space around them.
    """

    def draw(canvas: Canvas) -> None:
        sentences = [line.strip() for line in text.splitlines() if line.strip()]
        if title:
            canvas.prose(title, "quiet")
            canvas.gap()
        rows = _letters(sentences, canvas, 1) or _letters(sentences, canvas, 0)
        if rows is not None:
            for row in rows:
                canvas.line(*([(row, "strong")] if row else []))
            return
        share = max(1, (canvas.left - len(sentences)) // max(1, len(sentences)))
        for sentence in sentences:
            canvas.gap()
            canvas.prose(sentence, "strong", indent=2 * MARGIN, at_most=share if not canvas.narrow else 8)

    return Page(draw)


def _letters(sentences: list[str], canvas: Canvas, gap: int) -> list[str] | None:
    """The sentences in block letters, `gap` empty rows between lines and one more between sentences.

    None where they do not fit, or have characters without a letterform.
    """
    if canvas.glyphs.top == canvas.glyphs.bottom:
        return None
    rows: list[str] = []
    for number, sentence in enumerate(sentences):
        lines: list[str] = []
        for word in sentence.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and bigtype.columns(longer, bigtype.SMALL) <= canvas.room:
                lines[-1] = longer
            elif bigtype.columns(word, bigtype.SMALL) <= canvas.room:
                lines.append(word)
            else:
                return None
        for index, line in enumerate(lines):
            drawn = bigtype.big(line, bigtype.SMALL, blocks=True)
            if drawn is None:
                return None
            if rows:
                rows.extend([""] * (gap + (index == 0 and number > 0)))
            rows.extend(drawn)
    return rows if len(rows) <= canvas.left else None
