"""The audit trail, verified: whether each entry is what was written, and what is wrong where one is not."""

from __future__ import annotations

from demo.evidence.audit import LogCheck, TrailFinding
from demo.panels.page import Canvas, Page
from demo.panels.people import Names, name_of
from demo.panels.theme import State
from demo.panels.values import clock, many

_KINDS = {
    "edited": "altered",
    "missing": "missing",
    "moved": "moved",
    "inserted": "added",
    "rewritten": "rewritten",
    "cut": "cut off",
    "replaced": "another log",
    "unsigned": "not signed",
    "key": "another key",
}


def verification(
    given: tuple[LogCheck, ...], keys_at: str | None = None, names: Names = (), *, copy: bool = False
) -> Page:
    """A row for each log: entries, link, checkpoint; and below them each finding, by its number and audit id.

    Args:
        keys_at: where the keys were read that the checkpoints are verified with.
        names: what the humans are called.
        copy: it is a copy that was read, which brought its own keys along: nobody vouches for whose they are.
    """
    findings = [(log, one) for log in given for one in log.findings]
    people = dict(names)

    def whose(log: LogCheck) -> str:
        return "nobody" if log.user is None else name_of(people.get(log.user, log.user)) or log.user

    def draw(canvas: Canvas) -> None:
        entries = many(sum(log.entries for log in given), "entry", "entries")
        if findings:
            canvas.title("refused", f"The audit trail was altered: {many(len(findings), 'finding')}")
        elif not any(log.signed_at for log in given):
            canvas.title("unverified", f"{entries} read, and no checkpoint is signed")
        else:
            canvas.title("allowed", f"Nothing was altered: {entries}, hashed one by one")
        fits = max(1, (canvas.left - 4) // 2 if findings else canvas.left - 5)
        rows = given if len(given) <= fits else given[: max(1, fits - 1)]
        for log in rows:
            _log(log, whose(log), canvas)
        if len(rows) < len(given):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given) - len(rows), 'other log')}", "quiet"))
        canvas.gap()
        for told, (log, one) in enumerate(findings):
            if told and canvas.left < 8 + (told < len(findings) - 1):  # four for one, and what stands below
                canvas.line((f"{canvas.glyphs.ellipsis} {many(len(findings) - told, 'other finding')}", "quiet"))
                break
            _finding(one, whose(log), canvas)
        canvas.gap()
        if (signed := max((log for log in given if log.signed_at), key=_signed_at, default=None)) is not None:
            key = f"{(signed.key or '')[:12]}{canvas.glyphs.ellipsis}"
            whose_key = "the key" if copy else "this shop's key"
            canvas.field("signed", f"{clock(_signed_at(signed))}, by {whose_key} {key}", "quiet")
        if keys_at is not None:
            canvas.field(
                "key from", f"the copy itself, which says: {keys_at}" if copy else keys_at, "quiet", prose=copy
            )
        known = sum(log.remembered or 0 for log in given)
        last = f"{many(known, 'entry', 'entries')} then; what is new was added at the end" if known else "never yet"
        if not findings:
            canvas.field("last look", last, "quiet", prose=True)

    return Page(draw)


def _signed_at(log: LogCheck) -> float:
    return log.signed_at or 0.0


def _log(log: LogCheck, whose: str, canvas: Canvas) -> None:
    state: State = "refused" if log.findings else "allowed" if log.signed_at else "unverified"
    about = many(log.entries, "entry", "entries")
    if log.entries < log.size:
        about += f" of {log.size}"
    link = f"{canvas.glyphs.arrow} {log.link[:8]}{canvas.glyphs.ellipsis}" if log.link.isalnum() else ""
    mark = (canvas.glyphs.mark(state), f"strong {state}")
    if canvas.narrow:
        canvas.line(mark, " ", (canvas.short(f"{whose}: {about}", canvas.room - 2), "strong"))
        return
    canvas.line(mark, " ", (canvas.cell(f"log of {whose}", 32), "strong"), " ", canvas.cell(about, 22), (link, "quiet"))


def _finding(one: TrailFinding, whose: str, canvas: Canvas) -> None:
    where = f"log of {whose}" if one.seq is None else f"entry {one.seq} of {whose}'s log"
    canvas.line(
        (canvas.glyphs.mark("refused"), "strong refused"),
        " ",
        (canvas.short(f"{where}: {_KINDS[one.kind]}", canvas.room - 2), "strong refused"),
    )
    canvas.prose(one.what, indent=4, at_most=2)
    if one.audit_id:
        canvas.line((canvas.short(one.audit_id, canvas.room - 2), "quiet"), indent=4)
