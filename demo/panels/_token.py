"""What a token says, and which of it was verified, against what; what was not is marked as merely claimed.

Of an opaque token: what was told with it, what asking told, and what nobody here can know.
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.text import Text

from demo.panels.page import MARGIN, Canvas, Page
from demo.panels.theme import State
from demo.panels.values import clock, left, many
from deputize.evidence import Claim, TokenView

STORY = (
    "sub", "act.sub", "sid", "aud", "exp", "scope", "client_id", "consent_id", "iss",
    "authorization_details", "username", "email", "name", "jti", "iat", "auth_time", "typ",
)  # fmt: skip
"""Which claims tell the story first, where not all of them fit."""

CANNOT = (
    ("sub", "who the human is"),
    ("client_id", "which agent it was given to"),
    ("aud", "where it is good"),
    ("scope", "what it may be used for"),
    ("exp", "when it ends"),
)
"""What a readable token would say, by claim, in the order in which people ask."""


def token(given: TokenView, now: float) -> Page:
    """Header, signature, and claims with their meanings; the time left in words, and problems loudly.

    Args:
        given: what can be said about the token; it is shown masked only.
        now: POSIX seconds.
    """

    def draw(canvas: Canvas) -> None:
        if given.kind == "opaque":
            _opaque(given, now, canvas)
            return
        state, answer = _answer(given, now)
        time = left(given.expires_at, now) if given.expires_at is not None else ""
        canvas.title(state, answer, aside="" if canvas.narrow or "expired" in answer else time)
        if canvas.narrow and time:
            canvas.field("time", time)
        for problem in given.problems[1:3]:
            canvas.prose(f"{canvas.glyphs.refused} {problem}", "strong refused", at_most=1)
        if len(given.problems) > 3:
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given.problems) - 3, 'more problem')}", "refused"))
        canvas.field("token", _masked(given), "quiet")
        if given.header and canvas.rows > 20:
            canvas.list("header", [f"{name} {value}" for name, value in given.header], at_most=1)
        mark = canvas.glyphs.allowed if given.signature else canvas.glyphs.unverified
        words = f"{mark} verified: {given.signature}" if given.signature else f"{mark} not verified"
        canvas.field("signature", words, "allowed" if given.signature else "unverified", prose=True, at_most=2)
        _holder(given, canvas)
        canvas.gap()
        _claims(given, canvas)

    return Page(draw)


def _holder(given: TokenView, canvas: Canvas) -> None:
    """Who can use it; nothing of an ordinary bearer token, of which that is known."""
    if given.holder == "key":
        named = any(claim.name == "cnf.jkt" and claim.verified for claim in given.claims)
        state: State = "allowed" if named else "unverified"
        words = "only who holds its key (RFC 9449)" if named else "only who holds its key, as its issuer says"
        canvas.field("good for", f"{canvas.glyphs.mark(state)} {words}", state)
    elif given.holder == "downgraded":
        words = f"{canvas.glyphs.unverified} anyone with a copy: a key was proved, a bearer token came"
        canvas.field("good for", words, "unverified", prose=True, at_most=2)


def _masked(given: TokenView) -> str:
    """The masked token with its length, which the mask may tell already."""
    told = str(given.length) in given.masked
    return given.masked if told else f"{given.masked}, {many(given.length, 'character')}"


def _answer(given: TokenView, now: float) -> tuple[State, str]:
    if given.problems:
        return "refused", f"Not to be trusted: {given.problems[0]}"
    if given.expires_at is not None and _over(given, now):
        return "refused", f"Not to be used: {left(given.expires_at, now)}"
    if not given.signature:
        return "unverified", "Claimed, not verified: anyone could have written this"
    agent = given.claim("act.sub")
    if agent:
        return "allowed", "Genuine: an agent acts for a human"
    return "allowed", f"Genuine: issued to {given.claim('client_id') or 'its client'}"


def _over(given: TokenView, now: float) -> bool:
    return given.expires_at is not None and given.expires_at <= now


def _claims(given: TokenView, canvas: Canvas) -> None:
    if not given.claims:
        canvas.line(("no claims that can be read", "quiet"))
        return
    sources = list(
        dict.fromkeys(claim.against or "a check of the agent's own" for claim in given.claims if claim.verified)
    )
    claimed = any(not claim.verified for claim in given.claims)
    told = sources[:3]
    tail = 1 + len(told) + claimed
    ordered = sorted(given.claims, key=lambda claim: STORY.index(claim.name) if claim.name in STORY else len(STORY))
    room = max(3, canvas.left - tail)
    drawn = [_claim(claim, sources, canvas) for claim in ordered]
    kept = len(drawn)
    while not canvas.narrow and kept > 2 and sum(map(len, drawn[:kept])) + (kept < len(drawn)) > room:
        kept -= 1
    for rows in drawn[:kept]:
        canvas.lines.extend(rows)
    if kept < len(ordered):
        canvas.line((f"{canvas.glyphs.ellipsis} {many(len(ordered) - kept, 'more claim')}", "quiet"))
    canvas.gap()
    for number, source in enumerate(told, 1):
        mark = f"{canvas.glyphs.allowed}{number if len(sources) > 1 else ' '} verified: "
        words = source.replace(given.signature, "the key above") if given.signature else source
        canvas.line((mark, "allowed"), (canvas.short(words, canvas.room - len(mark)), "quiet"))
    if claimed:
        mark = f"{canvas.glyphs.unverified}  claimed "
        canvas.line(
            (mark, "unverified"),
            (canvas.short("what the token says, checked by nobody here", canvas.room - len(mark)), "quiet"),
        )


def _claim(claim: Claim, sources: list[str], screen: Canvas) -> list[Text]:
    """A claim's line; a value that is too long for its column takes the room of the meaning, and a second line."""
    canvas = screen.apart(screen.width)
    state: State = "allowed" if claim.verified else "unverified"
    source = claim.against or "a check of the agent's own"
    number = str(sources.index(source) + 1) if claim.verified and len(sources) > 1 else ""
    mark = f"{canvas.glyphs.mark(state)}{number}"
    name, value = (12, canvas.room - 15) if canvas.narrow else (22, 40) if canvas.wide else (12, 26)
    parts = [(f"{mark:<3}", state), (canvas.cell(claim.name, name), "quiet")]
    if canvas.narrow:
        canvas.line(*parts, canvas.short(claim.value or "(empty)", value))
        canvas.line((canvas.short(_brief(claim.meaning, canvas.room - 3), canvas.room - 3), "quiet"), indent=5)
        return canvas.lines
    if cell_len(claim.value) > value:
        room = canvas.room - 3 - name - 1
        top, *below = canvas.wrapped(claim.value, room, 2) or [""]
        canvas.line(*parts, " ", top)
        for line in below:
            canvas.line(line, indent=MARGIN + 3 + name + 1)
        return canvas.lines
    rest = canvas.room - 3 - name - 1 - value - 2
    until = float(claim.value) if claim.name == "exp" and claim.value.isdigit() and len(claim.value) < 12 else None
    about = f"it ends at {clock(until)}" if until is not None else _brief(claim.meaning, rest)
    meaning = "".join(canvas.wrapped(about, rest, 1))
    canvas.line(*parts, " ", canvas.cell(claim.value or "(empty)", value), "  ", (meaning, "quiet"))
    return canvas.lines


def _brief(meaning: str, room: int) -> str:
    """The meaning as it is where it fits, else without its sources in brackets, else only whose role it is here."""
    if cell_len(meaning) <= room:
        return meaning.rstrip(".")
    bare = re.sub(r"\s*\([^()]*\)", "", meaning).rstrip(".")
    _, here, role = bare.rpartition("; here ")
    return role if here and cell_len(bare) > room else bare


def _opaque(given: TokenView, now: float, canvas: Canvas) -> None:
    """Draw an opaque token: masked, with each thing that is known of it by whose word, and what stays unknown.

    Args:
        given: a view whose `kind` is "opaque"; a claim that is not verified was told by the token response.
        now: POSIX seconds.
    """
    state, answer = _opaque_answer(given, now)
    time = left(given.expires_at, now) if given.expires_at is not None else ""
    canvas.title(state, answer, aside="" if canvas.narrow or "expired" in answer else time)
    if canvas.narrow and time:
        canvas.field("time", time)
    canvas.field("token", f"{given.masked}, {many(given.length, 'character')}", "quiet")
    canvas.field("asked", given.told_by or "nobody: no introspection and no userinfo answered", "quiet")
    _holder(given, canvas)
    canvas.gap()
    missing = [(name, words) for name, words in CANNOT if given.claim(name) is None]
    tail = 3 + len(missing)
    room = len(given.claims) if canvas.narrow else max(2, canvas.left - tail)
    kept = given.claims if len(given.claims) <= room else given.claims[: room - 1]
    for claim in kept:
        _row(canvas, "allowed" if claim.verified else "unverified", claim.name, claim.value)
    if len(kept) < len(given.claims):
        canvas.line((f"{canvas.glyphs.ellipsis} {many(len(given.claims) - len(kept), 'more claim')}", "quiet"))
    for name, words in missing:
        _row(canvas, "none", name, f"not to be known here: {words}", "quiet")
    canvas.gap()
    if any(claim.verified for claim in given.claims):
        _legend("allowed", "said by its issuer when asked just now", canvas)
    if any(not claim.verified for claim in given.claims):
        _legend("unverified", "said with the token when it was issued, checked by nobody since", canvas)


def _opaque_answer(given: TokenView, now: float) -> tuple[State, str]:
    # The first problem of an opaque token is that it is opaque: no fault of its own.
    if given.active is False:
        return "refused", "Not to be used: its issuer says that it is not active"
    if len(given.problems) > 1:
        return "refused", f"Not to be trusted: {given.problems[1]}"
    if given.expires_at is not None and given.expires_at <= now:
        return "refused", f"Not to be trusted: {left(given.expires_at, now)}"
    if given.active:
        return "allowed", "Opaque, and its issuer says that it is active"
    if given.told_by:
        return "unverified", "Opaque: its issuer says who, not whether it is active"
    return "unverified", "Opaque: only its issuer can say what it is worth"


def _row(canvas: Canvas, state: State, name: str, value: str, roles: str = "") -> None:
    width = 12 if canvas.narrow else 16
    canvas.line(
        (f"{canvas.glyphs.mark(state):<3}", state),
        (canvas.cell(name, width), "quiet"),
        " ",
        (canvas.short(value or "(empty)", canvas.room - 4 - width), roles),
    )


def _legend(state: State, words: str, canvas: Canvas) -> None:
    mark = f"{canvas.glyphs.mark(state)}  "
    canvas.line((mark, state), ("".join(canvas.wrapped(words, canvas.room - len(mark), 1)), "quiet"))
