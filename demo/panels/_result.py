"""What a tool gave: its data as fields and tables, and its words as words, of which no line can pass for a panel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from demo.panels.page import Canvas, Page, Part
from demo.panels.values import many, pad, safe
from deputize.evidence import Money

DEEPEST = 3
"""Levels of data in data that are opened up; what lies deeper stands as JSON on one line."""
LABEL, CELL = 24, 40
"""Columns that a label takes at most, and a cell of a table."""
FEW = 3
"""Rows that stand as fields where their table would leave a column out: a shop's price would be the first to go."""


def result(tool: str, data: dict[str, Any] | None = None, text: str = "", failed: bool = False) -> Page:
    """The result of one call.

    Args:
        tool: which tool it was.
        data: what it gave as JSON (MCP, `structuredContent`), None for none.
        text: its own words, line by line.
        failed: whether the tool says that it did not do it.
    """

    def draw(canvas: Canvas) -> None:
        canvas.title("refused" if failed else "none", f"{tool} {'failed' if failed else 'answered'}")
        # Beside data the words say the same once more, for programs that read no data (MCP 2026-07-28, Tools); beside
        # a failure they say why.
        if text.strip() and (failed or not data):
            _words("it says", text, canvas)
            canvas.gap()
        if data:
            _fields(data, canvas, 1)
        elif not text.strip():
            canvas.line(("neither data nor text", "quiet"))
        if len(canvas.lines) > canvas.rows:
            cut = len(canvas.lines) - canvas.rows + 1
            del canvas.lines[-cut:]
            canvas.line((f"{canvas.glyphs.ellipsis} {many(cut, 'more line')}", "quiet"))

    return Page(draw)


def _words(label: str, text: str, canvas: Canvas) -> None:
    """A server's words: none of their lines begins where a panel's own do. An address, which somebody may open, is
    whole."""
    room = max(1, canvas.room - canvas.label)
    lines = [line for written in text.splitlines() for line in canvas.wrapped(written, room, whole=True) or [""]]
    for number, piece in enumerate(piece for line in lines for piece in _pieces(line, room, canvas)):
        canvas.line((pad(label if number == 0 else "", canvas.label), "quiet"), piece)


def _pieces(line: str, room: int, canvas: Canvas) -> list[str]:
    if cell_len(line) <= room:
        return [line]
    # A backslash is what `safe` writes for what nobody can type.
    return [canvas.short(line, room)] if "\\" in line else canvas.pieces(line, room)


def _fields(data: dict[str, Any], canvas: Canvas, level: int) -> None:
    """Its single values first, aligned; then what has parts of its own, each under its name."""
    flat = {name: said for name, value in data.items() if (said := _said(value)) is not None}
    longest = max((cell_len(safe(str(name), canvas.encoding)) for name in flat), default=0)
    canvas.label = min(max(canvas.label, longest + 2), LABEL if not canvas.narrow else 12)
    for name, said in flat.items():
        _words(canvas.short(str(name), canvas.label - 2), said or "(empty)", canvas)
    for name, value in data.items():
        if name not in flat:
            canvas.gap()
            _opened(str(name), value, canvas, level)


def _opened(name: str, value: Any, canvas: Canvas, level: int) -> None:
    """A value with parts of its own: a table, fields, or JSON where it lies too deep."""
    listed = value if isinstance(value, list) else [value]
    count = f", {len(listed)}" if isinstance(value, list) else ""
    if not all(isinstance(item, dict) for item in listed) or level >= DEEPEST:
        canvas.field(canvas.short(name, canvas.label - 2), _json(value))
        return
    canvas.line((canvas.short(name, canvas.room - len(count)), "strong"), (count, "quiet"))
    if isinstance(value, list) and not canvas.narrow and _table(listed, canvas):
        return
    for item in listed:
        _fields(item, canvas, level + 1)
        canvas.gap()


def _table(rows: Sequence[dict[str, Any]], canvas: Canvas) -> bool:
    """A row for each, a column for each name that any of them has, as many as fit; what is left out is named. Of a few
    rows nothing need be left out: False where they are to be drawn as fields instead."""
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    shown = [[_cell(row.get(name), name in row) for name in names] for row in rows]
    heads = [safe(name, canvas.encoding) for name in names]
    widths = [
        min(CELL, max(cell_len(head), *(cell_len(safe(row[at], canvas.encoding)) for row in shown), 1))
        for at, head in enumerate(heads)
    ]
    fits = 0
    while fits < len(widths) and sum(widths[: fits + 1]) + 2 * fits <= canvas.room:
        fits += 1
    if fits < len(widths) and len(rows) <= FEW:
        return False
    if fits == 0 and widths:
        widths[0], fits = canvas.room, 1
    canvas.line(
        *[(canvas.cell(head, width) + "  ", "quiet") for head, width in zip(heads[:fits], widths, strict=False)]
    )
    for row in shown:
        parts: list[Part] = [canvas.cell(cell, width) + "  " for cell, width in zip(row[:fits], widths, strict=False)]
        canvas.line(*parts)
    if fits < len(heads):
        left_out = f"{canvas.glyphs.ellipsis} no room for: {', '.join(heads[fits:])}"
        canvas.line((canvas.short(left_out, canvas.room), "quiet"))
    return True


def _said(value: Any) -> str | None:
    """A value that one line can say; None for one with parts that want lines of their own."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [_said(item) for item in value if not isinstance(item, list)]
        simple = [part for part in parts if part is not None]
        return (", ".join(simple) or "none") if len(simple) == len(value) else None
    if isinstance(value, dict):
        return _money(value)
    return str(value)


def _money(value: dict[str, Any]) -> str | None:
    """An amount as the shop writes it (docs/wire.md)."""
    amount, currency = value.get("amount"), value.get("currency")
    if set(value) == {"amount", "currency"} and type(amount) is int and isinstance(currency, str):
        return str(Money(amount, currency))
    return None


def _cell(value: Any, there: bool) -> str:
    said = _said(value) if there else ""
    return _json(value) if said is None else " ".join(said.split())


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be shown)"
