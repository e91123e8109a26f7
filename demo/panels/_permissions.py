"""What became of each permission: wished, in the ceiling, in the human's role, in the token."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.grants import PermissionView
from demo.panels.page import Canvas, Page, Part
from demo.panels.values import many


def permissions(given: tuple[PermissionView, ...], *, blueprint: str, role: str) -> Page:
    """A row for each permission. The token may hold what ceiling and role both have, and nothing else.

    Args:
        blueprint: whose ceiling it is, by name.
        role: whose permissions the human has, by its slug.
    """

    def draw(canvas: Canvas) -> None:
        wished, held = sum(one.wished for one in given), sum(one.held for one in given)
        beyond = [one.slug for one in given if one.held and not (one.ceiling and one.role)]
        if beyond:
            canvas.title("refused", f"It holds what nobody could give it: {', '.join(beyond)}")
        else:
            canvas.title("allowed", f"It wished for {many(wished, 'permission')}, and holds {held}")
        room = max(1, canvas.left - 6)
        kept = given if len(given) <= room else given[: max(1, room - 1)]
        if not canvas.narrow:
            name, cell = _columns(canvas)
            head = [canvas.cell("", name), *(canvas.cell(one, cell) for one in ("CEILING", "ROLE", "TOKEN"))]
            canvas.line(("  ".join(head), "quiet"))
        for one in kept:
            _row(one, canvas)
        if len(kept) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(kept), 'more permission')}", "quiet"))
        canvas.gap()
        canvas.field("ceiling", f"of the blueprint {blueprint}", "quiet")
        canvas.field("role", f"{role}, the human's", "quiet")

    return Page(draw)


def _columns(canvas: Canvas) -> tuple[int, int]:
    return min(40, canvas.room - 3 * 12), 10


def _row(one: PermissionView, canvas: Canvas) -> None:
    allowed = one.held and one.ceiling and one.role
    state = "allowed" if allowed else "refused" if one.held else "none"
    if canvas.narrow:
        words = "in the token" if one.held else "not in the ceiling" if not one.ceiling else "not in the role"
        canvas.whole(one.slug, "strong")
        canvas.line((words, state), indent=4)
        return
    name, cell = _columns(canvas)
    slug, roles = one.slug, "strong" if one.held else ""
    if cell_len(slug) > name and canvas.typed(slug):  # a scope is typed, and so stands whole
        canvas.whole(slug, roles)
        slug = ""
    parts: list[Part] = [(canvas.cell(slug, name), roles)]
    parts += [part for there in (one.ceiling, one.role) for part in ("  ", canvas.cell("yes" if there else "no", cell))]
    parts += ["  ", (canvas.cell("holds it" if one.held else "not in it", cell), f"strong {state}")]
    canvas.line(*parts)
