"""The device login: the code to compare in very large type, and the QR code that opens the page."""

from __future__ import annotations

from collections.abc import Sequence

from demo.evidence import DeviceCode
from demo.net import is_loopback_url
from demo.panels import bigtype
from demo.panels.page import Canvas, Page
from demo.panels.qr import address, with_code
from demo.panels.values import left


def device(given: DeviceCode, now: float, held: Sequence[str] = ()) -> Page:
    """User code, address, QR code, who asks for what, and the time left.

    Args:
        given: a device authorization response (RFC 8628 section 3.2).
        now: POSIX seconds.
        held: the scopes that the agent has already; what it asks for beside them stands out.
    """

    def draw(canvas: Canvas) -> None:
        scanned = given.verification_uri_complete or given.verification_uri

        def words(part: Canvas, coded: bool) -> None:
            _words(given, now, held, part, coded)

        with_code(canvas, scanned, given.verification_uri, words)

    return Page(draw)


def _words(given: DeviceCode, now: float, held: Sequence[str], canvas: Canvas, coded: bool) -> None:
    over = given.expires_at <= now
    client = given.client or "An agent"
    asks = f"{client} asks {asking(given.scopes, held)}"
    canvas.title("refused" if over else "waiting", "The code has expired" if over else asks)
    _code(given.user_code, canvas)
    canvas.gap()
    address(given.verification_uri, canvas)
    canvas.line((left(given.expires_at, now), "refused" if over else "waiting"))
    canvas.gap()
    canvas.label = 7
    wishes(given.scopes, held, canvas, at_most=3)
    if given.spending_limit:
        canvas.field("spend", f"up to {given.spending_limit}")
    if coded and is_loopback_url(given.verification_uri_complete or given.verification_uri):
        canvas.line((canvas.short("QR: works on this machine only", canvas.room), "quiet"))
    elif not coded:
        canvas.line((canvas.short("no room for a QR code here", canvas.room), "quiet"))


def asking(scopes: Sequence[str], held: Sequence[str]) -> str:
    """What it asks, in words: to act, or for more than it has."""
    more = [scope for scope in scopes if scope not in held]
    if not held or not more:
        return "to act for you"
    return "for one more" if len(more) == 1 else f"for {len(more)} more"


def wishes(scopes: Sequence[str], held: Sequence[str], canvas: Canvas, *, at_most: int) -> None:
    """The scopes that are asked for: all of them in one row, or the new ones apart from those that it has."""
    more = [scope for scope in scopes if scope not in held]
    if not held or not more:
        unasked = canvas.short("whatever is granted unasked", canvas.room - canvas.label)
        canvas.list("may", scopes, at_most=at_most, empty=unasked)
        return
    for number, scope in enumerate(more[:2]):
        rest = f" and {len(more) - 2} more" if number == 1 and len(more) > 2 else ""
        canvas.field("new" if number == 0 else "", f"+ {scope}{rest}", "strong waiting")
    canvas.list("has", [scope for scope in scopes if scope in held], at_most=max(1, at_most - min(2, len(more))))


def _code(user_code: str, canvas: Canvas) -> None:
    """The code in block letters, in two lines where it has a hyphen in the middle, and once as plain text."""
    blocks = canvas.glyphs.top != canvas.glyphs.bottom
    for lines in ([user_code], user_code.split("-")):
        size = bigtype.TALL if len(lines) == 1 else bigtype.SMALL
        drawn = [bigtype.big(line, size, blocks=blocks) for line in lines]
        fits = all(bigtype.columns(line, size) <= canvas.room for line in lines)
        if fits and sum(len(rows or [""] * 99) + 1 for rows in drawn) + 9 <= canvas.rows:
            for rows in drawn:
                for row in rows or []:
                    canvas.line((row, "strong"))
                canvas.gap()
            break
    canvas.whole(user_code, "strong")
