"""The device login: what the agent asks for in plain words, and the code to compare in very large type."""

from __future__ import annotations

from collections.abc import Sequence

from demo.evidence.shop import Purchase
from demo.panels import bigtype
from demo.panels.grants import asking, one_purchase, wishes
from demo.panels.page import Canvas, Page
from demo.panels.qr import address, with_code
from deputize.evidence import DeviceCode
from deputize.net import is_loopback_url


def device(given: DeviceCode, now: float, held: Sequence[str] = (), purchase: Purchase | None = None) -> Page:
    """Who asks for what and how much, the code, and where to answer; a QR code only where a phone can reach the page,
    else a larger code.

    Args:
        given: a device authorization response (RFC 8628 section 3.2).
        now: POSIX seconds.
        held: the scopes that the agent has already; what it asks for beside them stands out.
        purchase: the one purchase that it asks to make; None where it asks for a grant.
    """

    def draw(canvas: Canvas) -> None:
        scanned = given.verification_uri_complete or given.verification_uri
        if is_loopback_url(scanned):
            _here(given, now, held, purchase, canvas)
        else:
            with_code(
                canvas, scanned, given.verification_uri, lambda part, _: _beside(given, now, held, purchase, part)
            )

    return Page(draw)


def _title(given: DeviceCode, now: float, held: Sequence[str], purchase: Purchase | None, canvas: Canvas) -> None:
    over = given.expires_at <= now
    what = asking(given.scopes, held) if purchase is None else f"to spend {purchase.price} once"
    asks = f"{given.client or 'An agent'} asks {what}"
    canvas.title("refused" if over else "waiting", "The code has expired" if over else asks)


def _here(given: DeviceCode, now: float, held: Sequence[str], purchase: Purchase | None, canvas: Canvas) -> None:
    _title(given, now, held, purchase, canvas)
    _code(given.user_code, canvas, (bigtype.HUGE, bigtype.TALL, bigtype.SMALL), spare=12)
    canvas.line(("Answer where the same code stands:", "quiet"))
    canvas.whole(given.verification_uri, "strong")
    canvas.gap()
    if purchase is not None:
        one_purchase(purchase, canvas)
        return
    if given.spending_limit:
        canvas.field("may spend", f"up to {given.spending_limit}", "strong")
    wishes(given.scopes, held, canvas)


def _beside(given: DeviceCode, now: float, held: Sequence[str], purchase: Purchase | None, canvas: Canvas) -> None:
    _title(given, now, held, purchase, canvas)
    _code(given.user_code, canvas, (bigtype.TALL, bigtype.SMALL), spare=9)
    canvas.label = 7
    address(given.verification_uri, canvas)
    canvas.gap()
    if purchase is not None:
        one_purchase(purchase, canvas)
        return
    if given.spending_limit:
        canvas.field("spend", f"up to {given.spending_limit}", "strong")
    wishes(given.scopes, held, canvas)


def _code(user_code: str, canvas: Canvas, sizes: Sequence[int], *, spare: int) -> None:
    """The code in block letters, as large as leaves `spare` rows, in two lines where one is too long; then as text."""
    blocks = canvas.glyphs.top != canvas.glyphs.bottom
    for size in sizes:
        for lines in ([user_code], user_code.split("-")):
            drawn = [bigtype.big(line, size, blocks=blocks) for line in lines]
            fits = all(bigtype.columns(line, size) <= canvas.room for line in lines)
            if fits and sum(len(rows or [""] * 99) + 1 for rows in drawn) + spare <= canvas.rows:
                for rows in drawn:
                    for row in rows or []:
                        canvas.line((row, "strong"))
                    canvas.gap()
                canvas.whole(user_code, "quiet")
                return
    canvas.whole(user_code, "strong")
    canvas.gap()
