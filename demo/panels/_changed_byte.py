"""One changed byte: a copy of an audit entry in which one byte is another, and what verifying it says."""

from __future__ import annotations

from demo.evidence.audit import ChangedByte
from demo.panels.page import Canvas, Page
from demo.panels.values import many


def changed_byte(given: ChangedByte) -> Page:
    """The byte, before and after; the two hashes; and the entry that the verification names."""

    def draw(canvas: Canvas) -> None:
        named = [one for one in given.findings if one.seq == given.seq]
        if named and len(given.findings) == len(named):
            canvas.title("refused", f"One byte is changed, and entry {given.seq} is named")
        else:
            said = many(len(given.findings), "finding") if given.findings else "nothing"
            canvas.title("unverified", f"One byte of entry {given.seq} is changed, and verifying finds {said}")
        canvas.field("entry", f"{given.seq}  {given.audit_id}")
        canvas.field("byte", f"{given.at} of {given.of}, in {given.name!r}, in a copy")
        canvas.gap()
        canvas.field("written", given.before, "strong allowed")
        canvas.field("changed to", given.after, "strong refused")
        canvas.gap()
        canvas.field("its link", given.link[:32] + canvas.glyphs.ellipsis, "strong allowed")
        canvas.field("its hash", given.hashed[:32] + canvas.glyphs.ellipsis, "strong refused")
        canvas.gap()
        for one in named[:1]:
            canvas.field("found", one.what, "strong", prose=True, at_most=2)

    return Page(draw)
