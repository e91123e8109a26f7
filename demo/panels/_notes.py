"""The speaker's notes of a beat, from Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from demo.panels.page import MARGIN
from demo.panels.theme import UNICODE, glyphs, style
from demo.panels.values import many, safe, shorten, unbroken

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

MEASURE = 88
"""Prose wider than this is slow to read at a glance."""


def notes(markdown: str) -> Notes:
    """The notes, whole: they are read on the presenter's own screen, which scrolls. `within` cuts them."""
    return Notes(markdown)


class Notes:
    """A Rich renderable that draws through Rich's Markdown, which is imported only here and only when drawn."""

    def __init__(self, markdown: str, rows: int | None = None) -> None:
        self.markdown = markdown
        self.rows = rows

    def within(self, rows: int) -> Notes:
        """The same notes, cut to `rows` rows, the last one telling how many were left out."""
        return Notes(self.markdown, rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.markdown import Markdown
        from rich.padding import Padding
        from rich.theme import Theme

        width = min(options.max_width, MEASURE)
        text = "\n".join(_line(line, width - 4 * MARGIN, options.encoding) for line in self.markdown.splitlines())
        plain = {f"markdown.{name}": "" for name in ("block_quote", "hr", "item", "paragraph", "text")}
        strong = {f"markdown.{name}": "bold" for name in ("h1", "h2", "h3", "h4", "strong", "code", "code_block")}
        quiet = {f"markdown.{name}": style("quiet") for name in ("item.bullet", "item.number", "link_url", "link")}
        with console.use_theme(Theme({**plain, **strong, **quiet})):
            body = Padding(Markdown(text, hyperlinks=False, code_theme="bw"), (0, MARGIN))
            lines = console.render_lines(body, options.update(width=width, height=None), pad=False)
        while lines and not "".join(segment.text for segment in lines[-1]).strip():
            lines.pop()
        kept = lines if self.rows is None or len(lines) <= self.rows else lines[: max(0, self.rows - 1)]
        for line in kept:
            for segment in line:
                yield segment._replace(text=_drawable(segment.text, options.encoding))
            yield Segment.line()
        if len(kept) < len(lines):
            told = f"{' ' * MARGIN}{many(len(lines) - len(kept), 'more line')} of notes"
            yield Segment(told, console.get_style(style("quiet")))
            yield Segment.line()


def _line(line: str, width: int, encoding: str) -> str:
    """A line of the source made harmless, its spaces as they are; a word that could not be broken is shortened before
    Markdown would break it."""

    def fitting(found: re.Match[str]) -> str:
        word = found[0]
        breakable = max(map(cell_len, unbroken(word))) <= width
        return word if breakable else shorten(word, width, ellipsis=glyphs(encoding).ellipsis)

    return re.sub(r"\S+", fitting, safe(line.expandtabs(4), encoding))


def _drawable(text: str, encoding: str) -> str:
    """Rich's own bullets and rules, in characters that the console has."""
    if text.isascii() or glyphs(encoding) is UNICODE:
        return text
    return text.translate({ord(bullet): "-" for bullet in "•─━▌│"}).encode(encoding, "replace").decode(encoding)
